"""Banks whose filters come in fours, each a quarter turn of the last: a quarter of the memory.

Turning the whole bank by 90° about pixel (N/2, N/2) of the (periodic) square permutes filters,
so its matrix commutes with the turn. In the four Fourier modes of the turn it falls into
independent blocks: two real ones and a pair of complex conjugates, of which one is enough. That
takes 6/16 of the multiplications of the dense product, and is exact.
"""

import torch
from torch import Tensor, nn

from attnsci.checks import check_shape
from attnsci.errors import InvalidInput


def turned_pixels(size: int) -> Tensor:
    """Return where each pixel goes under 0 to 3 quarter turns from the row axis to the column's.

    Parameters
    ----------
    size : int
        Side of the square, even; pixel (size / 2, size / 2) stays and opposite edges meet.

    Returns
    -------
    Tensor, shape (4, size²), int64
        Flat indices.

    Examples
    --------
    >>> turned_pixels(4)[:, 3 * 4 + 2].tolist()  # one below the centre, then right, above, left
    [14, 11, 6, 9]
    """
    if size % 2:
        raise InvalidInput(f"size must be even, so that a pixel is the centre; got {size}.")
    down, right = torch.meshgrid(*(2 * [torch.arange(size) - size // 2]), indexing="ij")
    places = []
    for _ in range(4):
        places.append(((down + size // 2) % size) * size + (right + size // 2) % size)
        down, right = -right, down
    return torch.stack(places).flatten(1)


class QuarterTurnBank(nn.Module):
    """A bank of filters and their quarter turns.

    Parameters
    ----------
    filters : Tensor, shape (F, size²), float
        The filters of one quadrant.

    Examples
    --------
    >>> image = torch.rand(1, 16)
    >>> one_pixel = torch.eye(16)[[14]]
    >>> seen = QuarterTurnBank(one_pixel)(image)[0, :, 0]
    >>> bool(torch.allclose(seen, image[0, [14, 11, 6, 9]]))
    True
    """

    orbits: Tensor
    whole: Tensor
    alternating: Tensor
    turning: Tensor

    def __init__(self, filters: Tensor) -> None:
        super().__init__()
        check_shape("filters", filters, ("F", "size²"))
        size = round(filters.shape[1] ** 0.5)
        if size**2 != filters.shape[1]:
            raise InvalidInput(f"filters must be square images; got {filters.shape[1]} pixels.")
        self.size = size
        places = turned_pixels(size)
        # One pixel stands for its orbit; the few short orbits are run through more than once.
        first = places.amin(0) == places[0]
        orbits = places[:, first]
        repeats = (orbits == orbits[0]).sum(0)
        # (filter, pixel) for each of the four turns.
        values = filters.index_select(1, orbits.flatten()).unflatten(1, (4, -1))
        values /= repeats
        here, right, back, left = values.unbind(1)
        even, odd = here + back, right + left
        self.register_buffer("orbits", orbits, persistent=False)
        self.register_buffer("whole", (even + odd).div_(4), persistent=False)
        self.register_buffer("alternating", (even - odd).div_(4), persistent=False)
        turning = torch.cat([here - back, left - right]).div_(2)
        self.register_buffer("turning", turning, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Return the features of images (N, size²): (N, 4, F), quarter turns on the second axis."""
        parts = images.index_select(1, self.orbits.flatten()).unflatten(1, (4, -1))
        here, right, back, left = parts.unbind(1)
        even, odd = here + back, right + left
        whole = (even + odd) @ self.whole.T
        alternating = (even - odd) @ self.alternating.T
        product = torch.cat([here - back, left - right]) @ self.turning.T
        real, imaginary = product.unflatten(0, (2, -1)).unflatten(-1, (2, -1)).unbind(0)
        along = real[:, 0] + imaginary[:, 1]
        across = imaginary[:, 0] - real[:, 1]
        even, odd = whole + alternating, whole - alternating
        return torch.stack([even + along, odd - across, even - along, odd + across], 1)

    def dense(self) -> Tensor:
        """Return all filters (4, F, size²)."""
        real, imaginary = self.turning.chunk(2)
        even, odd = self.whole + self.alternating, self.whole - self.alternating
        values = torch.stack([even + real, odd - imaginary, even - real, odd + imaginary], 1)
        values *= (self.orbits == self.orbits[0]).sum(0)
        quadrant = values.new_empty(len(values), self.size**2)
        quadrant[:, self.orbits.flatten()] = values.flatten(1)
        return turned_filters(quadrant)


def turned_filters(filters: Tensor) -> Tensor:
    """Return filters (F, size²) and their quarter turns: (4, F, size²)."""
    places = turned_pixels(round(filters.shape[1] ** 0.5)).to(filters.device)
    # A filter turned by k has at a pixel what it had where 4 − k more turns take that pixel.
    return torch.stack([filters[:, places[-k % 4]] for k in range(4)])
