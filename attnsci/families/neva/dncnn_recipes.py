"""The denoiser's recipe, as data."""

import dataclasses
from typing import TYPE_CHECKING

from attnsci.checks import check_fraction, check_positive
from attnsci.errors import InvalidInput

if TYPE_CHECKING:
    from attnsci.families.neva.dncnn import DnCNNConfig


@dataclasses.dataclass(frozen=True)
class DnCNNTraining:
    """Reconstruction of sharp photographs from foveated views of them."""

    crop: int = 64
    """Side of the square pieces of photographs, in pixels."""
    batch_size: int = 8
    """Pieces an update, over all processes."""
    batches_per_epoch: int = 100
    """Updates between two validations."""
    learning_rate: float = 1e-3
    """Step size of Adam at the start."""
    half_life: float = 4.0
    """Epochs in which the step size halves."""
    zoom: float = 2.0
    """Pieces are enlarged up to so many times, so that soft photographs occur as well."""
    n_foveae: int = 3
    """Fixations in a view, at most."""
    sharp: float = 0.2
    """Share of the views that are sharp all over: the denoiser must leave these as they are."""
    sigma_px: float = 30.535
    """Standard deviation of the sharp region round a fixation."""
    blur_sigma_px: float = 10.0
    """Standard deviation of the blur elsewhere."""
    blur_size: int = 41
    """Side of the blur's kernel, odd."""
    blur_noise: float = 0.15
    """Standard deviation of the noise under the blur."""
    noise: float = 0.05
    """Largest standard deviation of the noise on a view; each piece draws its own from 0."""
    validation_crops: int = 128
    """Pieces of held-out photographs, the same at each validation."""
    seed: int = 0
    """Decides weights, pieces, fixations and noise."""

    def __post_init__(self) -> None:
        for name in ("crop", "batch_size", "batches_per_epoch", "n_foveae", "validation_crops"):
            check_positive(name, getattr(self, name), integer=True)
        for name in ("learning_rate", "half_life", "sigma_px", "blur_sigma_px", "blur_size"):
            check_positive(name, getattr(self, name))
        if not 1 <= self.zoom < float("inf"):
            raise InvalidInput(f"zoom must be 1 or more; got {self.zoom}.")
        for name in ("sharp", "blur_noise", "noise"):
            check_fraction(name, getattr(self, name))

    @property
    def model(self) -> "DnCNNConfig":
        """Architecture of the denoiser, for colour."""
        from attnsci.families.neva.dncnn import DnCNNConfig

        return DnCNNConfig()


PRESETS = {"foveated": DnCNNTraining()}
"""By name: views as NeVA has them."""
