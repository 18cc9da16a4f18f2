"""NeVA: task-driven scanpaths on photographs, set against people (Schwinn et al. 2022)."""
