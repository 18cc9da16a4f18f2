"""What each surrogate keeps and what it gives up."""

import numpy as np
import pytest
import xarray as xr

from attnsci.analysis.baselines import BASELINES, get_baseline, surrogate
from attnsci.analysis.saccades import saccades
from attnsci.errors import InvalidInput, UnknownName
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing

VIEWING = Viewing(400, 300, px_per_deg=10)


def people(n_images=6, n_viewers=4, seed=0, longest=9):
    rng = np.random.default_rng(seed)
    n = n_images * n_viewers
    lengths = rng.integers(1, longest + 1, n)
    lengths[0] = longest
    x = rng.uniform(100, 300, (n, longest))
    y = rng.uniform(100, 200, (n, longest))
    image, viewer = np.divmod(np.arange(n), n_viewers)
    return from_arrays(
        x, y, rng.uniform(0.1, 0.3, x.shape), image=image, observer=viewer, viewing=VIEWING,
        n_fixations=lengths,
    )  # fmt: skip


PEOPLE = people()


def cells(paths, group):
    """Return the sorted points of each group and ordinal."""
    out = {}
    for name in np.unique(paths[group]):
        own = paths.isel(scanpath=np.flatnonzero(paths[group] == name))
        for t in range(own.sizes["fixation"]):
            points = np.stack([own["x"][:, t], own["y"][:, t]], 1)
            out[name, t] = np.sort(points[np.isfinite(points[:, 0])], axis=0)
    return out


@pytest.mark.parametrize("name", BASELINES)
def test_every_surrogate_has_the_lengths_and_names_of_its_source(name):
    drawn = surrogate(PEOPLE, name, seed=3)
    for coord in ("image", "observer", "n_fixations"):
        np.testing.assert_array_equal(drawn[coord], PEOPLE[coord])
    np.testing.assert_array_equal(np.isnan(drawn["x"]), np.isnan(PEOPLE["x"]))
    assert drawn.attrs["baseline"] == name
    xr.testing.assert_identical(drawn, surrogate(PEOPLE, name, seed=3))
    assert not drawn["x"].equals(surrogate(PEOPLE, name, seed=4)["x"])


def test_order_keeps_the_places_and_moves_durations_with_them():
    drawn = surrogate(PEOPLE, "order", seed=0)
    for row in range(PEOPLE.sizes["scanpath"]):
        for a, b in [(PEOPLE, drawn)]:
            rows = [
                sorted(map(tuple, np.stack([p[v][row] for v in ("x", "y", "duration")], 1).tolist()
                           [: int(p["n_fixations"][row])]))
                for p in (a, b)
            ]  # fmt: skip
            assert rows[0] == rows[1]


@pytest.mark.parametrize(("name", "group"), [("same_image", "image"), ("other_image", "observer")])
def test_donors_keep_group_and_ordinal(name, group):
    before, after = cells(PEOPLE, group), cells(surrogate(PEOPLE, name, seed=0), group)
    assert before.keys() == after.keys()
    for key, points in before.items():
        np.testing.assert_array_equal(points, after[key])


def test_permuted_saccades_are_the_saccades_and_none_crosses_the_end_of_a_trial():
    # Every step within a trial is at most 10; from the end of one to the start of the next 1000.
    rng = np.random.default_rng(1)
    x = np.cumsum(rng.uniform(-10, 10, (30, 6)), 1) + 1000 * np.arange(30)[:, None]
    paths = from_arrays(x, np.zeros_like(x), image=np.arange(30), observer="m", viewing=VIEWING)
    for name in ("saccade_permutation", "marginals", "second_order", "distance_matched"):
        drawn = saccades(surrogate(paths, name, seed=0))
        assert float(drawn["amplitude_px"].max()) <= 10 + 1e-9, name
    before = saccades(paths)["amplitude_px"].to_numpy()
    after = saccades(surrogate(paths, "saccade_permutation", seed=0))["amplitude_px"].to_numpy()
    np.testing.assert_allclose(np.sort(after.ravel()), np.sort(before.ravel()), atol=1e-9)
    assert not np.allclose(after, before)


def test_marginals_permute_turns_and_keep_amplitudes_in_their_order():
    before, after = saccades(PEOPLE), saccades(surrogate(PEOPLE, "marginals", seed=0))
    np.testing.assert_allclose(after["amplitude_px"], before["amplitude_px"])
    sorted_turns = [np.sort(p["turn_deg"].to_numpy().ravel()) for p in (before, after)]
    np.testing.assert_allclose(*sorted_turns, atol=1e-6)
    assert not np.allclose(before["turn_deg"], after["turn_deg"], equal_nan=True)


def test_matched_places_are_turned_by_the_five_angles_only():
    before, after = saccades(PEOPLE), saccades(surrogate(PEOPLE, "distance_matched", seed=0))
    turned = (after["turn_deg"] - before["turn_deg"]).to_numpy() % 360
    turned = turned[np.isfinite(turned)]
    np.testing.assert_allclose(turned, 60 * np.round(turned / 60), atol=1e-6)
    assert set(np.round(turned / 60).astype(int) % 6) == {1, 2, 3, 4, 5}
    np.testing.assert_allclose(after["amplitude_px"], before["amplitude_px"])


def test_names_and_numbers():
    assert [get_baseline(f"b{i}").number for i in range(1, 10)] == list(range(1, 10))
    assert all(b.how and b.preserves and b.asks for b in BASELINES.values())
    with pytest.raises(UnknownName, match="memoryless"):
        get_baseline("memorless")


@pytest.mark.parametrize(
    "name", ["saccade_permutation", "marginals", "second_order", "distance_matched", "order"]
)
def test_zero_length_saccades_stay_finite(name):
    x = [[5, 5, 9, 5, 5], [1, 1, 1, 4, 2]]
    paths = from_arrays(x, x, image=["a", "b"], observer="m", viewing=VIEWING)
    assert np.isfinite(surrogate(paths, name, seed=0)["x"]).all()


@pytest.mark.parametrize("name", ["marginals", "second_order", "random_walk", "memoryless"])
def test_too_little_to_learn_from_is_said(name):
    one = from_arrays([[5], [6]], [[5], [5]], image=["a", "b"], observer="m", viewing=VIEWING)
    with pytest.raises(InvalidInput, match=r"angle|amplitude|saccade"):
        surrogate(one, name, seed=0)
