"""Object-based attention by internal gating: Lei, Benjamin and Kording (2021), arXiv 2106.04540."""
