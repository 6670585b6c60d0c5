"""fer-predict: find the faces in images, in videos or of a camera, and classify their expressions."""
