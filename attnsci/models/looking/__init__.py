"""Models that look without a task network: saliency and inhibition, chance, and people."""
