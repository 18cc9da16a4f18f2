"""Human gaze: the comparison of a model with people, and the commands for files of fixations."""
