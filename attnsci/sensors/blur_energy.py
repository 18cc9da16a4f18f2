"""What a fixation saves of the squared error that blur costs, for every position at once."""

import torch
from torch import Tensor


def blur_loss_map(residual: Tensor, memory: Tensor, sigma_px: float, amplitude: float) -> Tensor:
    """Return the squared error of what is seen after a fixation at the centre of every pixel.

    Exact while memory and mask do not pass 1 together; a bound from above where they do.

    Parameters
    ----------
    residual : Tensor, shape (N, C, H, W)
        Blurred minus sharp image.
    memory : Tensor, shape (N, 1, H, W)
        What is seen already, 0 to 1.
    sigma_px, amplitude : float
        Of the fovea's Gaussian mask.

    Returns
    -------
    Tensor, shape (N, H, W)
        Mean over pixels and channels.
    """
    energy = residual.square().sum(1)
    channels, height, width = residual.shape[1:]
    rows, columns = (
        torch.exp(
            -((torch.arange(n, device=residual.device, dtype=residual.dtype)[:, None]
               - torch.arange(n, device=residual.device, dtype=residual.dtype)) ** 2)
            / (2 * sigma_px**2)
        )
        for n in (height, width)
    )  # fmt: skip
    hidden = (1 - memory[:, 0]).clamp(0, 1)
    gain = rows @ (energy * hidden) @ columns
    overlap = rows.square() @ energy @ columns.square()
    total = (energy * hidden.square()).sum((1, 2))[:, None, None]
    return (total - 2 * amplitude * gain + amplitude**2 * overlap) / (channels * height * width)
