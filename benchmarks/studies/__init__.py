"""One-off measurements of the authors; they are part of the repository and not of the installed package."""
