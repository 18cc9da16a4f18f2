"""A denoiser: what a foveated view shows, sharpened as far as it allows.

After Zhang, Zuo, Chen, Meng & Zhang 2017, *Beyond a Gaussian Denoiser: Residual Learning of Deep
CNN for Image Denoising*, IEEE Transactions on Image Processing 26:3142, arXiv 1608.03981. As the
task model of NeVA it makes looking serve reconstruction.
"""

import dataclasses

from torch import Tensor, nn

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput


@dataclasses.dataclass(frozen=True)
class DnCNNConfig:
    """Architecture; the defaults are the published network for colour (559,363 parameters)."""

    channels: int = 3
    """Channels of the image."""
    depth: int = 17
    """Convolutions, 3 × 3 each."""
    features: int = 64
    """Channels between them."""

    def __post_init__(self) -> None:
        for name in ("channels", "depth", "features"):
            check_positive(name, getattr(self, name), integer=True)
        if self.depth < 2:
            raise InvalidInput(f"depth must be 2 or more; got {self.depth}.")


class DnCNN(nn.Module):
    """Convolutions that predict what to take off an image.

    Parameters
    ----------
    config : DnCNNConfig, optional

    References
    ----------
    Zhang et al. 2017, arXiv 1608.03981.

    Examples
    --------
    >>> import torch
    >>> denoiser = DnCNN().eval()
    >>> denoiser(torch.rand(1, 3, 20, 30)).shape
    torch.Size([1, 3, 20, 30])
    >>> sum(parameter.numel() for parameter in denoiser.parameters())
    559363
    """

    def __init__(self, config: DnCNNConfig | None = None) -> None:
        super().__init__()
        self.config = config or DnCNNConfig()
        channels, features = self.config.channels, self.config.features
        layers: list[nn.Module] = [nn.Conv2d(channels, features, 3, padding=1), nn.ReLU()]
        for _ in range(self.config.depth - 2):
            layers += [
                nn.Conv2d(features, features, 3, padding=1),
                nn.BatchNorm2d(features),
                nn.ReLU(),
            ]
        layers.append(nn.Conv2d(features, channels, 3, padding=1))
        self.layers = nn.Sequential(*layers)
        for module in self.layers:
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Return images (N, C, H, W) less the residual that the layers see in them."""
        return images - self.layers(images)
