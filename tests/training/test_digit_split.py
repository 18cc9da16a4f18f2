"""Digits to learn from and digits to validate on."""

import numpy as np
import pytest

from attnsci.data.digits import load_mnist
from attnsci.errors import InvalidInput
from attnsci.seeds import numpy_generator
from attnsci.training.digit_split import split_digits


@pytest.fixture(scope="module")
def digits():
    return load_mnist("train", "bundled").subset(np.arange(100))


def test_the_two_parts_are_all_digits_once(digits):
    training, validation = split_digits("bundled", 0.3, 10, (4, 1), digits)
    assert (len(training), len(validation)) == (70, 30)
    assert sorted([*training.index, *validation.index]) == sorted(digits.index)
    # Trained weights depend on this very draw.
    chosen = numpy_generator(4, 1).permutation(100)[:30]
    np.testing.assert_array_equal(validation.index, digits.index[np.sort(chosen)])


def test_other_keys_draw_other_digits(digits):
    one = split_digits("bundled", 0.3, 10, (4, 1), digits)[1]
    for key in ((5, 1), (4, 2)):
        assert set(split_digits("bundled", 0.3, 10, key, digits)[1].index) != set(one.index)


def test_full_training_leaves_out_the_bundled_test_digits(monkeypatch, digits):
    asked = []
    monkeypatch.setattr(
        "attnsci.training.digit_split.load_mnist",
        lambda *arguments, **options: asked.append((arguments, options)) or digits,
    )
    for source in ("full", "bundled"):
        split_digits(source, 0.3, 10, (0, 1))
    assert asked == [
        (("train", "full"), {"leave_out_bundled_test": True}),
        (("train", "bundled"), {"leave_out_bundled_test": False}),
    ]


@pytest.mark.parametrize(("fraction", "batch"), [(0.001, 10), (0.95, 10)])
def test_too_few_digits_are_refused(digits, fraction, batch):
    with pytest.raises(InvalidInput, match="at least 1 and a batch of 10 are needed"):
        split_digits("bundled", fraction, batch, (0, 1), digits)
