"""What "auto" means: the choice of precision and backend by measured speed."""
