"""What is measured: our engines, the reference and other runtimes, each in a process of its own."""
