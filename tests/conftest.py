"""Shared fixtures: one thread a worker, a headless matplotlib, the data root, a small COCO."""

import json
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

# Two workers with two threads each would be many times slower on two cores.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("MPLBACKEND", "Agg")

# A shell that starts the tests in the background makes them, and all they start, deaf to Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Let a test that draws weights draw the same ones in every run."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder that ATTNSCI_DATA names; tests that ask for it skip where it is absent."""
    root = os.environ.get("ATTNSCI_DATA")
    if not root:
        pytest.skip("needs the data sets: set ATTNSCI_DATA to the folder that holds them")
    return Path(root)


NAMES = {1: "person", 3: "car", 18: "dog", 24: "zebra", 44: "bottle", 62: "chair"}
GROUPS = {1: "person", 3: "vehicle", 18: "animal", 24: "animal", 44: "kitchen", 62: "furniture"}


def rectangle(x, y, width, height):
    """An object's record as COCO has it, but for its ids."""
    right, low = x + width, y + height
    return {
        "segmentation": [[x, y, right, y, right, low, x, low]],
        "area": float(width * height),
        "bbox": [x, y, width, height],
        "iscrowd": 0,
    }


class SyntheticCoco:
    """Photographs of noise with rectangles for objects; `write` makes its annotation file."""

    rectangle = staticmethod(rectangle)

    def __init__(self, root: Path):
        self.images, self.annotations = root / "images", root / "instances_small.json"
        self.images.mkdir(parents=True)
        self.data = {
            "images": [],
            "annotations": [],
            "categories": [
                {"id": number, "name": name, "supercategory": GROUPS[number]}
                for number, name in NAMES.items()
            ],
            "licenses": [{"id": 4, "name": "Attribution License"}],
        }

    def add(self, objects, width=60, height=40, mode="RGB", suffix="png", number=None):
        """Add a photograph with (category id, record) for each object; return its pixels."""
        number = number or len(self.data["images"]) + 1
        name = f"{number:012d}.{suffix}"
        # A smooth picture, as a JPEG keeps it.
        rows, columns = np.mgrid[:height, :width]
        pixels = np.stack([rows * 3 + number, columns * 2 + 20, rows + columns + 40], -1)
        picture = Image.fromarray(pixels.astype(np.uint8)).convert(mode)
        picture.save(self.images / name, quality=95) if suffix == "jpg" else picture.save(
            self.images / name
        )
        self.data["images"].append(
            {"id": number, "file_name": name, "width": width, "height": height, "license": 4}
        )
        for category, record in objects:
            self.data["annotations"].append(
                {
                    "id": len(self.data["annotations"]) + 101,
                    "image_id": number,
                    "category_id": category,
                    **record,
                }
            )
        return np.asarray(picture.convert("RGB"))

    def write(self):
        self.annotations.write_text(json.dumps(self.data))
        return self.images, self.annotations


@pytest.fixture
def coco(tmp_path, monkeypatch):
    """An empty synthetic COCO, and a cache of its own."""
    monkeypatch.setenv("ATTNSCI_CACHE", str(tmp_path / "cache"))
    return SyntheticCoco(tmp_path / "coco")


@pytest.fixture
def coco_of_four(coco):
    """Four pairs: in a wide, a tall, a square photograph, and one with a third, small object."""
    coco.add([(1, rectangle(0, 0, 20, 40)), (18, rectangle(30, 0, 20, 30))])
    coco.add([(3, rectangle(0, 0, 40, 20)), (44, rectangle(0, 30, 30, 20))], 40, 61)
    coco.add([(62, rectangle(0, 0, 20, 50)), (24, rectangle(25, 0, 20, 30))], 50, 50)
    coco.add(
        [
            (44, rectangle(56, 0, 3, 3)),
            (18, rectangle(0, 0, 15, 40)),
            (1, rectangle(20, 0, 30, 40)),
        ]
    )
    coco.write()
    return coco
