"""Peers: other ways to run the same network on the same faces, each at its best documented settings."""
