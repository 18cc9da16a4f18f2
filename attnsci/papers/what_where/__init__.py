"""What and Where against spatial transformers."""
