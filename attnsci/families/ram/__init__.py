"""RAM, DRAM and the game of Catch: glimpses learned by REINFORCE (Mnih et al. 2014)."""
