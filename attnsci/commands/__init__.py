"""Commands that belong to no family: eye movements, data sets, facts for bug reports."""
