"""The published way with photographs of two objects, written anew: its network and its loader."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from pycocotools.coco import COCO
from torch import Tensor, nn
from torch.nn import functional

from attnsci._torchvision import load_torchvision
from attnsci.families.object_attention.network import ObjectAttention

STRENGTH, PHI, SIZE, STEPS, PHASES = 0.3, 5000.0, 100, 5, 2
CHANNELS = (3, 30, 60, 100, 20)


class PublishedCoco(nn.Module):
    """Four levels, row-major maps, the way down computed after every forward."""

    def __init__(self) -> None:
        super().__init__()
        pairs = list(itertools.pairwise(CHANNELS))
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 4) for a, b in pairs)
        self.deconvs = nn.ModuleList(
            nn.ConvTranspose2d(2 * b, 1 if a == 3 else a, 4) for a, b in pairs
        )
        self.pool = nn.MaxPool2d(2)
        self.linear_out = nn.Linear(180, 12)
        self.linear_out_t = nn.Linear(12, 180)

    def take(self, model: ObjectAttention) -> "PublishedCoco":
        """Take over the weights of our network."""
        for conv, deconv, level in zip(self.convs, self.deconvs, model.levels, strict=True):
            conv.load_state_dict(level.conv.state_dict())
            deconv.load_state_dict(level.deconv.state_dict())
        self.linear_out.load_state_dict(model.readout.state_dict())
        self.linear_out_t.load_state_dict(model.feedback.state_dict())
        return self

    def forward(
        self, x: Tensor, gates: list[Tensor], masks: list[Tensor]
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        """Return logits, the next gates and the gated image."""
        z, pooled, sizes, gated_image = x, [], [], x
        for level, (conv, gate) in enumerate(zip(self.convs, gates, strict=True)):
            gated = z * (1 - STRENGTH * gate)
            if level == 0:
                gated_image = gated
            a = functional.relu(conv(gated))
            z = self.pool(a)
            pooled.append(z)
            sizes.append(a.shape[-2:])
        logits = self.linear_out(z.flatten(1))
        top = torch.tanh(self.linear_out_t(logits)).view_as(z)
        asked: list[Tensor] = []
        for deconv, lateral, size in list(zip(self.deconvs, pooled, sizes, strict=True))[::-1]:
            both = [
                functional.interpolate(maps, size, mode="bicubic", align_corners=False)
                for maps in (top, lateral)
            ]
            top = torch.tanh(deconv(torch.cat(both, 1)))
            asked.insert(0, top)
        asked[0] = asked[0].repeat(1, 3, 1, 1)
        forced = [h * (1 - m) + m for h, m in zip(asked, masks, strict=True)]
        return logits, forced, gated_image

    def phase(self, x: Tensor, masks: list[Tensor]) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Run five forwards; return logits, gated image and next masks."""
        gates = [torch.zeros_like(mask) for mask in masks]
        following = masks
        for step in range(STEPS):
            if step == STEPS - 1:
                following = [
                    torch.logical_or(m > 0, h.detach() < 0.5).float()
                    for m, h in zip(masks, gates, strict=True)
                ]
            logits, gates, gated = self(x, gates, masks)
        return logits, gated, following

    @staticmethod
    def no_masks(x: Tensor) -> list[Tensor]:
        """Return the masks of the first phase."""
        sides = (SIZE, 48, 22, 9)
        return [
            torch.zeros(len(x), n, side, side) for n, side in zip(CHANNELS, sides, strict=False)
        ]


def published_phases(
    model: PublishedCoco, x: Tensor, targets: Tensor, labels: Tensor
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """Yield logits, label, gated image and target of each phase."""
    masks = model.no_masks(x)
    taken = torch.zeros(labels.shape, dtype=torch.bool)
    every = torch.arange(len(x))
    for _ in range(PHASES):
        logits, gated, masks = model.phase(x, masks)
        error = ((gated.detach()[:, None] - targets) ** 2).sum((2, 3, 4))
        error[taken] = 1e10
        chosen = error.argmin(1)
        taken[every, chosen] = True
        yield logits, labels[every, chosen], gated, targets[every, chosen]


class PublishedPairs(torch.utils.data.Dataset):
    """Pairs made at every access: the photograph decoded, masks drawn, targets blended, resized."""

    def __init__(self, images: Path, annotations: Path, kept: list[tuple[int, list[int]]]) -> None:
        load_torchvision()
        from torchvision.transforms import Compose, Resize, ToPILImage, ToTensor

        self.images, self.coco, self.kept = images, COCO(str(annotations)), kept
        self.shrink = Compose([ToPILImage(), Resize((SIZE, SIZE)), ToTensor()])
        names = sorted({c["supercategory"] for c in self.coco.cats.values()})
        self.label = {
            number: names.index(c["supercategory"]) for number, c in self.coco.cats.items()
        }

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return the photograph, its two targets and their labels."""
        number, chosen = self.kept[index]
        name = self.coco.imgs[number]["file_name"]
        picture = np.asarray(Image.open(self.images / name).convert("RGB"))
        annotations = self.coco.loadAnns(chosen)
        side, (height, width) = max(picture.shape), picture.shape[:2]
        top, left = (side - height) // 2, (side - width) // 2

        def squared(pixels: np.ndarray, around: int) -> np.ndarray:
            square = np.full((side, side, 3), around, np.uint8)
            square[top : top + height, left : left + width] = pixels
            return square

        whole = squared(picture, 127)
        targets = []
        for annotation in annotations:
            mask = self.coco.annToMask(annotation)[..., None]
            lone = squared(picture * mask, 0)
            targets.append(self.shrink(((1 - STRENGTH) * whole + STRENGTH * lone).astype(np.uint8)))
        labels = [self.label[annotation["category_id"]] for annotation in annotations]
        return self.shrink(whole), torch.stack(targets), torch.tensor(labels)


def make_photographs(folder: Path, n: int) -> tuple[Path, Path]:
    """Write `n` JPEG files of COCO's size with two objects of 12 corners each, and their JSON."""
    images = folder / "images"
    images.mkdir()
    rng = np.random.default_rng(0)
    categories = [{"id": 1, "name": "person", "supercategory": "person"},
                  {"id": 18, "name": "dog", "supercategory": "animal"}]  # fmt: skip
    listed, annotations = [], []
    for number in range(1, n + 1):
        coarse = rng.integers(0, 255, (30, 40, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((640, 480), Image.Resampling.BICUBIC)
        draw = ImageDraw.Draw(picture)
        for place, category in enumerate(categories):
            angle = np.sort(rng.uniform(0, 2 * np.pi, 12))
            radius = rng.uniform(110, 150, 12)
            x = 160 + 320 * place + radius * np.cos(angle)
            y = 240 + radius * np.sin(angle)
            outline = np.stack([x, y], 1)
            draw.polygon(
                [tuple(point) for point in outline], tuple(rng.integers(0, 255, 3).tolist())
            )
            area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1)))
            box = [x.min(), y.min(), np.ptp(x), np.ptp(y)]
            annotations.append({
                "id": len(annotations) + 1, "image_id": number, "category_id": category["id"],
                "segmentation": [outline.ravel().tolist()], "area": float(area), "iscrowd": 0,
                "bbox": [float(value) for value in box],
            })  # fmt: skip
        name = f"{number:012d}.jpg"
        picture.save(images / name, quality=90)
        listed.append({"id": number, "file_name": name, "height": 480, "width": 640})
    file = folder / "instances.json"
    file.write_text(
        json.dumps({"images": listed, "annotations": annotations, "categories": categories})
    )
    return images, file
