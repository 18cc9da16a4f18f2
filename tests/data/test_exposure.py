import pytest

from attnsci.data.exposure import PERHAPS_SEEN, SEEN, UNSEEN, exposure


@pytest.mark.parametrize(
    ("record", "source", "split", "expected"),
    [
        ({"data": {"n_bundled_test": 0}}, "bundled", "test", UNSEEN),
        ({"data": {"n_bundled_test": 3}}, "bundled", "test", SEEN),
        ({"data": {"n_bundled_test": 0}, "validation_data": {"n_bundled_test": 1}}, "bundled",
         "test", SEEN),
        ({}, "bundled", "test", PERHAPS_SEEN),
        ({"data": {"n_bundled_test": 0}}, "bundled", "train", SEEN),
        ({"data": {"n_bundled_test": 3}}, "full", "test", UNSEEN),
        ({}, "full", "test", UNSEEN),
    ],
)  # fmt: skip
def test_digits_seen_in_training_are_known_as_such(record, source, split, expected):
    assert exposure(record, source, split) == expected
