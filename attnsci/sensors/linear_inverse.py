"""From the features of linear filters back to an image: least squares with a small ridge."""

import torch
from torch import Tensor

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput

RIDGE = 1e-6
"""Ridge in parts of the largest diagonal entry of the Gram matrix."""


class LinearInverse:
    """The smallest image whose features under a bank of filters are nearly the given ones.

    The Gram matrix is factorised once, in double precision: banks are redundant, their Gram
    matrices nearly singular.

    Parameters
    ----------
    bank : Tensor, shape (F, P), float
        One filter a row.
    ridge : float
        In parts of the Gram matrix' largest diagonal entry.

    Raises
    ------
    InvalidInput
        If the ridge is not above zero or too small for the matrix to be factorised.

    Examples
    --------
    >>> bank = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]])
    >>> LinearInverse(bank)(torch.tensor([[2.0, 5.0]])).round(decimals=3).tolist()
    [[2.0, 3.0, 0.0]]
    """

    def __init__(self, bank: Tensor, ridge: float = RIDGE) -> None:
        check_positive("ridge", ridge)
        self.bank = bank
        rows = bank.detach().cpu().double()
        gram = rows @ rows.T
        gram.diagonal().add_(ridge * gram.diagonal().max())
        factor, failed = torch.linalg.cholesky_ex(gram)
        if failed:
            raise InvalidInput(
                f"The filters depend on each other too closely for a ridge of {ridge}; give a "
                "larger one."
            )
        self._factor = factor

    def __call__(self, features: Tensor) -> Tensor:
        """Return the images (N, P) of features (N, F), of their dtype and on their device."""
        if features.ndim != 2 or features.shape[1] != len(self.bank):
            raise InvalidInput(
                f"features must have shape (N, {len(self.bank)}); got {tuple(features.shape)}."
            )
        # Solved where the factor is: not every device has double precision.
        weights = torch.cholesky_solve(features.cpu().double().T, self._factor).T
        return weights.to(features) @ self.bank.to(features)
