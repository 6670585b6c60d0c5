"""Videos: threads, tracking, following and smoothing."""
