"""The pages of the studio, one module a page."""
