"""Plots: labelled arrays in, matplotlib Axes out."""
