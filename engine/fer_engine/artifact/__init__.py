"""The artifact: a folder and its manifest, opened once as one object."""
