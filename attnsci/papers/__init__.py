"""Papers: from stimuli to figures and the table published / reference code / ours."""
