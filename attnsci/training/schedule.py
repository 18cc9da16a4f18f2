"""How the step size changes over training."""

import math


def warm_cosine(step: int, total: int, warmup: int, final_rate: float) -> float:
    """Return the share of the largest step size: it rises evenly, then falls along a cosine.

    Parameters
    ----------
    step : int
        Update, counted from 0.
    total : int
        Updates in which it falls to its end.
    warmup : int
        Updates in which it rises.
    final_rate : float
        Share that is left at the end; 1 for a step size that stays.

    Examples
    --------
    >>> [round(warm_cosine(step, 100, 10, 0.1), 3) for step in (0, 9, 50, 100)]
    [0.1, 0.982, 0.55, 0.1]
    """
    rise = min(1.0, (step + 1) / warmup) if warmup else 1.0
    fall = 0.5 * (1 + math.cos(math.pi * min(1.0, step / total)))
    return rise * (final_rate + (1 - final_rate) * fall)
