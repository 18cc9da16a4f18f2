"""What and Where against spatial transformers (Daucé, Albiges and Perrinet 2020)."""
