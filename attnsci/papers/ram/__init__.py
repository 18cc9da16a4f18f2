"""RAM: glimpses learned by reinforcement, analysed like eye movements."""
