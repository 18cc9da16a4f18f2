"""Photographs: what comes with the installation, what users have, and the way to a network."""

import io
import socket
import struct
import subprocess
import sys
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from attnsci.data import images as module
from attnsci.data.images import (
    Crop,
    Photograph,
    image_paths,
    load_images,
    read_image,
    read_images,
    resize_and_crop,
)
from attnsci.errors import (
    ChecksumMismatch,
    DatasetCorrupt,
    DatasetNotFound,
    InvalidInput,
    MissingDependency,
    UnknownName,
)

SHAPES = {
    "astronaut": (512, 512, 3), "camera": (512, 512), "chelsea": (300, 451, 3),
    "coffee": (400, 600, 3), "rocket": (427, 640, 3),
    "brick": (512, 512), "grass": (512, 512), "gravel": (512, 512),
}  # fmt: skip
# Each corner of a 5 × 4 picture has a colour of its own.
CORNERS = np.full((4, 5, 3), 128, np.uint8)
CORNERS[0, 0], CORNERS[0, -1] = (255, 0, 0), (0, 255, 0)
CORNERS[-1, 0], CORNERS[-1, -1] = (0, 0, 255), (255, 255, 0)


def test_five_photographs_and_three_textures_without_a_network(monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    photos, textures = load_images(), load_images(kind="texture")
    assert {p.name: p.image.shape for p in photos + textures} == SHAPES
    assert [p.name for p in photos] == ["astronaut", "camera", "chelsea", "coffee", "rocket"]
    for photo in photos + textures:
        assert photo.image.dtype == np.uint8
        assert photo.rgb.shape == (*photo.image.shape[:2], 3)
        assert photo.licence in ("CC0-1.0", "public domain")
        assert photo.source
    # Means over all pixels, as Pillow decodes the files.
    assert load_images("chelsea")[0].image.mean() == pytest.approx(115.306, abs=0.2)


def test_images_by_name_come_in_the_order_asked_for_whatever_their_kind():
    assert [p.name for p in load_images(["grass", "coffee"])] == ["grass", "coffee"]
    assert [p.name for p in load_images("brick")] == ["brick"]
    with pytest.raises(UnknownName, match=r"No image is called 'cofee'.*'coffee'"):
        load_images("cofee")
    with pytest.raises(InvalidInput, match="kind must be one of 'photo', 'texture'"):
        load_images(kind="painting")


def test_changed_missing_and_uninstalled_photographs_are_said(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_bundled_folder", lambda: tmp_path)
    with pytest.raises(DatasetNotFound, match=r"coffee\.png is missing.*scikit-image"):
        load_images("coffee")
    Image.fromarray(CORNERS).save(tmp_path / "coffee.png")
    with pytest.raises(ChecksumMismatch, match=r"coffee\.png is not the image"):
        load_images("coffee")
    monkeypatch.undo()
    module._bundled_folder.cache_clear()
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="pip install scikit-image"):
        load_images("coffee")


def test_no_torch_and_no_skimage_are_loaded():
    code = (
        "import sys; from attnsci.data.images import load_images, resize_and_crop\n"
        "resize_and_crop(load_images('coffee')[0].image)\n"
        "assert not {'torch', 'skimage', 'scipy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff"])
def test_photographs_are_turned_upright(tmp_path, orientation, suffix):
    # What a camera stores so that a viewer who obeys the record sees CORNERS.
    stored = {
        1: CORNERS, 2: CORNERS[:, ::-1], 3: CORNERS[::-1, ::-1], 4: CORNERS[::-1],
        5: CORNERS.swapaxes(0, 1), 6: np.rot90(CORNERS), 7: CORNERS[::-1, ::-1].swapaxes(0, 1),
        8: np.rot90(CORNERS, -1),
    }[orientation]  # fmt: skip
    large = np.ascontiguousarray(stored.repeat(16, 0).repeat(16, 1))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"photo.{suffix}"
    options = {"quality": 95, "subsampling": 0} if suffix == "jpg" else {}
    Image.fromarray(large).save(path, exif=exif, **options)
    image = read_image(path).image
    assert image.shape == (64, 80, 3)
    np.testing.assert_allclose(image[8::16, 8::16].astype(int), CORNERS, atol=3)


def test_grey_stays_grey_and_colour_models_become_rgb(tmp_path):
    values = np.arange(20, dtype=np.uint8).reshape(4, 5) * 12
    colour = Image.fromarray(CORNERS)
    pictures = {
        "grey.png": (Image.fromarray(values), values),
        "bits.png": (Image.fromarray(values > 100), (values > 100) * 255),
        "rgb.png": (colour, CORNERS),
        "palette.png": (colour.quantize(8), CORNERS),
        "cmyk.tif": (colour.convert("CMYK"), CORNERS),
    }
    for name, (picture, expected) in pictures.items():
        picture.save(tmp_path / name)
        photo = read_image(tmp_path / name)
        assert photo.image.dtype == np.uint8
        assert photo.name == name
        np.testing.assert_array_equal(photo.image, expected, err_msg=name)
        assert photo.image.flags.writeable
    np.testing.assert_array_equal(
        read_image(tmp_path / "grey.png").rgb, values[..., None] + CORNERS * 0
    )


def test_transparency_is_laid_on_white(tmp_path):
    alpha = np.array([[0, 255, 51]], np.uint8)
    red = np.zeros((1, 3, 4), np.uint8)
    red[..., 0], red[..., 3] = 200, alpha
    Image.fromarray(red).save(tmp_path / "rgba.png")
    # 51 of 255 is a fifth: 0.2 × red + 0.8 × white.
    expected = [[[255, 255, 255], [200, 0, 0], [244, 204, 204]]]
    assert read_image(tmp_path / "rgba.png").image.tolist() == expected
    grey = np.stack([np.full((1, 3), 100, np.uint8), alpha], -1)
    Image.fromarray(grey).save(tmp_path / "la.png")
    assert read_image(tmp_path / "la.png").image.tolist() == [[255, 100, 224]]
    palette = Image.fromarray(np.array([[0, 1]], np.uint8)).convert("P")
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.save(tmp_path / "palette.png", transparency=0)
    assert read_image(tmp_path / "palette.png").image.tolist() == [[[255, 255, 255], [40, 50, 60]]]


def test_sixteen_bits_are_scaled_to_eight(tmp_path):
    values = np.array([[0, 128, 129, 257, 32896, 65535]], np.uint16)
    for name in ("deep.png", "deep.tif"):
        Image.fromarray(values).save(tmp_path / name)
        assert read_image(tmp_path / name).image.tolist() == [[0, 0, 1, 1, 128, 255]]


def test_numbers_without_a_known_black_and_white_are_refused(tmp_path):
    Image.fromarray(np.array([[0.0, 0.5]], np.float32)).save(tmp_path / "float.tif")
    with pytest.raises(InvalidInput, match=r"float\.tif holds floating-point numbers"):
        read_image(tmp_path / "float.tif")
    Image.fromarray(np.array([[0, 70000]], np.int32)).save(tmp_path / "int.tif")
    with pytest.raises(InvalidInput, match=r"int\.tif holds values from 0 to 70000"):
        read_image(tmp_path / "int.tif")


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp", "bmp", "gif"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5, 0.9])
def test_truncated_files_are_named(tmp_path, suffix, kept):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    path = tmp_path / f"torn.{suffix}"
    Image.fromarray(noise).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with pytest.raises(DatasetCorrupt, match=rf"torn\.{suffix} is damaged or no image"):
        read_image(path)


@pytest.mark.parametrize("place", [0.3, 0.6, 0.99])
def test_an_altered_png_is_no_other_picture(tmp_path, place):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "bit.png")
    content = bytearray((tmp_path / "bit.png").read_bytes())
    content[int(place * len(content)) - 8] ^= 4
    (tmp_path / "bit.png").write_bytes(content)
    with pytest.raises(DatasetCorrupt, match=r"bit\.png is damaged"):
        read_image(tmp_path / "bit.png")


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_files_that_are_no_images_are_named(tmp_path, content):
    path = tmp_path / "notes.jpg"
    path.write_bytes(content)
    with pytest.raises(DatasetCorrupt, match=r"notes\.jpg is damaged or no image"):
        read_image(path)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds nothing."""
    buffer = io.BytesIO()
    Image.new("L", (1, 1)).save(buffer, "PNG")
    content = bytearray(buffer.getvalue())
    content[16:24] = struct.pack(">II", width, height)
    content[29:33] = struct.pack(">I", zlib.crc32(bytes(content[12:29])))
    return bytes(content)


def test_a_panorama_is_read_without_a_warning_and_a_bomb_is_refused(tmp_path):
    path = tmp_path / "panorama.png"
    Image.new("1", (10_000, 9_000)).save(path)  # 90 Mpx: Pillow warns from 89.5 Mpx
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(path).image.shape == (9_000, 10_000)
    path.write_bytes(png_header(60_000, 60_000))
    with pytest.raises(InvalidInput, match=r"panorama\.png is too large.*Shrink it"):
        read_image(path)


def test_a_folder_is_read_sorted_and_lazily(tmp_path):
    for name in ("b.PNG", "a.jpg", "c.tif", ".hidden.png"):
        Image.fromarray(CORNERS).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "more.png").mkdir()
    (tmp_path / "b2.jpg").write_bytes(b"broken")
    assert [path.name for path in image_paths(tmp_path)] == ["a.jpg", "b.PNG", "b2.jpg", "c.tif"]
    photos = read_images(str(tmp_path))
    assert [next(photos).name, next(photos).name] == ["a.jpg", "b.PNG"]
    with pytest.raises(DatasetCorrupt, match=r"b2\.jpg"):
        next(photos)


def test_files_and_folders_mix_and_errors_come_before_the_first_image(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    for path in (folder / "a.png", tmp_path / "z.png", tmp_path / "a.png"):
        Image.fromarray(CORNERS).save(path)
    assert [p.name for p in read_images([tmp_path / "z.png", folder])] == ["z.png", "a.png"]
    with pytest.raises(DatasetNotFound, match=r"no image or folder at .*absent\.png"):
        read_images([folder, tmp_path / "absent.png"])
    with pytest.raises(DatasetNotFound, match="no image at"):
        read_image(tmp_path / "absent.png")
    with pytest.raises(InvalidInput, match=r"2 are called 'a\.png'"):
        read_images([folder, tmp_path / "a.png"])
    with pytest.raises(InvalidInput, match="paths is empty"):
        read_images([])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetNotFound, match=r"No file in .*empty ends in"):
        read_images(tmp_path / "empty")


def test_preprocessing_is_pillows_bicubic_and_the_central_square():
    photo = load_images("chelsea")[0]
    pixels, crop = resize_and_crop(photo.image)
    # 451 × 256 / 300 = 384.85: rounded, as the published probabilities need.
    assert crop == Crop(451, 300, 385, 256, 80, 16, 224)
    resized = Image.fromarray(photo.image).resize((385, 256), Image.Resampling.BICUBIC)
    expected = np.asarray(resized)[16:240, 80:304].transpose(2, 0, 1) / 255
    assert pixels.dtype == np.float32
    assert pixels.flags.c_contiguous
    np.testing.assert_allclose(pixels, expected, atol=1e-7)


@pytest.mark.parametrize(("size", "shorter"), [(224, 256), (240, 274), (260, 297)])
def test_the_shorter_side_follows_the_size(size, shorter):
    tall = np.zeros((900, 600), np.uint8)
    pixels, crop = resize_and_crop(tall, size)
    assert pixels.shape == (3, size, size)
    assert (crop.resized_width, crop.resized_height) == (shorter, round(shorter * 1.5))
    assert (crop.left, crop.top) == ((shorter - size) // 2, (round(shorter * 1.5) - size) // 2)


def test_small_sizes_and_wrong_arrays():
    _, crop = resize_and_crop(np.zeros((40, 36, 3), np.uint8), 32, 36)
    assert (crop.left, crop.top, crop.scale) == (2, 4, (1, 1))
    with pytest.raises(
        InvalidInput, match="square of 32 cannot be cut out of a shorter side of 30"
    ):
        resize_and_crop(np.zeros((40, 36, 3), np.uint8), 32, 30)
    for wrong in (np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4)), np.zeros((0, 4), np.uint8)):
        with pytest.raises(InvalidInput, match="image must be uint8"):
            resize_and_crop(wrong)
    with pytest.raises(InvalidInput, match="size must be a whole number"):
        resize_and_crop(CORNERS, 0)


def test_positions_of_the_crop_are_those_of_the_photograph():
    # A white spot of 40 pixels round (420, 130) is found at the place that the crop says.
    image = np.zeros((400, 600), np.uint8)
    image[110:150, 400:440] = 255
    pixels, crop = resize_and_crop(image)
    y, x = (axis.mean() + 0.5 for axis in np.nonzero(pixels[0] > 0.5))
    assert np.allclose(crop.to_original(x, y), (420, 130), atol=0.5)
    assert np.allclose(crop.from_original(420, 130), (x, y), atol=0.5)


@given(
    width=st.integers(40, 700), height=st.integers(40, 700), size=st.integers(8, 64),
    x=st.floats(-50, 700), y=st.floats(-50, 700),
)  # fmt: skip
def test_the_way_there_and_back(width, height, size, x, y):
    _, crop = resize_and_crop(np.zeros((height, width), np.uint8), size)
    back = crop.to_original(*crop.from_original(x, y))
    np.testing.assert_allclose(back, (x, y), atol=1e-9)
    corner = crop.to_original(0, 0)
    end = crop.to_original(size, size)
    assert all(c >= 0 for c in corner)
    assert end[0] <= width + 1e-9
    assert end[1] <= height + 1e-9


def test_photographs_print_without_their_pixels():
    assert "image=" not in repr(Photograph("a.png", CORNERS, "CC0-1.0", "here"))
