"""Transforms that a network can learn: from its outputs to a map of places.

Jaderberg et al. 2015, "Spatial Transformer Networks", arXiv 1506.02025. A transform takes places
of the output to places of the input, both (x, y) in [−1, 1] from edge to edge. As published its
parameters are used as they come, so that it can shrink to a point, turn inside out or look away
from the image for ever. `Limits` keep it from that.
"""

import dataclasses
import math

import torch
from torch import Tensor
from torch.nn import functional

from attnsci.checks import check_known, check_positive
from attnsci.errors import InvalidInput


@dataclasses.dataclass(frozen=True)
class Limits:
    """How far a transform may go.

    Raises
    ------
    InvalidInput
        If a limit is out of range.
    """

    scale: tuple[float, float] | None = None
    """Least and greatest scale; None: any above 0, through softplus."""
    shift: float = 1.0
    """Greatest shift of the centre along x and y, through tanh; 1 is the image's edge."""
    shear: float = 0.5
    """Greatest shear of the affine transform, through tanh."""

    def __post_init__(self) -> None:
        check_positive("shift", self.shift)
        check_positive("shear", self.shear)
        if self.scale is not None and not 0 < self.scale[0] < self.scale[1]:
            raise InvalidInput(f"scale must be two numbers above 0, ascending; got {self.scale}.")

    def to_scale(self, raw: Tensor) -> Tensor:
        """Return the scales of parameters."""
        if self.scale is None:
            return functional.softplus(raw)
        low, high = self.scale
        return low + (high - low) * torch.sigmoid(raw)

    def from_scale(self, scale: float) -> float:
        """Return the parameter of a scale.

        Raises
        ------
        InvalidInput
            If the limits do not allow it.
        """
        if self.scale is None:
            return math.log(math.expm1(check_positive("scale", scale)))
        low, high = self.scale
        if not low < scale < high:
            raise InvalidInput(f"The scale to start from, {scale}, must lie in {self.scale}.")
        part = (scale - low) / (high - low)
        return math.log(part / (1 - part))


def _affine(raw: Tensor, scale: float, limits: Limits | None) -> Tensor:
    if limits is None:
        return raw.view(-1, 2, 3)
    # Turn, then shear, then scale: the determinant is the product of the scales, above 0.
    sides = limits.to_scale(raw[:, :2])
    turn, shear = raw[:, 2], limits.shear * torch.tanh(raw[:, 3])
    cos, sin = turn.cos(), turn.sin()
    x, y = sides.unbind(1)
    linear = torch.stack([cos * x, (cos * shear - sin) * y, sin * x, (sin * shear + cos) * y], 1)
    return _with_shift(linear.view(-1, 2, 2), raw[:, 4:], limits)


def _similarity(raw: Tensor, scale: float, limits: Limits | None) -> Tensor:
    side = raw[:, 0] if limits is None else limits.to_scale(raw[:, 0])
    cos, sin = side * raw[:, 1].cos(), side * raw[:, 1].sin()
    return _with_shift(torch.stack([cos, -sin, sin, cos], 1).view(-1, 2, 2), raw[:, 2:], limits)


def _attention(raw: Tensor, scale: float, limits: Limits | None) -> Tensor:
    side = raw[:, :1] if limits is None else limits.to_scale(raw[:, :1])
    return _with_shift(torch.diag_embed(side.expand(-1, 2)), raw[:, 1:], limits)


def _translation(raw: Tensor, scale: float, limits: Limits | None) -> Tensor:
    return _with_shift(torch.diag_embed(torch.full_like(raw, scale)), raw, limits)


def _with_shift(linear: Tensor, raw: Tensor, limits: Limits | None) -> Tensor:
    shift = raw if limits is None else limits.shift * torch.tanh(raw)
    return torch.cat([linear, shift[..., None]], 2)


_STARTS = {
    "affine": (_affine, lambda s: [s, 0, 0, 0, s, 0], lambda r: [r, r, 0, 0, 0, 0]),
    "similarity": (_similarity, lambda s: [s, 0, 0, 0], lambda r: [r, 0, 0, 0]),
    "attention": (_attention, lambda s: [s, 0, 0], lambda r: [r, 0, 0]),
    "translation": (_translation, lambda s: [0, 0], lambda r: [0, 0]),
}
LINEAR_KINDS = tuple(_STARTS)
"""Transforms that a 2 × 3 matrix describes."""


def start(kind: str, scale: float, limits: Limits | None = None) -> Tensor:
    """Return the parameters of the centred transform of a scale, float32.

    They are what the bias of a network's last layer starts with, its weights at 0.

    Parameters
    ----------
    kind : {"affine", "similarity", "attention", "translation"}
    scale : float
        Width of the output in widths of the input.
    limits : Limits, optional

    Examples
    --------
    >>> start("attention", 0.25).tolist()
    [0.25, 0.0, 0.0]
    """
    check_known("transform", kind, LINEAR_KINDS)
    check_positive("scale", scale)
    _, plain, limited = _STARTS[kind]
    if limits is None or kind == "translation":
        return torch.tensor(plain(scale), dtype=torch.float32)
    return torch.tensor(limited(limits.from_scale(scale)), dtype=torch.float32)


def matrix(kind: str, raw: Tensor, scale: float, limits: Limits | None = None) -> Tensor:
    """Return the matrices of transforms.

    Parameters
    ----------
    kind : {"affine", "similarity", "attention", "translation"}
        Its parameters are the six entries of the matrix, row by row (within limits: two scales,
        turn, shear, x, y); scale, turn, x, y; scale, x, y; x, y. Turns are in radians.
    raw : Tensor, shape (N, parameters)
    scale : float
        The translation's, which is not learnt.
    limits : Limits, optional
        None uses the parameters as they come.

    Returns
    -------
    Tensor, shape (N, 2, 3)
        To be applied to (x, y, 1).

    Raises
    ------
    InvalidInput
        If `raw` has another shape.

    Examples
    --------
    >>> matrix("attention", torch.tensor([[0.25, 0.5, -0.5]]), 0.25).tolist()
    [[[0.25, 0.0, 0.5], [0.0, 0.25, -0.5]]]
    """
    check_known("transform", kind, LINEAR_KINDS)
    make, plain, _ = _STARTS[kind]
    n_parameters = len(plain(scale))
    if raw.ndim != 2 or raw.shape[1] != n_parameters:
        raise InvalidInput(
            f"The {kind} transform takes (N, {n_parameters}) parameters; got {tuple(raw.shape)}."
        )
    return make(raw, scale, limits)


def inverted(matrices: Tensor) -> Tensor:
    """Return the matrices (N, 2, 3) of the transforms' inverses.

    Raises
    ------
    InvalidInput
        If one has none, because it maps everything onto a line or a point.
    """
    linear = matrices[..., :2]
    if (torch.linalg.det(linear) == 0).any():
        raise InvalidInput("A transform maps everything onto a line and has no inverse.")
    undo = torch.linalg.inv(linear)
    return torch.cat([undo, -undo @ matrices[..., 2:]], -1)
