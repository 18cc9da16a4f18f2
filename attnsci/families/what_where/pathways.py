"""The two networks of the What/Where model: what the fovea names, what the periphery predicts.

Daucé, Albiges & Perrinet 2020, "A dual foveal-peripheral visual processing model implements
efficient saccade selection", Journal of Vision 20(8):22.
"""

import dataclasses
from typing import Any

from torch import Tensor, nn

from attnsci.checks import check_shape
from attnsci.errors import InvalidInput
from attnsci.families.what_where.config import WhatConfig, WhereConfig
from attnsci.families.what_where.lenet import LeNet
from attnsci.families.what_where.standardiser import Standardiser
from attnsci.sensors.log_polar_retina import LogPolarConfig, LogPolarRetina
from attnsci.sensors.whitening import WhiteningConfig


class WhatNet(LeNet):
    """Names the digit that the fovea sees.

    Parameters
    ----------
    config : WhatConfig, optional
        Architecture; keyword arguments replace single settings.
    **settings
        Fields of `WhatConfig`.

    Examples
    --------
    >>> import torch
    >>> WhatNet()(torch.rand(3, 1, 28, 28)).shape
    torch.Size([3, 10])
    """

    def __init__(self, config: WhatConfig | None = None, **settings: Any) -> None:
        config = dataclasses.replace(config or WhatConfig(), **settings)
        super().__init__(config.image_px, config.channels, config.hidden, config.n_classes)
        self.config = config


class WhereNet(nn.Module):
    """Predicts from the features of a log-polar retina how good it would be to look elsewhere.

    Parameters
    ----------
    config : WhereConfig, optional
        Architecture; keyword arguments replace single settings.
    **settings
        Fields of `WhereConfig`.

    Examples
    --------
    >>> import torch
    >>> from attnsci.families.what_where.config import where_preset
    >>> where = WhereNet(where_preset("where-published"))
    >>> where(torch.randn(3, 2880)).shape, sum(weights.numel() for weights in where.parameters())
    (torch.Size([3, 240]), 4126240)
    """

    def __init__(self, config: WhereConfig | None = None, **settings: Any) -> None:
        super().__init__()
        self.config = config = dataclasses.replace(config or WhereConfig(), **settings)
        self.standardiser = Standardiser(config.n_features) if config.standardised else None
        layers: list[nn.Module] = []
        for n_inputs in (config.n_features, config.hidden):
            layers += [nn.Linear(n_inputs, config.hidden), nn.ReLU()]
            if config.batch_norm:
                layers.append(nn.BatchNorm1d(config.hidden, momentum=config.bn_momentum))
        readout = nn.Linear(config.hidden, config.n_cells)
        self.layers = nn.Sequential(*layers, nn.Dropout(config.dropout), readout)

    def fit_features(self, features: Tensor) -> None:
        """Measure what features are standardised by, once, before training.

        Parameters
        ----------
        features : Tensor, shape (N, n_features)
            Of training images; some hundreds.

        Raises
        ------
        InvalidInput
            If the shape differs, or this network does not standardise features.
        """
        if self.standardiser is None:
            raise InvalidInput("This network does not standardise features: nothing to fit.")
        self.standardiser.fit(features)

    def forward(self, features: Tensor) -> Tensor:
        """Return logits (N, cells) of the accuracy to expect, for features (N, n_features).

        Raises
        ------
        InvalidInput
            If the shape differs, or the features' statistics are missing (`fit_features`).
        """
        check_shape("features", features, ("N", self.config.n_features))
        if self.standardiser is not None:
            features = self.standardiser(features)
        return self.layers(features)


def retina_layout(config: WhereConfig) -> LogPolarConfig:
    """Return the layout of the retina that a Where network reads, and of its collicular map."""
    return LogPolarConfig(
        config.image_px, config.n_theta, config.n_azimuth, config.n_ecc, config.n_phase
    )


def where_retina(config: WhereConfig) -> LogPolarRetina:
    """Return the retina that a Where network reads: whitening, then log-Gabor filters."""
    return LogPolarRetina(retina_layout(config), WhiteningConfig(config.image_px))
