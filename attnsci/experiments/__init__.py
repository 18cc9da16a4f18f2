"""Questions to any model that answers in the common words: stimuli in, a table of estimates out."""
