"""Saliency after Itti, Koch and Niebur: what differs from its surround, on many scales at once.

The published model works on images of 640 × 480 pixels: centres on scales 2 to 4 of a dyadic
pyramid, surrounds 3 and 4 scales coarser, the saliency map on scale 4. Here an image of any size
is first brought to `short_side_px` (128, near scale 2 of the published size), so that centres lie
on scales 0 to 2 and the map on scale 2: features are as large relative to the image, and the cost
does not depend on its size.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

from attnsci.checks import check_option, check_positive, check_shape
from attnsci.errors import InvalidInput

CENTRES, SURROUNDS = (0, 1, 2), (3, 4)
MAP_SCALE = 2
ORIENTATIONS = (0.0, 45.0, 90.0, 135.0)
GABOR_SIZE, GABOR_PERIOD, GABOR_SIGMA = 9, 7.0, 7 / 3
"""In pixels of each scale, as in the SaliencyToolbox (Walther & Koch 2006)."""
ITERATIONS = 10
FLAT = 1e-5
"""A map that spans less than this holds rounding errors; stretching it would make them features."""
NORMALISATIONS = ("local maxima", "iterative")


def itti_koch(
    images: Tensor, *, normalisation: str = "local maxima", short_side_px: int = 128
) -> Tensor:
    """Return saliency from contrasts of intensity, colour and orientation.

    Intensity, red–green and blue–yellow opponency, and the energy of Gabor filters at four
    orientations are compared between a centre and a coarser surround. Every map of differences is
    stretched to [0, 1] and promoted if it has few peaks; maps are summed within the three
    features, promoted again, and averaged.

    Parameters
    ----------
    images : Tensor, shape (N, C, H, W), float in [0, 1]
        Grey (C = 1) or colour (C = 3).
    normalisation : {"local maxima", "iterative"}
        How maps with few peaks are promoted: by the squared distance of the highest peak from
        the mean of the others (1998; two equal peaks annul a map), or by repeated competition of
        each place with its surround (2000).
    short_side_px : int
        The shorter side at which the image is worked on.

    Returns
    -------
    Tensor, shape (N, H, W), of the images' dtype
        0 or more, in arbitrary units; zero everywhere where nothing stands out.

    Raises
    ------
    InvalidInput
        If the images are neither grey nor colour, or a setting is out of range.

    References
    ----------
    Itti, Koch & Niebur 1998, IEEE PAMI 20, 1254; Itti & Koch 2000, Vision Research 40, 1489.

    Examples
    --------
    >>> image = torch.zeros(1, 1, 96, 128)
    >>> image[..., 20:26, 90:96] = 1
    >>> divmod(int(itti_koch(image).argmax()), 128)[0] in range(17, 30)
    True
    """
    check_option("normalisation", normalisation, NORMALISATIONS)
    check_positive("short_side_px", short_side_px, integer=True)
    channels, height, width = check_shape("images", images, ("N", "C", "H", "W")).shape[1:]
    if channels not in (1, 3):
        raise InvalidInput(f"images must have 1 channel (grey) or 3 (colour); got {channels}.")
    promote = _by_local_maxima if normalisation == "local maxima" else _by_competition
    worked = to_short_side(images, short_side_px).expand(-1, 3, -1, -1)
    # Pairs of scales on axis 1; intensity, two opponencies and four orientations on axis 2.
    promoted = promote(_contrasts(worked)).sum(1)
    intensity, colour = promoted[:, :1], promoted[:, 1:3].sum(1, keepdim=True)
    orientation = promote(promoted[:, 3:]).sum(1, keepdim=True)
    saliency = promote(torch.cat([intensity, colour, orientation], 1)).mean(1, keepdim=True)
    return functional.interpolate(saliency, (height, width), mode="bilinear")[:, 0]


def to_short_side(images: Tensor, short_side_px: int) -> Tensor:
    """Return images (N, C, H, W) resized to a shorter side, without aliasing."""
    height, width = images.shape[-2:]
    scale = short_side_px / min(height, width)
    size = round(height * scale), round(width * scale)
    if size == (height, width):
        return images
    return functional.interpolate(images, size, mode="bilinear", antialias=True)


def _contrasts(images: Tensor) -> Tensor:
    """Return centre–surround differences (N, 6, 7, h, w) of images (N, 3, H, W)."""
    features = opponencies(images)
    pyramid = []
    for scale in range(max(CENTRES) + max(SURROUNDS) + 1):
        if scale:
            half = tuple(math.ceil(side / 2) for side in features.shape[-2:])
            features = functional.interpolate(features, half, mode="bilinear", antialias=True)
        pyramid.append(torch.cat([features, _orientations(features[:, :1])], 1))
    size = pyramid[MAP_SCALE].shape[-2:]
    differences = []
    for centre in CENTRES:
        for step in SURROUNDS:
            fine, coarse = pyramid[centre], pyramid[centre + step]
            surround = functional.interpolate(coarse, fine.shape[-2:], mode="bilinear")
            difference = (fine - surround).abs()
            if centre != MAP_SCALE:
                difference = functional.interpolate(
                    difference, size, mode="bilinear", antialias=True
                )
            differences.append(difference)
    return torch.stack(differences, 1)


def opponencies(images: Tensor) -> Tensor:
    """Return intensity, red–green and blue–yellow (N, 3, H, W) of colour images (N, 3, H, W).

    Hue is decoupled from intensity, and counts only where the image is brighter than a tenth of
    its maximum: nobody sees colour in the dark.
    """
    intensity = images.mean(1, keepdim=True)
    bright = intensity > 0.1 * intensity.amax((1, 2, 3), keepdim=True)
    hue = torch.where(bright, images / intensity.clamp_min(FLAT), 0)
    r, g, b = hue.unbind(1)
    red, green, blue, yellow = (
        channel.clamp_min(0)
        for channel in (
            r - (g + b) / 2,
            g - (r + b) / 2,
            b - (r + g) / 2,
            (r + g) / 2 - (r - g).abs() / 2 - b,
        )
    )
    return torch.cat([intensity, torch.stack([red - green, blue - yellow], 1)], 1)


def _orientations(intensity: Tensor) -> Tensor:
    """Return the energy (N, 4, H, W) of even and odd Gabor filters on (N, 1, H, W)."""
    half = GABOR_SIZE // 2
    axis = torch.arange(-half, half + 1, dtype=intensity.dtype, device=intensity.device)
    angle = torch.deg2rad(torch.tensor(ORIENTATIONS).to(axis))[:, None, None]
    # An orientation is that of the stripes, anticlockwise from the x axis; the wave crosses them.
    across = axis[:, None] * torch.cos(angle) + axis * torch.sin(angle)
    envelope = torch.exp(-(axis[:, None] ** 2 + axis**2) / (2 * GABOR_SIGMA**2))
    envelope = envelope / envelope.sum()
    phase = 2 * math.pi / GABOR_PERIOD * across
    even = torch.cos(phase) - (envelope * torch.cos(phase)).sum((1, 2), keepdim=True)
    filters = (torch.cat([even, torch.sin(phase)]) * envelope)[:, None]
    padded = functional.pad(intensity, (half, half, half, half), mode="replicate")
    real, imaginary = functional.conv2d(padded, filters).chunk(2, 1)
    return torch.hypot(real, imaginary)


def _stretched(maps: Tensor) -> Tensor:
    """Return maps (..., h, w) brought to [0, 1]; flat ones to 0."""
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    return torch.where(high - low > FLAT, (maps - low) / (high - low).clamp_min(FLAT), 0)


def _by_local_maxima(maps: Tensor) -> Tensor:
    """Return maps (..., h, w) weighted by (highest peak − mean of the other peaks)²."""
    maps = _stretched(maps)
    flat = maps.flatten(0, -3)
    # A tenth of the maximum is needed for a peak, as in the SaliencyToolbox.
    peak = (flat == functional.max_pool2d(flat, 3, 1, 1)) & (flat > 0.1)
    count = peak.sum((-2, -1), keepdim=True)
    others = ((flat * peak).sum((-2, -1), keepdim=True) - 1) / (count - 1).clamp_min(1)
    weight = (1 - others.clamp_min(0)).square()
    return (flat * weight).view(maps.shape)


def _by_competition(maps: Tensor) -> Tensor:
    """Return maps (..., h, w) after rounds of excitation nearby and inhibition from afar."""
    maps = _stretched(maps)
    width = maps.shape[-1]
    # Kernels cut by the border are brought back to a sum of 1; else borders, which have less
    # surround to inhibit them, would win every competition.
    near, far = (
        (down / down.sum(1, keepdim=True), across / across.sum(0))
        for down, across in (gaussians(maps, 0.02 * width), gaussians(maps, 0.25 * width))
    )
    for _ in range(ITERATIONS):
        contest = 0.5**2 * (near[0] @ maps @ near[1]) - 1.5**2 * (far[0] @ maps @ far[1])
        maps = (maps + contest - 0.02).clamp_min(0)
    return maps


def gaussians(maps: Tensor, sigma_px: float) -> tuple[Tensor, Tensor]:
    """Return the matrices that blur maps (..., h, w), as rows @ maps @ columns, zero outside."""
    axes = [torch.arange(n, dtype=maps.dtype, device=maps.device) for n in maps.shape[-2:]]
    rows, columns = (
        torch.exp(-((axis[:, None] - axis) ** 2) / (2 * sigma_px**2))
        / (math.sqrt(2 * math.pi) * sigma_px)
        for axis in axes
    )
    return rows, columns
