"""A service over HTTP that answers with trained models."""
