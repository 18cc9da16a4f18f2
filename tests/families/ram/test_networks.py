import pytest
import torch

from attnsci.errors import InvalidInput
from attnsci.families.ram.networks import load_network, scenes_for

FILES = {
    "ram_original_epoch800.chainermodel": "mnist-28",
    "ram_translated_epoch800.chainermodel": "translated-60",
    "ram_cluttered_epoch1000.chainermodel": "cluttered-60",
}


def test_weights_know_their_scenes(plain, cluttered):
    for path, task, n_pieces in ((plain, "mnist-28", 0), (cluttered, "cluttered-60", 4)):
        network = load_network(path)
        assert network.task == network.factors["task"] == task
        scenes = scenes_for(network, seed=3)
        assert scenes.config.n_pieces == n_pieces and scenes.seed == (3,)
        assert scenes.clutter.split == ("train" if n_pieces else "test")


def test_a_network_says_what_it_is(plain):
    network = load_network(plain)
    assert network.factors == {
        "network": plain, "task": "mnist-28", "gaze": "learned", "seed": 0, "n_glimpses": 6,
    }  # fmt: skip
    with torch.no_grad():
        before = network.facts["weights_hash"]
        next(network.model.parameters()).add_(1)
    assert network.facts["weights_hash"] != before


@pytest.mark.data
@pytest.mark.parametrize("name", FILES)
def test_published_files_say_their_task(data_root, name):
    path = str(data_root / "ram" / name)
    assert load_network(path).task == FILES[name]


def test_what_cannot_be_shown_is_refused(cluttered):
    network = load_network(cluttered)
    with pytest.raises(InvalidInput, match="patches of 48 pixels, more than the 28"):
        scenes_for(network, task="mnist-28")
    with pytest.raises(InvalidInput, match="is a ObjectAttention, and this needs a RAM"):
        load_network("mnist-2-seed0")
    with pytest.raises(InvalidInput, match="is a CatchRAM, and this needs a RAM"):
        load_network("ram-catch-seed0")
