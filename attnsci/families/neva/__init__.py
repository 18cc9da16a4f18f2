"""NeVA: fixations that lower the loss of a task on a foveated image (Schwinn et al. 2022)."""
