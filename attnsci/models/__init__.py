"""Models of attention: modules and their weights, nothing else."""
