"""What the command line can do with What, Where and spatial transformers.

A frozen dataclass each, whose fields are flags. Nothing heavy is imported before a command runs,
so that ``--help`` answers at once.
"""

import dataclasses
from contextlib import nullcontext
from pathlib import Path

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.files import claim
from attnsci.training.configs import Device, Source


@dataclasses.dataclass(frozen=True)
class Evaluate:
    """Map a network's accuracy over the visual field, with its radial profile and intervals."""

    model: str = "what-28-seed0"
    """Shipped weights or a .safetensors file: a What, a spatial transformer, or RAM."""
    noise: float | None = None
    """Strength of the noise, 0 to 1; by default as in training, none for RAM."""
    contrast: tuple[float, float] = (0.3, 0.7)
    """Lowest and highest contrast of the digits in noise."""
    n: int = 200
    """Digits, each shown at every offset."""
    reach_px: int = 27
    """Largest offset, down, up and to both sides."""
    stride_px: int = 3
    """Distance of the offsets; 1 is the published map."""
    source: Source = "bundled"
    """Digits to show: those that came with the installation, or "full" MNIST."""
    seed: int = 0
    """Decides noise and contrasts."""
    device: Device = "auto"
    """Where to compute; auto takes an accelerator if there is one."""
    out: Path | None = None
    """Folder for map.png, map.svg, profile.csv and map.zarr; only printed without it."""

    def __post_init__(self) -> None:
        for name in ("n", "reach_px", "stride_px"):
            check_positive(name, getattr(self, name), integer=True)
        if self.stride_px > self.reach_px:
            raise InvalidInput(
                f"--stride-px {self.stride_px} leaves no offset within --reach-px {self.reach_px}."
            )

    def run(self) -> None:
        """Show the scenes, print the profile and write what was asked for."""
        from attnsci.families.what_where.evaluate import map_network

        settings = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        with nullcontext() if self.out is None else claim(self.out):
            print(map_network(settings.pop("model"), **settings))
