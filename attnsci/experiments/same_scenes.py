"""Several models at the very same scenes: how often they are right, and who more often."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import xarray as xr
from torch import Tensor, nn

from attnsci.errors import InvalidInput
from attnsci.experiments.outcome import Outcome, row, tabled
from attnsci.recording.responses import Response, Stimuli, classifier, collect
from attnsci.statistics.estimates import bootstrap
from attnsci.statistics.significance import wilson

ACCURACY, ADVANTAGE = "accuracy", "difference of accuracies"


class Rivals:
    """Several models as one ask: they see the very same scenes, which are made but once."""

    def __init__(self, asks: Mapping[str, Any]) -> None:
        self.asks: dict[str, Any] = {
            name: classifier(ask) if isinstance(ask, nn.Module) else ask
            for name, ask in asks.items()
        }
        models = {name: getattr(ask, "model", None) for name, ask in self.asks.items()}
        self.model = nn.ModuleList(m for m in models.values() if isinstance(m, nn.Module))
        self.settings = {
            name: ask if getattr(ask, "settings", None) is None else ask.settings
            for name, ask in self.asks.items()
        }
        self.names: tuple[str, ...] = ()
        """Of the conditions of all models, once they have answered."""

    def __call__(self, batch: Any, rows: slice) -> Response:
        """Return ``prediction``, ``confidence``, ``location`` and ``gain`` by model."""
        answers = dict(
            answer for name, ask in self.asks.items() for answer in _answers(name, ask, batch, rows)
        )
        self.names = tuple(answers)
        dims = {"location": ("model", "coordinate")}
        return {
            word: (
                dims.get(word, ("model",)),
                torch.stack([answer[word] for answer in answers.values()], 1),
            )
            for word in ("prediction", "confidence", "location", "gain")
        }


def _answers(
    name: str, ask: Any, batch: Any, rows: slice
) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """Yield what a model answers, by condition: after each saccade, where it makes several."""
    response = ask(batch, rows)
    if "logits" not in response:
        raise InvalidInput(
            f"A benchmark needs 'logits' of every scene; {name} gives {', '.join(response)}."
        )
    dims, logits = response["logits"]
    nothing = logits.new_full(logits.shape[:-1], torch.nan, dtype=torch.float32)
    location = response["location"][1] if "location" in response else nothing[..., None]
    gain = response["gain"][1] if "gain" in response else nothing
    best = logits.softmax(-1).max(-1)
    answer = {
        "prediction": best.indices.to(torch.int16),
        "confidence": best.values,
        "location": location.expand(*nothing.shape, 2),
        "gain": gain,
    }
    if "time" not in dims:
        yield name, answer
        return
    for k in range(nothing.shape[1]):
        title = f"{name}, {k} saccade{'' if k == 1 else 's'}"
        yield title, {word: values[:, k] for word, values in answer.items()}


def recognition(
    asks: Mapping[str, Any], stimuli: Stimuli, *, n_of: str = "stimuli", **how: Any
) -> Outcome:
    """Show the very same stimuli to several models and count how often each is right.

    Parameters
    ----------
    asks : mapping of str to Ask or torch.nn.Module
        By name; each answers ``logits``.
    stimuli : stimuli by index
        With ``label``.
    n_of : str
        What stimuli are called.
    **how
        Of `attnsci.recording.responses.collect`: ``store``, ``batch_size``, ``progress`` …

    Returns
    -------
    Outcome
        `ACCURACY` by ``model``. Data ``recognition``: ``correct`` by model and stimulus.
    """
    rivals = Rivals(asks)
    responses = collect(rivals, stimuli, **how).load()
    correct = (responses["prediction"] == responses["label"]).transpose("model", "stimulus")
    correct = correct.drop_attrs().assign_coords(model=list(rivals.names))
    rows = [
        row(ACCURACY, wilson(int(right.sum()), right.size), n_of, model=str(right["model"].values))
        for right in correct
    ]
    return tabled(rows, recognition=correct.to_dataset(name="correct"))


def advantage(first: xr.DataArray, second: xr.DataArray, **factors: Any) -> Outcome:
    """Measure by how much some models are right more often than others, on the same scenes.

    Parameters
    ----------
    first, second : xarray.DataArray of bool, (model, stimulus)
        As `recognition` leaves it: of networks that differ in their seed only.
    **factors
        More columns.

    Returns
    -------
    Outcome
        `ADVANTAGE` of the mean of the first, with a paired bootstrap over scenes.
    """
    means = [part.astype(float).mean("model").values for part in (first, second)]
    difference = bootstrap(means[0] - means[1], seed=0)
    shares = [part.mean("stimulus").values for part in (first, second)]
    single = shares[0][:, None] - shares[1]
    note = (
        f"means over {first.sizes['model']} seed(s) each; single seeds differ by "
        f"{single.min():+.3f} to {single.max():+.3f}"
    )
    return tabled([row(ADVANTAGE, difference, "scenes", note=note, **factors)])
