"""The classifier that What and the spatial transformers of noisy digits share.

After LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document
recognition", Proceedings of the IEEE 86:2278.
"""

from torch import Tensor, nn

from attnsci.checks import check_shape
from attnsci.errors import InvalidInput


class LeNet(nn.Sequential):
    """Two convolutions, each with pooling, and two layers.

    Parameters
    ----------
    image_px : int
        Side of the images.
    channels : int
        Of the second convolution; the first has 20.
    hidden : int
        Rectified units.
    n_classes : int

    Raises
    ------
    InvalidInput
        If the convolutions leave nothing of the images.

    Examples
    --------
    >>> import torch
    >>> net = LeNet()
    >>> net(torch.rand(3, 1, 28, 28)).shape, sum(weights.numel() for weights in net.parameters())
    (torch.Size([3, 10]), 431080)
    """

    def __init__(
        self, image_px: int = 28, channels: int = 50, hidden: int = 500, n_classes: int = 10
    ) -> None:
        side = ((image_px - 4) // 2 - 4) // 2
        if side < 1:
            raise InvalidInput(f"Images of {image_px} pixels are too small; 16 is the least.")
        super().__init__(
            nn.Conv2d(1, 20, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(20, channels, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(channels * side**2, hidden),
            nn.ReLU(),
            nn.Linear(hidden, n_classes),
        )
        self.image_px = image_px

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, class) of images (N, 1, image_px, image_px).

        Raises
        ------
        InvalidInput
            If images have another shape.
        """
        check_shape("images", images, ("N", 1, self.image_px, self.image_px))
        return super().forward(images)
