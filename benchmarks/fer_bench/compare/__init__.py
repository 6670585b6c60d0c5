"""Holding one record against another."""
