"""The steps of a paper, announced as they come."""

import sys
from collections.abc import Iterator, Sequence

from tqdm import tqdm


def announced(steps: Sequence[str], label: str) -> Iterator[str]:
    """Yield the names of steps; show a progress bar, or where stderr is no terminal, a line each.

    Parameters
    ----------
    steps : sequence of str
    label : str
        What they are steps of.

    Examples
    --------
    >>> list(announced(["maps"], "ram, quick scale"))
    ['maps']
    """
    bar = tqdm(steps, desc=label, disable=None)
    for number, step in enumerate(bar, start=1):
        if bar.disable:
            line = f"{label}: {step}, {number} of {len(steps)}"
            print(line, file=sys.stderr, flush=True)
        yield step
