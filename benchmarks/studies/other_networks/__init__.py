"""Packages with a facial-expression network of their own, and this project's networks beside them."""
