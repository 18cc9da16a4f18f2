"""What every model that looks at images asks of them."""

from collections.abc import Sequence

from torch import Tensor

from attnsci.errors import InvalidInput


def check_images(images: Tensor, names: Sequence[str] | None) -> list[str]:
    """Return the names of images (N, C, H, W) that can be looked at.

    Raises
    ------
    InvalidInput
        If their shape, type, range or number of names is wrong, or one holds NaN.
    """
    if images.ndim != 4 or not images.is_floating_point() or 0 in images.shape:
        raise InvalidInput(
            f"images must be floats (N, C, H, W); got {images.dtype} {tuple(images.shape)}."
        )
    labels = [str(i) for i in range(len(images))] if names is None else [str(n) for n in names]
    if len(labels) != len(images) or len(set(labels)) != len(labels):
        raise InvalidInput(f"{len(images)} images need as many different names; got {labels}.")
    least, most = images.aminmax()
    if least >= 0 and most <= 1:
        return labels
    low, high = images.flatten(1).aminmax(dim=1)
    bad = ~((low >= 0) & (high <= 1))  # NaN is neither
    if bad.any():
        row = int(bad.nonzero()[0])
        raise InvalidInput(
            f"Image {labels[row]!r} has values from {float(low[row]):g} to {float(high[row]):g}; "
            "images must lie in [0, 1] without NaN. Normalisation belongs into the task model."
        )
    return labels
