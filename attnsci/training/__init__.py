"""Training: one trainer, one small objective for each family."""
