"""Spatial transformers of noisy digits: a network chooses what part of the image another sees.

Jaderberg et al. 2015, "Spatial Transformer Networks", arXiv 1506.02025, and the attention-only
and log-polar networks of Dabane, Perrinet & Daucé 2022, "What you see is what you transform:
foveated spatial transformers as a bio-inspired attention mechanism", IJCNN. A localisation network
gives the parameters of a transform, a sampler takes the image through it, and a classifier names
the digit in what comes out. The presets are in `spatial_transformer_config`.
"""

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from attnsci.checks import check_positive, check_shape
from attnsci.errors import InvalidInput
from attnsci.families.what_where.lenet import LeNet
from attnsci.families.what_where.localisation import (
    ConvLocalisation,
    ConvPoloLocalisation,
    PoloLocalisation,
)
from attnsci.families.what_where.transformer_config import SpatialTransformerConfig
from attnsci.gaze import from_arrays
from attnsci.geometry import Viewing
from attnsci.models.images import check_images
from attnsci.models.looking.base import viewing_of_images
from attnsci.provenance import state_hash, to_json
from attnsci.sensors.affine import SAMPLERS, SpatialSampler
from attnsci.sensors.polo import (
    CONV_POLO_INNER,
    CONV_POLO_OUTER,
    POLO_85_INNER,
    POLO_85_OUTER,
    DualPoloRetina,
    PoloConfig,
    PoloRetina,
)

if TYPE_CHECKING:
    import xarray as xr


class Transformed(NamedTuple):
    """All that happened to N images.

    Attributes
    ----------
    logits : Tensor, shape (N, class)
    parameters : Tensor, shape (N, P)
        Of the transforms, as the localisation network gave them, before limits.
    seen : Tensor, shape (N, 1, *out_size)
        What the classifier saw.
    locations : Tensor, shape (N, 2, 2)
        The image's centre, and where the middle of what was seen lies; in pixels (x, y).
    """

    logits: Tensor
    parameters: Tensor
    seen: Tensor
    locations: Tensor


class SpatialTransformer(nn.Module):
    """Transforms an image as it sees fit and says what it is.

    Parameters
    ----------
    config : SpatialTransformerConfig, optional
        Architecture; keyword arguments replace single settings.
    **settings
        Fields of `SpatialTransformerConfig`.

    Examples
    --------
    >>> from attnsci.families.what_where.transformer_config import preset
    >>> model = SpatialTransformer(preset("stn-28"))
    >>> images = torch.rand(5, 1, 28, 28)
    >>> found = model.rollout(images)  # untrained, it shows its classifier the image
    >>> found.logits.shape, bool(torch.allclose(found.seen, images, atol=1e-5))
    (torch.Size([5, 10]), True)
    """

    name = "SpatialTransformer"

    def __init__(self, config: SpatialTransformerConfig | None = None, **settings: Any) -> None:
        super().__init__()
        self.config = config = dataclasses.replace(config or SpatialTransformerConfig(), **settings)
        self.sampler = SpatialSampler(SAMPLERS[config.sampler])
        self.localisation = _localisation(config, self.sampler.start)
        self.classifier = LeNet(
            self.sampler.config.out_size[0],
            config.classifier_channels,
            config.classifier_hidden,
            config.n_classes,
        )

    @property
    def measures_features(self) -> bool:
        """Whether `fit_features` is needed: features of a retina are standardised."""
        return self.config.standardised and self.config.localisation != "conv"

    def fit_features(self, images: Tensor) -> None:
        """Measure what the features of the retina are standardised by, once, before training.

        Parameters
        ----------
        images : Tensor, shape (N, 1, image_px, image_px), float in [0, 1]
            Of the training set; some hundreds.

        Raises
        ------
        InvalidInput
            If images cannot be looked at, or this model does not standardise features.
        """
        self._check(images)
        if isinstance(self.localisation, ConvLocalisation):
            raise InvalidInput("This model has no retina: there are no features to standardise.")
        self.localisation.fit_features(images)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, class) of images (N, 1, image_px, image_px)."""
        return self.rollout(images).logits

    def rollout(self, images: Tensor) -> Transformed:
        """Look at images, and keep what happened.

        Parameters
        ----------
        images : Tensor, shape (N, 1, image_px, image_px), float in [0, 1]

        Returns
        -------
        Transformed

        Raises
        ------
        InvalidInput
            If images have another shape or are no numbers in [0, 1], or the features' statistics
            are missing (`fit_features`).
        """
        self._check(images)
        raw = self.localisation(images)
        seen = self.sampler(images, raw)
        landing = self.sampler.fixations(raw, (images.shape[-2], images.shape[-1]))
        centre = torch.full_like(landing, self.config.image_px / 2)
        return Transformed(self.classifier(seen), raw, seen, torch.stack([centre, landing], 1))

    @torch.no_grad()
    def look(
        self,
        images: Tensor,
        *,
        image: Sequence[str] | None = None,
        viewing: Viewing | None = None,
        chunk: int = 256,
    ) -> "xr.Dataset":
        """Return the scanpaths: from the image's centre to where the transform looks.

        Parameters
        ----------
        images : Tensor, shape (N, 1, image_px, image_px), float in [0, 1]
        image : sequence of str, length N, optional
            Names; "0", "1", … if not given.
        viewing : Viewing, optional
            Geometry, in pixels of `images`.
        chunk : int
            Images that are looked at together.

        Returns
        -------
        xarray.Dataset
            The container of `attnsci.gaze`, two fixations an image, the second off the image
            where a transform without limits looks away, with ``prediction`` and its softmax
            ``confidence`` on scanpath. For transforms that a matrix describes (all but thin
            plates) also ``theta``, its six entries row by row, and ``zoom``, the width of what is
            seen in widths of the image: the root of the determinant's size.

        Raises
        ------
        InvalidInput
            As `rollout`, or if names are doubled or the viewing is of another size.
        """
        names = check_images(images, image)
        geometry = viewing_of_images(images, viewing)
        check_positive("chunk", chunk, integer=True)
        found = [self.rollout(part) for part in images.split(chunk)]
        xy = torch.cat([part.locations for part in found]).double().cpu().numpy()
        paths = from_arrays(
            xy[..., 0], xy[..., 1], image=names, observer=self.name, viewing=geometry
        )
        best = torch.cat([part.logits for part in found]).softmax(-1).max(-1)
        paths["prediction"] = "scanpath", best.indices.cpu().numpy()
        paths["confidence"] = "scanpath", best.values.cpu().numpy()
        if self.sampler.config.kind != "thin-plate":
            theta = self.sampler.matrices(torch.cat([part.parameters for part in found]))
            paths["theta"] = ("scanpath", "entry"), theta.flatten(1).cpu().numpy()
            zoom = torch.linalg.det(theta[..., :2]).abs().sqrt()
            paths["zoom"] = "scanpath", zoom.cpu().numpy()
        return paths.assign_attrs(provenance=to_json(self.provenance()))

    def provenance(self) -> dict[str, Any]:
        """Return what is needed to look in the same way again."""
        return {
            "model": self.name,
            "config": self.config,
            "weights": state_hash(self.state_dict()),
        }

    def _check(self, images: Tensor) -> None:
        check_images(images, None)
        check_shape("images", images, ("N", 1, self.config.image_px, self.config.image_px))


def _localisation(
    config: SpatialTransformerConfig, start: Tensor
) -> ConvLocalisation | PoloLocalisation:
    hidden, standardised = config.localisation_hidden, config.standardised
    if config.localisation == "conv":
        return ConvLocalisation(config.image_px, config.conv_channels, hidden, start, standardised)
    if config.localisation == "polo":
        one = PoloRetina(
            PoloConfig(config.image_px, n_levels=config.polo_levels, n_sub=config.polo_rings)
        )
        return PoloLocalisation(one, standardised, hidden, start)
    if config.localisation == "dual-polo":
        return PoloLocalisation(
            _dual(config, POLO_85_INNER, POLO_85_OUTER), standardised, hidden, start
        )
    both = _dual(config, CONV_POLO_INNER, CONV_POLO_OUTER)
    return ConvPoloLocalisation(both, standardised, hidden, start, config.circular)


def _dual(config: SpatialTransformerConfig, inner: PoloConfig, outer: PoloConfig) -> DualPoloRetina:
    size = config.image_px
    return DualPoloRetina(
        dataclasses.replace(inner, size=size), dataclasses.replace(outer, size=size)
    )
