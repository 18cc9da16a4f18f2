"""Experiments on answers, with models whose answers are known."""

import numpy as np
import pytest
import torch
import xarray as xr

from attnsci.data.stimuli import Images
from attnsci.errors import InvalidInput
from attnsci.experiments import answers
from attnsci.recording import collect
from attnsci.statistics.significance import wilson

LABELS = np.arange(40) % 4


def images(n=40):
    """Images that hold their label, with `n` stimuli."""
    return Images(
        torch.as_tensor(LABELS[:n], dtype=torch.float32).view(-1, 1, 1, 1), {"label": LABELS[:n]}
    )


class Knows:
    """Answers rightly from moment `sure` on, and before that class 0; looks where it is told."""

    def __init__(self, sure=0, moments=3, step_px=5.0):
        self.sure, self.moments, self.step_px = sure, moments, step_px
        self.settings = {"sure": sure}

    def state(self, guess):
        """Return units that vary, and tell the guess."""
        noise = torch.rand((*guess.shape, 4), generator=torch.Generator().manual_seed(0))
        return 10 * torch.nn.functional.one_hot(guess, 4) + noise

    def __call__(self, batch, rows):
        label = batch.image.flatten().long()
        guess = torch.stack(
            [label if t >= self.sure else torch.zeros_like(label) for t in range(self.moments)], 1
        )
        places = torch.arange(self.moments).float() * self.step_px
        return {
            "logits": (("time", "class"), torch.nn.functional.one_hot(guess, 4).float()),
            "location": (("time", "coordinate"), places[None, :, None].expand(len(label), -1, 2)),
            "hidden": (("time", "unit"), self.state(guess)),
        }


def test_the_error_is_that_of_the_last_moment():
    assert answers.error(Knows(sure=2), images()).estimates["estimate"].item() == 0
    outcome = answers.error(Knows(sure=9), images(), n_of="digits", network="never")
    (line,) = outcome.estimates.to_dict("records")
    assert (line["estimate"], line["n"], line["n_of"], line["network"]) == (
        75,
        40,
        "digits",
        "never",
    )
    assert line["low"] == pytest.approx(100 * (1 - wilson(10, 40).high))


def test_a_torch_module_is_asked_for_its_logits():
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(1, 4))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[0.0], [2.0], [4.0], [6.0]]))
        net[1].bias.copy_(-(torch.arange(4.0) ** 2))
    assert answers.error(net, images()).estimates["estimate"].item() == 0


def test_head_and_probe_after_each_moment():
    responses = collect(Knows(sure=1), images())
    outcome = answers.by_moment(responses, n_of="digits")
    head = outcome.at(readout="head").set_index("glimpse")
    assert head["estimate"].tolist() == [75, 0, 0] and head.index.tolist() == [1, 2, 3]
    probe = outcome.at(readout="probe").set_index("glimpse")["estimate"]
    assert probe[1] >= 50 and probe[2] == 0
    assert set(outcome.estimates["n"]) == {40}
    assert set(outcome.data["glimpses"].data_vars) == {"logits", "location"}


def test_others_that_look_are_paired_with_the_models_own_gaze():
    def asked(policy):
        return Knows(sure={"mean": 0, "late": 9, "good": 2}[policy])

    outcome = answers.swapped_gaze(asked, images(), {"late": "late", "good": "good"}, seed=0)
    error = outcome.at(quantity=answers.ERROR).set_index("policy")["estimate"]
    assert error.to_dict() == {"learned": 0, "late": 75, "good": 0}
    worse = outcome.at(quantity=answers.WORSE).set_index("policy")
    assert worse["estimate"].to_dict() == {"late": 75, "good": 0}
    assert worse.loc["late", "low"] < 75 < worse.loc["late", "high"]
    assert worse.loc["good", "low"] == worse.loc["good", "high"] == 0
    assert worse.loc["late", "note"].startswith("error 75.00 % [")
    assert outcome.data["policies"]["correct"].sel(policy="late").sum() == 10


def test_returns_are_counted_within_the_radius():
    outcome = answers.imposed_inhibition(
        lambda strength: Knows(step_px=5 * strength), images(), (0.0, 2.0), radius_px=6.0
    )
    returns = outcome.at(quantity=answers.RETURNS).set_index("strength")["estimate"]
    assert returns.to_dict() == {0.0: 100, 2.0: 0}
    assert outcome.at(quantity=answers.ERROR)["estimate"].tolist() == [0, 0]


def test_what_an_experiment_needs_and_does_not_get_is_named():
    bare = xr.Dataset({"logits": (("stimulus", "class"), np.zeros((3, 2)))})
    with pytest.raises(InvalidInput, match="'label'"):
        answers.correct(bare)
