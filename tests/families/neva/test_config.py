import dataclasses

import pytest

from attnsci.errors import InvalidInput
from attnsci.families.neva.config import LEGACY, PRESETS, RECOMMENDED, REFERENCE, NeVAConfig


def test_presets_differ_in_what_the_published_code_does_by_accident():
    changed = {
        field.name
        for field in dataclasses.fields(NeVAConfig)
        if getattr(LEGACY, field.name) != getattr(REFERENCE, field.name)
    }
    assert changed == {"best_position", "bounds", "draws"}
    assert (LEGACY.best_position, LEGACY.bounds, LEGACY.draws) == ("stepped", "none", "batch")
    assert (REFERENCE.search, REFERENCE.iterations, REFERENCE.step) == ("sign-gradient", 20, 0.1)
    assert REFERENCE.discount == LEGACY.discount == "commit"
    assert REFERENCE.precision == LEGACY.precision == "float32"
    assert (RECOMMENDED.search, RECOMMENDED.grid, RECOMMENDED.refinements) == ("grid", 5, 2)
    assert RECOMMENDED.discount == "search"
    assert PRESETS == {"recommended": RECOMMENDED, "reference": REFERENCE, "legacy": LEGACY}


@pytest.mark.parametrize(
    "settings",
    [
        {"search": "newton"}, {"iterations": 0}, {"iterations": 2.5}, {"step": -0.1},
        {"patience": 0}, {"grid": 0}, {"refinements": -1}, {"coarse_px": 0}, {"keep": 0},
        {"discount": "never"}, {"best_position": "last"}, {"bounds": "screen"},
        {"draws": "all"}, {"inhibition": -1.0}, {"inhibition_sigma_px": 0},
        {"saccade_cost": -1.0}, {"precision": "float16"},
    ],
)  # fmt: skip
def test_settings_that_cannot_be(settings):
    (name,) = settings
    with pytest.raises(InvalidInput, match=name):
        NeVAConfig(**settings)


@pytest.mark.parametrize(
    "setting", [{"inhibition": 1.0}, {"saccade_cost": 1.0}, {"restarts": True}]
)
def test_the_joint_search_refuses_what_it_would_ignore(setting):
    with pytest.raises(InvalidInput, match="joint search knows no"):
        NeVAConfig(search="joint", **setting)


def test_no_image_is_enlarged_for_a_coarse_look():
    config = NeVAConfig(coarse_px=96)
    assert config.for_side(97) is config
    assert config.for_side(96).coarse_px is None
    assert NeVAConfig(coarse_px=None).for_side(500).coarse_px is None
