"""fer-serve: a model served over HTTP; needs the extra `serve`."""
