"""Proof that a graph gives the reference's answers, and the gate that accepts or refuses it."""
