import dataclasses
from pathlib import Path

from attnsci.data.digits import load_mnist
from attnsci.data.ram_scenes import PRESETS, ClutteredScenes
from attnsci.data.stimuli import some
from attnsci.experiments.answers import ERROR, error
from attnsci.experiments.outcome import together
from attnsci.families.zoo import load_model
from attnsci.papers.paper import Paper, Say, Step
from attnsci.plotting.curves import plot_estimates
from attnsci.plotting.style import PAGE_MM, figure
from attnsci.provenance import state_hash


@dataclasses.dataclass(frozen=True)
class Scale:
    n: int


class Subject:
    def __init__(self, run):
        self.networks = {name: load_model(name).model for name in run.request.weights}
        self.scenes = some(ClutteredScenes(load_mnist("test"), PRESETS["mnist-28"]), run.scale.n)
        self.facts = {
            name: state_hash(network.state_dict()) for name, network in self.networks.items()
        }
        self.caption = f"{len(self.scenes)} digits."


def windows(run, subject):
    """Measure the error by what is seen at a glance."""
    return together(
        {
            network.config.window_px: error(network, subject.scenes, n_of="digits")
            for network in subject.networks.values()
        },
        "window_px",
    )


def draw(outcomes):
    drawing = figure(PAGE_MM, 40)
    plot_estimates(outcomes["windows"].estimates, "window_px", ax=drawing.subplots())
    return drawing


PAPER = Paper(
    name="glance",
    title="One glance at a digit",
    scales={"quick": Scale(100), "default": Scale(500), "paper": Scale(1000)},
    prepare=Subject,
    published=Path(__file__).with_name("published.csv"),
    steps=(
        Step("windows", windows, draw, {ERROR: Say("test error (%), window of {window_px} px")}),
    ),
)
