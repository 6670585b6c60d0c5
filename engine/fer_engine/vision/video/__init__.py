"""Videos: reading, writing, and the pipeline that detects, tracks and classifies the faces of each frame."""
