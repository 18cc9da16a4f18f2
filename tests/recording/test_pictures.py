"""Pictures as stimuli: files, folders, categories, colour, and what is wrong with some."""

import itertools
import subprocess
import sys
import textwrap

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from torch.utils import data

from attnsci import load_torchvision
from attnsci.errors import DatasetCorrupt, DatasetNotFound, InvalidInput
from attnsci.recording import Site, record

BYTES = np.random.default_rng(0).integers(0, 256, (5, 3, 6, 8), dtype=np.uint8)
IMAGES = torch.from_numpy(BYTES).float() / 255


def shown(stimuli, batch_size=2):
    return record(nn.Identity(), stimuli, Site("", what="input"), batch_size=batch_size)["output"]


def picture(i, mode="RGB"):
    return Image.fromarray(BYTES[i].transpose(1, 2, 0)).convert(mode)


def write(folder, names, mode="RGB"):
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture(i, mode).save(folder / name)


def test_a_folder_in_natural_order(tmp_path):
    write(tmp_path, ["dog1.png", "dog2.png", "dog10.bmp", "dog10b.PNG", "dog11.png"])
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / ".hidden.png").write_text("not a picture")
    (tmp_path / "empty").mkdir()
    got = shown(tmp_path)
    np.testing.assert_array_equal(got[:, 0], IMAGES)
    names = ["dog1.png", "dog2.png", "dog10.bmp", "dog10b.PNG", "dog11.png"]
    assert got.coords["file"].values.tolist() == names
    np.testing.assert_array_equal(shown(str(tmp_path / "dog2.png"))[0, 0], IMAGES[1])


def test_paths_in_any_container(tmp_path):
    write(tmp_path, [f"{i}.png" for i in range(5)])
    paths = [tmp_path / f"{i}.png" for i in (3, 0, 4)]
    wanted = IMAGES[[3, 0, 4]]
    for stimuli in (
        paths, tuple(map(str, paths)), pd.Series(paths), np.array(list(map(str, paths))),
        (path for path in paths), [(path, {"file": str(path)}) for path in paths],
        {"image": paths}, pd.DataFrame({"image": list(map(str, paths))}),
    ):  # fmt: skip
        got = shown(stimuli)
        np.testing.assert_array_equal(got[:, 0], wanted)
        assert got.coords["file"].values.tolist() == list(map(str, paths))
    got = shown({"image": paths, "file": list("abc"), "gain": [1.0, 2.0, 3.0]})
    assert got.coords["file"].values.tolist() == list("abc")
    assert got.gain.values.tolist() == [1, 2, 3]


def test_folders_are_categories_and_labelled_as_image_folder_does(tmp_path):
    names = ["ant/1.png", "ant/2.png", "bee/deep/0.png", "bee/deep/3.png", "cow/1.png"]
    write(tmp_path, names)
    got = shown(tmp_path)
    assert got.coords["file"].values.tolist() == names
    assert got.category.values.tolist() == ["ant", "ant", "bee", "bee", "cow"]
    torchvision = load_torchvision()
    folder = torchvision.datasets.ImageFolder(tmp_path)
    for stimuli in (
        folder,
        torchvision.datasets.ImageFolder(tmp_path, torchvision.transforms.ToTensor()),
        data.DataLoader(
            torchvision.datasets.ImageFolder(tmp_path, torchvision.transforms.ToTensor()), 2
        ),
    ):
        other = shown(stimuli)
        np.testing.assert_array_equal(other.values, got.values)
        assert other.label.values.tolist() == got.label.values.tolist() == [0, 0, 1, 1, 2]
    write(tmp_path, ["loose.png"])
    with pytest.raises(InvalidInput, match=r"pictures and folders of pictures \(ant, bee, cow\)"):
        shown(tmp_path)


def test_pictures_are_upright_opaque_and_of_8_bits(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned clockwise by a quarter when shown
    for name in ("a.png", "a.jpg"):
        picture(0).save(tmp_path / name, exif=exif, quality=100)
    upright = np.rot90(BYTES[0], -1, (1, 2)) / np.float32(255)
    np.testing.assert_array_equal(shown(tmp_path / "a.png")[0, 0], upright)
    assert shown(tmp_path / "a.jpg").shape == (1, 1, 3, 8, 6)
    np.testing.assert_array_equal(shown(Image.open(tmp_path / "a.png"))[0, 0], upright)
    half = np.full((4, 4, 4), (255, 0, 0, 51), np.uint8)  # red, opaque to a fifth
    Image.fromarray(half).save(tmp_path / "alpha.png")
    np.testing.assert_allclose(
        shown(tmp_path / "alpha.png")[0, 0, :, 0, 0], [1, 0.8, 0.8], atol=0.5 / 255
    )
    deep = np.array([[0, 257, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    np.testing.assert_allclose(shown(tmp_path / "deep.png")[0, 0, 0, 0], [0, 1 / 255, 1])


def test_grey_pictures_among_coloured_ones(tmp_path):
    write(tmp_path, ["0.png", "1.png"], "L")
    assert shown(tmp_path).shape == (2, 1, 1, 6, 8)
    picture(2).save(tmp_path / "2.png")
    got = shown(tmp_path, batch_size=1)
    assert got.shape == (3, 1, 3, 6, 8)
    np.testing.assert_array_equal(got[0, 0, 0], got[0, 0, 2])
    np.testing.assert_array_equal(got[2, 0], IMAGES[2])


def test_pictures_that_cannot_be_used(tmp_path, monkeypatch):
    write(tmp_path, ["0.png", "1.png"])
    with pytest.raises(DatasetNotFound, match=r"no picture or folder at .*nowhere"):
        shown(tmp_path / "nowhere")
    with pytest.raises(DatasetNotFound, match=r"sorted\(glob.glob\('.*\*.png'\)\)"):
        shown(str(tmp_path / "*.png"))
    with pytest.raises(DatasetNotFound, match=r"no picture at .*2\.png"):
        shown([tmp_path / "0.png", tmp_path / "2.png"])
    (tmp_path / "void").mkdir()
    with pytest.raises(DatasetNotFound, match=r"No file in .*void ends in \.bmp, \.gif"):
        shown(tmp_path / "void")
    np.save(tmp_path / "a.npy", BYTES)
    with pytest.raises(InvalidInput, match=r"no picture. Open it first: numpy.load\('.*a.npy'\)"):
        shown(tmp_path / "a.npy")
    Image.new("RGB", (9, 6)).save(tmp_path / "2.png")
    with pytest.raises(InvalidInput, match=r"0\.png is 8 × 6 and .*2\.png 9 × 6 \(width × height"):
        shown(tmp_path)
    with pytest.raises(InvalidInput, match="picture 0 is 8 × 6 and picture 1 9 × 6"):
        shown([picture(0), Image.new("RGB", (9, 6))])
    whole = (tmp_path / "1.png").read_bytes()
    (tmp_path / "2.png").write_bytes(whole[:-60])
    with pytest.raises(DatasetCorrupt, match=r"2\.png is damaged"):
        shown(tmp_path)
    (tmp_path / "2.png").write_bytes(b"")
    with pytest.raises(DatasetCorrupt, match=r"2\.png is damaged"):
        shown(tmp_path)
    with pytest.raises(InvalidInput, match="Item 2 of ImageFolder cannot be read"):
        write(tmp_path / "all", ["a/0.png", "a/1.png"])
        (tmp_path / "all/a/2.png").write_bytes(whole[:30])
        shown(load_torchvision().datasets.ImageFolder(tmp_path / "all"))
    Image.new("F", (2, 2)).save(tmp_path / "f.tiff")
    with pytest.raises(InvalidInput, match=r"a{300} cannot be read: File name too long"):
        shown("a" * 300)
    with pytest.raises(InvalidInput, match="floating-point numbers"):
        shown(tmp_path / "f.tiff")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(InvalidInput, match=r"0\.png is too large"):
        shown(tmp_path / "0.png")


def test_resumed_from_a_folder(tmp_path):
    write(tmp_path / "in", [f"{i}.png" for i in range(5)])
    stop = itertools.count()

    class Stops(nn.Module):
        def forward(self, image):
            if next(stop) == 2:
                raise KeyboardInterrupt
            return image.mean((2, 3))

    def run():
        return record(
            Stops(), tmp_path / "in", "", store=tmp_path / "s.zarr", batch_size=1, chunk=1,
            resume_key="a counter, which cannot be compared",
        )  # fmt: skip

    with pytest.raises(KeyboardInterrupt):
        run()
    np.testing.assert_allclose(run()["output"][:, 0], IMAGES.mean((2, 3)), rtol=1e-5)
    assert next(stop) == 6  # two before, the broken one, and the three that were missing


MEMORY = """
    import sys, resource
    from PIL import Image
    from pathlib import Path
    import numpy as np, torch
    from attnsci.recording import record

    folder = Path(sys.argv[1])
    Image.fromarray(np.zeros((96, 96, 3), np.uint8)).save(folder / "0.png")
    for i in range(1, 800):
        (folder / f"{i}.png").hardlink_to(folder / "0.png")
    peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    model = torch.nn.AdaptiveAvgPool2d(1)
    record(model, sorted(folder.iterdir())[:64], "", batch_size=8)
    before = peak()
    assert record(model, folder, "", batch_size=8)["output"].shape == (800, 1, 3, 1, 1)
    print(peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="measures resident memory")
def test_a_folder_is_never_held_whole(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(MEMORY), str(tmp_path)],
        capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    assert float(done.stdout) < 40  # MiB; 800 float images of 96 x 96 x 3 would be 84
