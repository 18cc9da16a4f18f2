"""Images and text in one space: an adapter for CLIP and its kin.

No package ships CLIP's weights, and nothing here downloads them. A user installs
``attnsci[clip]`` and gets the weights once; for the RN50 of NevaClip (Zanca et al. 2023, arXiv
2305.12380)::

    import open_clip
    open_clip.create_model("RN50", pretrained="openai", cache_dir="weights")

puts OpenAI's file (about 250 MB, MIT licence) below ``weights``; its path goes to
`load_open_clip`. Any other pair of encoders goes to `ImageText` as it is.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from attnsci.checks import check_not_empty
from attnsci.errors import CheckpointError, InvalidInput, MissingDependency
from attnsci.families.neva.tasks import frozen

CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_SD = (0.26862954, 0.26130258, 0.27577711)


class ImageText:
    """Encoders of images and of text, ready to guide a look.

    Its ``encode_image`` and an ``encode_text`` of a caption make the task
    `attnsci.families.neva.tasks.Embedding`; with another embedding as its ``start``, the drift of
    NevaClip.

    Parameters
    ----------
    model : object
        Has ``encode_image(images) -> (N, D)`` and ``encode_text(tokens) -> (K, D)``, as CLIP,
        open_clip and most of their kin do. A module is frozen.
    tokenizer : callable
        List of K strings to what ``encode_text`` takes, most often a tensor (K, L).
    image_size : int, optional
        Side of the square that the image tower needs; images of another size are resized
        (bicubic). None leaves them as they are.
    mean, sd : sequence of float
        Normalisation of the image tower, one value a channel; CLIP's by default.

    Raises
    ------
    InvalidInput
        If `model` lacks one of the encoders.

    Examples
    --------
    >>> class Toy:
    ...     def encode_image(self, images):
    ...         return images.mean((2, 3))
    ...     def encode_text(self, tokens):
    ...         return torch.eye(3)[tokens]
    >>> colours = ["red", "green", "blue"]
    >>> toy = ImageText(Toy(), lambda texts: torch.tensor([colours.index(t) for t in texts]))
    >>> toy.encode_text("green")
    tensor([[0., 1., 0.]])
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Callable[[list[str]], Any],
        *,
        image_size: int | None = None,
        mean: Sequence[float] = CLIP_MEAN,
        sd: Sequence[float] = CLIP_SD,
    ) -> None:
        lacking = [n for n in ("encode_image", "encode_text") if not callable(getattr(model, n, 0))]
        if lacking:
            raise InvalidInput(
                f"{type(model).__name__} has no {' and no '.join(lacking)}. Give an object with "
                "encode_image(images) and encode_text(tokens), each to embeddings (N, D)."
            )
        self.model: Any = frozen(model) if isinstance(model, nn.Module) else model
        self.tokenizer, self.image_size = tokenizer, image_size
        self.mean, self.sd = (torch.tensor(values).view(-1, 1, 1) for values in (mean, sd))

    def encode_image(self, images: Tensor) -> Tensor:
        """Return the embeddings (N, D) of images (N, C, H, W) in [0, 1], differentiably."""
        size = self.image_size
        if size is not None and images.shape[-2:] != (size, size):
            images = functional.interpolate(
                images, (size, size), mode="bicubic", align_corners=False, antialias=True
            )
        normal = (images - self.mean.to(images)) / self.sd.to(images)
        return _embeddings("encode_image", self.model.encode_image(normal), len(images))

    def encode_text(self, texts: str | Sequence[str]) -> Tensor:
        """Return the embeddings (K, D) of K captions, on the device of the model."""
        chosen = [texts] if isinstance(texts, str) else list(texts)
        check_not_empty("texts", chosen)
        tokens = self.tokenizer(chosen)
        if isinstance(self.model, nn.Module) and isinstance(tokens, Tensor):
            weight = next(self.model.parameters(), None)
            tokens = tokens if weight is None else tokens.to(weight.device)
        with torch.no_grad():
            return _embeddings("encode_text", self.model.encode_text(tokens), len(chosen))


def _embeddings(name: str, found: Any, n: int) -> Tensor:
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != n:
        shape = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
        raise InvalidInput(f"{name} must return a tensor ({n}, D); it returned {shape}.")
    return found


def load_open_clip(architecture: str, weights: str | os.PathLike[str]) -> ImageText:
    """Return an open_clip model whose weights are already on this machine.

    Parameters
    ----------
    architecture : str
        A name of ``open_clip.list_models()``: ``"RN50"``, ``"ViT-B-32"``.
    weights : path-like
        The file that a user has downloaded; see this module's docstring.

    Returns
    -------
    ImageText
        With the image size and normalisation of that model, frozen.

    Raises
    ------
    MissingDependency
        If open_clip is not installed.
    CheckpointError
        If there is no such file, or it does not fit the architecture.
    """
    try:
        import open_clip
    except ImportError as error:
        raise MissingDependency(
            'Looking for a caption with CLIP needs open_clip: pip install "attnsci[clip]"'
        ) from error
    path = Path(weights).expanduser()
    if not path.is_file():
        raise CheckpointError(
            f"There are no weights at {path}. attnsci downloads none: "
            f'open_clip.create_model("{architecture}", pretrained="openai", cache_dir=...) does.'
        )
    try:
        model = open_clip.create_model(architecture, pretrained=str(path))
        tokenizer = open_clip.get_tokenizer(architecture)
    except (RuntimeError, ValueError, KeyError, OSError, AssertionError) as error:
        raise CheckpointError(
            f"{path} makes no {architecture} for open_clip: {error}. The names are in "
            "open_clip.list_models()."
        ) from error
    size = model.visual.image_size
    return ImageText(
        model,
        tokenizer,
        image_size=size if isinstance(size, int) else size[0],
        mean=getattr(model.visual, "image_mean", None) or CLIP_MEAN,
        sd=getattr(model.visual, "image_std", None) or CLIP_SD,
    )
