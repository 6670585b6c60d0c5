"""Packages with a facial-expression network of their own: how accurate and how fast they are."""
