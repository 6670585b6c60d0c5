"""Benchmarks: speed and parity in one record."""
