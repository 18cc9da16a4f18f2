"""The steps of a paper, announced as they come."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tqdm import tqdm


def announced(steps: Sequence[Callable[..., Any]], label: str) -> Iterator[Callable[..., Any]]:
    """Yield the steps in order; show a progress bar, or where stderr is no terminal, a line each.

    Parameters
    ----------
    steps : sequence of callable
        Named ``_what_it_draws``.
    label : str
        What they are steps of.

    Examples
    --------
    >>> def _maps(): ...
    >>> [step.__name__ for step in announced([_maps], "ram, quick scale")]
    ['_maps']
    """
    bar = tqdm(steps, desc=label, disable=None)
    for number, step in enumerate(bar, start=1):
        if bar.disable:
            now = step.__name__.strip("_").replace("_", " ")
            print(f"{label}: {now}, {number} of {len(steps)}", file=sys.stderr, flush=True)
        yield step
