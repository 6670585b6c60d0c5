"""fer-predict: expressions of the faces in pictures, videos and what a camera sees."""
