"""Training: data, networks, checkpoints."""
