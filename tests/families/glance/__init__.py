"""A fifth family, for the tests: one glance at a digit, through a window of a given size."""
