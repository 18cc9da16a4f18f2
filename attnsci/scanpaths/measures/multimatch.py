"""MultiMatch: aligned saccades compared in shape, direction, length, position and duration."""

import dataclasses

import numpy as np

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.scanpaths.measures.base import Metric, Paths, padded_length, register
from attnsci.scanpaths.simplify import saccades_of, simplify

_DX, _DY, _X, _Y, _ANGLE, _LENGTH, _DURATION = range(7)
_STAY, _BOTH, _FIRST, _SECOND = range(4)


@dataclasses.dataclass(frozen=True)
class MultiMatchSettings:
    """Whether and how scanpaths are simplified before they are compared.

    Raises
    ------
    InvalidInput
        If a threshold is not above zero.
    """

    grouping: bool = False
    """Merge small and straight saccades first."""
    direction_deg: float = 45.0
    """Angle between saccades below which they merge."""
    amplitude_px: float | None = None
    """Length below which a saccade merges; None: a tenth of the frame's diagonal."""
    duration_s: float = 0.3
    """Fixations at least as long as this keep their saccades apart."""

    def __post_init__(self) -> None:
        check_positive("direction_deg", self.direction_deg)
        check_positive("duration_s", self.duration_s)
        if self.amplitude_px is not None:
            check_positive("amplitude_px", self.amplitude_px)


def _prepare(paths: Paths, settings: MultiMatchSettings) -> tuple[np.ndarray, ...]:
    """Return saccades (N, 7, S), their number and the frame's diagonal."""
    if settings.grouping:
        without = paths.length > 0
        without &= ~(np.isfinite(paths.duration) & paths.inside).any(1)
        if without.any():
            raise InvalidInput(
                f"Simplification goes by fixation durations, and {int(without.sum())} of "
                f"{len(without)} scanpaths have none. Give durations, or grouping=False."
            )
        amplitude = settings.amplitude_px
        if amplitude is None:
            amplitude = 0.1 * paths.diagonal_px
        found = simplify(paths, settings.direction_deg, amplitude, settings.duration_s)
    else:
        found = saccades_of(paths)
    angle = np.arctan2(found.dy, found.dx)
    length = np.sqrt(found.dx**2 + found.dy**2)
    parts = [found.dx, found.dy, found.x, found.y, angle, length, found.duration]
    return np.stack(parts, 1), found.count, np.full(len(found.count), paths.diagonal_px)


def _score(
    a: tuple[np.ndarray, ...], b: tuple[np.ndarray, ...], settings: MultiMatchSettings
) -> np.ndarray:
    """Return the five values (P, 5)."""
    (_, count_a, diagonal), (_, count_b, _) = a, b
    # Pairs on the last axis, so that every step of the programme is one vector operation.
    first, second = (
        np.ascontiguousarray(part.transpose(1, 2, 0)[:, : padded_length(count)])
        for part, count, _ in (a, b)
    )
    moves = _alignment(first[:2], second[:2])
    at_first, at_second, on_path = _trace(moves, count_a, count_b)
    p = first.reshape(7, -1).take(at_first, axis=1)
    q = second.reshape(7, -1).take(at_second, axis=1)
    difference = np.empty((5, *on_path.shape))
    difference[0] = np.sqrt((p[_DX] - q[_DX]) ** 2 + (p[_DY] - q[_DY]) ** 2)
    turn = np.abs(p[_ANGLE] - q[_ANGLE])
    difference[1] = np.minimum(turn, 2 * np.pi - turn)
    difference[2] = np.abs(p[_LENGTH] - q[_LENGTH])
    difference[3] = np.sqrt((p[_X] - q[_X]) ** 2 + (p[_Y] - q[_Y]) ** 2)
    longer = np.maximum(p[_DURATION], q[_DURATION])
    # Of two fixations that took no time neither took longer.
    longer[longer == 0] = 1
    difference[4] = np.abs(p[_DURATION] - q[_DURATION]) / longer
    medians = _median(difference, on_path)
    medians[4, np.isnan(first[_DURATION, 0]) | np.isnan(second[_DURATION, 0])] = np.nan
    medians[0] /= 2 * diagonal
    medians[1] /= np.pi
    medians[2:4] /= diagonal
    return 1 - medians.T


def _alignment(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return by which move the cheapest path enters each node, int8 (n, m, P).

    The cost of a node is the length of the difference of its two saccades; the first is free.
    """
    n, (_, m, pairs) = first.shape[1], second.shape
    moves = np.empty((n, m, pairs), np.int8)
    above = np.full((m + 1, pairs), np.inf)
    row = np.full((m + 1, pairs), np.inf)
    cost, square = np.empty((m, pairs)), np.empty((m, pairs))
    for i in range(n):
        np.subtract(first[0, i], second[0], out=cost)
        np.subtract(first[1, i], second[1], out=square)
        cost *= cost
        square *= square
        cost += square
        np.sqrt(cost, out=cost)
        entry = np.minimum(above[:-1], above[1:], out=square)
        if i == 0:
            row[1], start = 0.0, 1
        else:
            start = 0
        for j in range(start, m):
            np.minimum(entry[j], row[j], out=row[j + 1])
            row[j + 1] += cost[j]
        # Of equal costs the diagonal wins, then the step in the first scanpath.
        sideways = row[:-1] < above[1:]
        straight = above[:-1] > np.minimum(above[1:], row[:-1])
        np.add(sideways, 1, out=moves[i], dtype=np.int8, casting="unsafe")
        moves[i] *= straight
        moves[i] += _BOTH
        above, row = row, above
        row[0] = np.inf
    moves[0, 0] = _STAY
    return moves


def _trace(
    moves: np.ndarray, count_a: np.ndarray, count_b: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the nodes from the end back to the start, as flat indices (L, P), and which count."""
    n, m, pairs = moves.shape
    steps = n + m - 1
    at_first = np.empty((steps, pairs), np.intp)
    at_second = np.empty((steps, pairs), np.intp)
    on_path = np.ones((steps, pairs), bool)
    back_first, back_second = (np.zeros(4, np.intp) for _ in range(2))
    back_first[[_BOTH, _FIRST]] = back_second[[_BOTH, _SECOND]] = pairs
    back_node = m * back_first + back_second
    pair = np.arange(pairs)
    first, second = (count_a - 1) * pairs + pair, (count_b - 1) * pairs + pair
    node = m * (count_a - 1) * pairs + second
    flat = moves.reshape(-1)
    for step in range(steps):
        at_first[step], at_second[step] = first, second
        move = flat.take(node)
        if not move.any():
            break
        np.not_equal(move, _STAY, out=on_path[step + 1])
        first -= back_first.take(move)
        second -= back_second.take(move)
        node -= back_node.take(move)
    # A path that is at its start stays there; only the arrival is a node of it.
    return at_first[: step + 1], at_second[: step + 1], on_path[: step + 1]


def _median(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Return the medians (5, P) of the counted ones of values (5, L, P)."""
    padded = np.where(counted, values, np.inf)
    padded.sort(axis=1)
    number = counted.sum(0)
    low, high = (
        np.take_along_axis(padded, place[None, None], 1)[:, 0]
        for place in ((number - 1) // 2, number // 2)
    )
    return (low + high) / 2


register(
    Metric(
        name="multimatch",
        summary="Aligned saccades compared in shape, direction, length, position and duration",
        source="Jarodzka, Holmqvist & Nyström 2010; Dewhurst et al. 2012",
        settings=MultiMatchSettings,
        prepare=_prepare,
        score=_score,
        orientation="similarity",
        bounds=(-np.inf, 1.0),
        shortest=3,
        durations="optional",
        components=("vector", "direction", "length", "position", "duration"),
    )
)
