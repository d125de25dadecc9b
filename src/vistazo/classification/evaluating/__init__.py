"""How good a classifier is on other pictures: figures, curves, slices, a second model beside it, and their page."""
