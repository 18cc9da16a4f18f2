"""Features of mean 0 and deviation 1, by statistics of the training images."""

import torch
from torch import Tensor, nn

from attnsci.checks import check_positive, check_shape
from attnsci.errors import InvalidInput

LEAST = 1e-4
"""No deviation is taken to be less than this part of the largest: rounding is not blown up."""


class Standardiser(nn.Module):
    """Subtracts means and divides by deviations that were measured once.

    Parameters
    ----------
    n_features : int

    Attributes
    ----------
    mean, std : Tensor, shape (n_features,)
        In the state dict.
    n_measured : Tensor, int64
        On how many rows they were measured; 0 before `fit`.

    Examples
    --------
    >>> features = torch.tensor([[1.0, 20.0], [3.0, 40.0]])
    >>> scale = Standardiser(2)
    >>> scale.fit(features)
    >>> scale(features).tolist()
    [[-1.0, -1.0], [1.0, 1.0]]
    """

    mean: Tensor
    std: Tensor
    n_measured: Tensor

    def __init__(self, n_features: int) -> None:
        super().__init__()
        check_positive("n_features", n_features, integer=True)
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("std", torch.ones(n_features))
        self.register_buffer("n_measured", torch.tensor(0))

    @torch.no_grad()
    def fit(self, features: Tensor) -> None:
        """Measure the mean and the deviation of each feature.

        Parameters
        ----------
        features : Tensor, shape (N, n_features), float
            N is 2 or more.

        Raises
        ------
        InvalidInput
            If the shape differs, all features are constant, or one is NaN or infinite.
        """
        check_shape("features", features, ("N", len(self.mean)))
        if len(features) < 2:
            raise InvalidInput(f"Deviations need 2 rows of features or more; got {len(features)}.")
        std, mean = torch.std_mean(features.double(), 0, correction=0)
        largest = float(std.max())
        if not (0 < largest < float("inf")) or not bool(mean.isfinite().all()):
            raise InvalidInput(
                f"The largest deviation is {largest}, and it must be above 0 and finite; give the "
                "features of many different images."
            )
        self.mean.copy_(mean)
        self.std.copy_(std.clamp(min=LEAST * largest))
        self.n_measured.fill_(len(features))

    def forward(self, features: Tensor) -> Tensor:
        """Return features (N, n_features) with mean 0 and deviation 1.

        Raises
        ------
        InvalidInput
            If the shape differs, or `fit` was not called.
        """
        check_shape("features", features, ("N", len(self.mean)))
        if not int(self.n_measured):
            raise InvalidInput(
                "The features' mean and deviation are not known yet. Call fit with features of "
                "training images, or load weights that hold them."
            )
        return (features - self.mean) / self.std
