"""Image classification: which of several classes a picture shows."""
