"""fer-predict: expressions of the faces in images, videos and what a camera sees."""
