"""A convolution with a fovea: the centre at twice and four times the resolution of the rest.

Harris, Niranjan & Hare 2019, "Foveated Convolutions: Improving Spatial Transformer Networks by
Modelling the Retina", SVRHM workshop at NeurIPS. Four branches see squares that shrink by halves
about the centre, and all of them give maps of half the input's size.
"""

import torch
from torch import Tensor, nn

from attnsci.checks import check_positive
from attnsci.errors import InvalidInput
from attnsci.sensors.centred import CentredSensor


class FoveatedConv2d(CentredSensor):
    """Four convolutions about the fixation, a quarter of the output channels each.

    Parameters
    ----------
    in_channels, out_channels : int
        The latter a multiple of 4.
    size : int
        Side of the input, a multiple of 16.
    pool : bool
        See the whole through averages of 2 × 2 pixels and a dense kernel; else through a dilated
        kernel with a stride of 2.
    fill : float
        What is seen off the image.

    Raises
    ------
    InvalidInput
        If a number does not fit.

    Examples
    --------
    >>> layer = FoveatedConv2d(3, 32)
    >>> layer(torch.rand(2, 3, 96, 96)).shape
    torch.Size([2, 32, 48, 48])
    >>> layer(torch.rand(2, 3, 60, 60), torch.tensor([[10.0, 50.0], [30.5, 30.0]])).shape
    torch.Size([2, 32, 48, 48])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        size: int = 96,
        *,
        pool: bool = False,
        fill: float = 0.5,
    ) -> None:
        super().__init__(size, fill)
        for name, value in (("in_channels", in_channels), ("out_channels", out_channels)):
            check_positive(name, value, integer=True)
        if out_channels % 4 or size % 16:
            raise InvalidInput(
                "out_channels must be a multiple of 4 and size of 16, so that the branches fit "
                f"together; got {out_channels} and {size}."
            )
        self.n_channels = in_channels
        channels = (in_channels, out_channels // 4)
        self.whole: nn.Module
        if pool:
            self.whole = nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(*channels, 3, padding=1))
        else:
            self.whole = nn.Conv2d(*channels, 3, stride=2, dilation=2, padding=2)
        self.centre_2 = nn.Conv2d(*channels, 3, padding=1)
        self.centre_4 = nn.ConvTranspose2d(*channels, 3, stride=2, padding=1, output_padding=1)
        self.centre_8 = nn.ConvTranspose2d(*channels, 3, stride=4, output_padding=1)

    def encode(self, images: Tensor) -> Tensor:
        """Return the maps (N, out_channels, size / 2, size / 2), the widest branch first."""
        branches = (self.whole, self.centre_2, self.centre_4, self.centre_8)
        seen = []
        for halvings, branch in enumerate(branches):
            border = (self.size - (self.size >> halvings)) // 2
            inside = slice(border, self.size - border)
            seen.append(branch(images[..., inside, inside]))
        return torch.cat(seen, 1)
