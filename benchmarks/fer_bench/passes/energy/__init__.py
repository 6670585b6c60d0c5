"""Energy while a contender works, where the machine tells it: of the CPU, and of an NVIDIA GPU."""
