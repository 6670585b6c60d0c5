"""The machine and the terminal that a command finds."""
