"""Checks that a graph agrees with the reference, and the gate that accepts or refuses it."""
