"""Object-based attention by internal gating (Lei, Benjamin and Kording 2021)."""
