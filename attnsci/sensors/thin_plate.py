"""Thin-plate splines: the smoothest warp that takes given points to given places.

Bookstein 1989, "Principal warps: thin-plate splines and the decomposition of deformations",
IEEE PAMI 11:567; as a spatial transformer in Jaderberg et al. 2015, arXiv 1506.02025.
"""

import torch
from torch import Tensor

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput


def control_points(n: int) -> Tensor:
    """Return n × n points over the square [−1, 1]², (n², 2) as (x, y), row by row, float64."""
    if check_positive("n", n, integer=True) < 2:
        raise InvalidInput(f"A thin plate needs 2 × 2 control points or more; got n = {n}.")
    along = torch.linspace(-1, 1, n, dtype=torch.float64)
    y, x = torch.meshgrid(along, along, indexing="ij")
    return torch.stack([x, y], -1).flatten(0, 1)


def thin_plate_weights(points: Tensor, controls: Tensor) -> Tensor:
    """Return what each control point's value contributes to the spline at each point.

    Parameters
    ----------
    points : Tensor, shape (P, 2), float64
    controls : Tensor, shape (K, 2), float64
        Not all on one line.

    Returns
    -------
    Tensor, shape (P, K), float64
        ``weights @ values`` interpolates values (K, ...) at the points.

    Examples
    --------
    >>> corners = control_points(2)
    >>> weights = thin_plate_weights(torch.tensor([[0.0, 0.5]]).double(), corners)
    >>> [round(float(v), 3) for v in (weights @ corners)[0]]
    [0.0, 0.5]
    """
    n = len(controls)
    system = torch.zeros(n + 3, n + 3, dtype=torch.float64)
    system[:n, :n] = _radial(controls, controls)
    system[:n, n:] = _plane(controls)
    system[n:, :n] = system[:n, n:].T
    basis = torch.cat([_radial(points, controls), _plane(points)], 1)
    return torch.linalg.solve(system, basis.T).T[:, :n]


def _radial(points: Tensor, controls: Tensor) -> Tensor:
    squares = (points[:, None] - controls).square().sum(-1)
    return torch.xlogy(squares, squares)


def _plane(points: Tensor) -> Tensor:
    return torch.cat([torch.ones_like(points[:, :1]), points], 1)
