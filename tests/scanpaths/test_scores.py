import numpy as np
import pytest

from attnsci.scanpaths.baselines import Candidates, Humans
from attnsci.scanpaths.pairs import plain_paths, similarity
from attnsci.scanpaths.scores import score


@pytest.fixture
def both(crowd):
    human = crowd(n_images=3, n_observers=4, noise=60.0)
    model = crowd(n_images=3, n_observers=2, noise=90.0, seed=5, names="sample")
    humans = Humans(plain_paths(human), np.repeat(np.arange(3), 4), np.tile(np.arange(4), 3))
    return human, model, humans


@pytest.mark.parametrize(
    ("metric", "best"),
    [("scanmatch", np.max), ("scaled_time_delay_embedding", np.max), ("dtw", np.min)],
)
def test_scores_of_a_model_by_hand(both, metric, best):
    human, model, humans = both
    candidates = Candidates(plain_paths(model), np.repeat(np.arange(3), 2), np.full(6, -1))
    found = score(candidates, humans, metric, chunk=5)
    table = similarity(human, model, metric).values  # people first
    for image in range(3):
        block = table[4 * image : 4 * image + 4, 2 * image : 2 * image + 2]
        assert found.image[image, 0] == pytest.approx(block.mean(), abs=1e-12)
        assert found.observer[image, :, 0] == pytest.approx(block.mean(1), abs=1e-12)
        assert found.reached[image, 0] == pytest.approx(best(block, 1).mean(), abs=1e-12)
        leave_one = [best(np.delete(block, out, 0), 0) for out in range(4)]
        assert found.best[image, 0] == pytest.approx(np.mean(leave_one), abs=1e-12)
    assert found.n_pairs == 24
    blocks = np.concatenate([table[4 * i : 4 * i + 4, 2 * i : 2 * i + 2].ravel() for i in range(3)])
    assert found.pair_mean[0] == pytest.approx(blocks.mean(), abs=1e-12)
    assert found.pair_sd[0] == pytest.approx(blocks.std(ddof=1), abs=1e-12)


def test_people_are_never_compared_with_themselves(both):
    human, _, humans = both
    candidates = Candidates(humans.paths, humans.image, np.arange(12))
    found = score(candidates, humans, "scanmatch", chunk=1000)
    table = similarity(human, metric="scanmatch").values
    for image in range(3):
        block = table[4 * image : 4 * image + 4, 4 * image : 4 * image + 4]
        others = block[~np.eye(4, dtype=bool)].reshape(4, 3)
        assert found.image[image, 0] == pytest.approx(others.mean(), abs=1e-12)
        assert found.best[image, 0] == pytest.approx(others.max(1).mean(), abs=1e-12)


def test_undefined_pairs_are_counted_and_skipped(both):
    human, _, humans = both
    short = human.isel(fixation=slice(2)).assign_coords(n_fixations=("scanpath", [2] * 12))
    mixed = humans.paths
    cut = plain_paths(short)
    x = mixed.x.copy()
    x[0, 2:] = np.nan
    lengths = mixed.length.copy()
    lengths[0] = 2
    one_short = type(mixed)(x, mixed.y, mixed.duration, lengths, 800, 600, 24)
    candidates = Candidates(one_short, humans.image, np.arange(12))
    found = score(candidates, humans, "multimatch", chunk=1000)
    assert (found.n_undefined == 3).all()  # the short path against three others of its image
    assert np.isfinite(found.image).all()
    none = score(Candidates(cut, humans.image, np.arange(12)), humans, "multimatch", chunk=1000)
    assert (none.n_undefined == 36).all()
    assert np.isnan(none.image).all() and np.isnan(none.pair_mean).all()
