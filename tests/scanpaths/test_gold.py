"""Gold standard: its settings are the optimum of the ceiling's own likelihood."""

import numpy as np
import pytest

from attnsci.errors import InvalidInput
from attnsci.scanpaths import Viewing, from_dict, select
from attnsci.scanpaths.ceiling import observer_ceiling
from attnsci.scanpaths.gold import gold_standard, mixture_weights

SIGMAS = [2.0, 4.0, 8.0, 16.0]


def people(n_images=5, n_observers=6, n=8, strays=2, seed=0):
    """Fixations 5 px round one spot of the image, a few anywhere."""
    rng = np.random.default_rng(seed)

    def one(spot):
        near = rng.normal(spot, 5, (n, 2))
        return np.concatenate([near, rng.uniform(0, (80, 60), (strays, 2))])

    spots = rng.uniform((20, 15), (60, 45), (n_images, 2))
    return from_dict(
        {f"i{i}": {f"s{s}": one(spot) for s in range(n_observers)} for i, spot in enumerate(spots)},
        Viewing(80, 60, px_per_deg=4),
    )


def likelihood(paths, **settings):
    found = observer_ceiling(paths, metrics=("ll",), **settings)["mean"]
    return found.sel(predictor="observers", over="fixations", metric="ll").item()


def test_no_other_settings_do_better():
    paths = people()
    found = gold_standard(paths, SIGMAS)
    best = likelihood(paths, **found)
    for sigma in SIGMAS:
        for mix in (0.01, 0.05, 0.2, 0.4, 0.7):
            for uniform in (0.02, 0.2, 0.5, 0.9):
                other = {"sigma_px": sigma, "mix": mix, "uniform": uniform}
                assert likelihood(paths, **other) <= best + 1e-9, other
    for step in (-0.01, 0.01):
        for name in ("mix", "uniform"):
            near = {**found, name: float(np.clip(found[name] + step, 0, 1))}
            assert likelihood(paths, **near) <= best + 1e-9
    assert found["sigma_px"] in (2.0, 4.0) and 0.1 < found["mix"] < 0.6


def test_identical_observers_need_no_mixture():
    rng = np.random.default_rng(1)
    spots = rng.uniform(15, 45, (3, 4, 2))
    paths = from_dict(
        {f"i{i}": {"s1": s, "s2": s} for i, s in enumerate(spots)}, Viewing(80, 60, px_per_deg=4)
    )
    found = gold_standard(paths, [1.0, 3.0])
    assert found["sigma_px"] == 1 and found["mix"] < 1e-6


def test_default_widths_are_in_degrees_and_the_larger_set_is_used():
    paths = people()
    assert gold_standard(paths) == gold_standard(paths, [1, 1.4, 2, 2.8, 4, 5.6, 8])
    part = select(paths, image="i1")
    assert gold_standard(part, SIGMAS, reference=paths)["sigma_px"] in SIGMAS
    with pytest.raises(InvalidInput, match="reference"):
        gold_standard(part, SIGMAS)


def test_weights_maximise_the_likelihood():
    rng = np.random.default_rng(2)
    likelihoods = rng.gamma(0.5, size=(200, 3))
    found = mixture_weights(likelihoods)
    assert found.sum() == pytest.approx(1, abs=1e-9) and (found >= 0).all()
    best = np.log(likelihoods @ found).sum()
    for other in rng.dirichlet(np.ones(3), 300):
        assert np.log(likelihoods @ other).sum() <= best + 1e-6


def test_nobody_to_predict():
    alone = from_dict({"a": [[1, 1]], "b": [[2, 2]]}, Viewing(80, 60, px_per_deg=4))
    with pytest.raises(InvalidInput, match="two observers"):
        gold_standard(alone)
