"""Where in a picture a classifier sees what speaks for a class."""
