"""Documents, figures and the page, rendered from records alone."""
