"""Trains the face finder: composites of faces and backgrounds, a detector, and a verifier of its finds."""
