"""Object pairs: labels, splits, what is left out, and the counts of the real subset."""

import hashlib
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from attnsci.data.coco import load_coco_pairs, split_of
from attnsci.errors import DatasetNotFound, InvalidInput

SIZE = 20


def load(coco, **settings):
    return load_coco_pairs(coco.images, coco.annotations, size=SIZE, **settings)


def rectangle(x, y, width, height, **changes):
    right, low = x + width, y + height
    return {
        "segmentation": [[x, y, right, y, right, low, x, low]],
        "area": float(width * height),
        "bbox": [x, y, width, height],
        "iscrowd": 0,
        **changes,
    }


PAIR = [(1, rectangle(0, 0, 25, 40)), (18, rectangle(30, 0, 20, 40))]


def test_what_is_known_of_each_pair(coco_of_four):
    pairs = load(coco_of_four)
    assert len(pairs) == 4 and pairs.n_objects == 2 and pairs.size == SIZE
    assert pairs.image_id.tolist() == [1, 2, 3, 4]
    assert pairs.file_name[2] == "000000000003.png"
    assert pairs.category_id.tolist() == [[1, 18], [3, 44], [62, 24], [1, 18]]
    assert pairs.labels.tolist() == [[9, 1], [11, 7], [5, 1], [9, 1]]
    assert pairs.annotation_id[3].tolist() == [109, 108]
    np.testing.assert_allclose(pairs.area_share[0], [800 / 2400, 600 / 2400])
    assert pairs.box[1].tolist() == [[0, 0, 40, 20], [0, 30, 30, 20]]
    assert pairs.photo_size[1].tolist() == [61, 40]
    assert pairs.licence.tolist() == [4] * 4 and pairs.licences[4] == "Attribution License"
    assert pairs.checksum == hashlib.sha256(coco_of_four.annotations.read_bytes()).hexdigest()
    assert pairs.report.n_images == pairs.report.n_pairs == 4 and not pairs.report.broken
    image, objects, coverage = pairs.pixels([1])
    assert image.shape == (1, 3, SIZE, SIZE) and image.dtype == np.uint8
    assert objects.shape == (1, 2, 3, SIZE, SIZE) and coverage.shape == (1, 2, SIZE, SIZE)
    # 40 × 61 on 61 × 61 at 20: the photograph fills columns 3 to 16, and is smoothed over 2.
    assert (image[0, :, :, :2] == 127).all() and (objects[0, ..., :2] == 0).all()
    assert (coverage[0, 0, 1:6, 5:15] == 255).all() and (coverage[0, 0, 8:] == 0).all()


@pytest.mark.parametrize(
    ("target", "want"),
    [
        ("supercategory", [[9, 1], [11, 7], [5, 1], [9, 1]]),
        ("category", [[1, 18], [3, 44], [62, 24], [1, 18]]),
        ("top10", [[1, 4]]),
        ({1: 0, 18: 1}, [[0, 1], [0, 1]]),
    ],
)
def test_targets(coco_of_four, target, want):
    pairs = load(coco_of_four, target=target)
    assert pairs.labels.tolist() == want
    assert pairs.report.n_unlabelled == 4 - len(want) and pairs.report.n_pairs == len(want)
    assert all(label in pairs.classes for label in pairs.labels.ravel())


def test_locations_are_centres_in_shares(coco_of_four):
    pairs = load(coco_of_four, target="location")
    np.testing.assert_allclose(pairs.labels[1], [[0.5, 10 / 61], [15 / 40, 40 / 61]])
    assert pairs.labels.shape == (4, 2, 2) and pairs.classes == {}
    with pytest.raises(InvalidInput, match="no classes"):
        pairs.class_weights()


def test_a_file_without_some_categories_keeps_the_labels(coco_of_four):
    whole = load(coco_of_four)
    coco_of_four.data["categories"] = [
        one for one in coco_of_four.data["categories"] if one["id"] in (1, 18)
    ]
    coco_of_four.data["images"] = [coco_of_four.data["images"][place] for place in (0, 3)]
    coco_of_four.data["annotations"] = [
        one for one in coco_of_four.data["annotations"] if one["category_id"] in (1, 18)
    ]
    coco_of_four.write()
    some = load(coco_of_four)
    assert some.labels.tolist() == [[9, 1], [9, 1]] and some.classes == whole.classes


def test_class_weights_are_inverse_frequencies(coco_of_four):
    weights = load(coco_of_four).class_weights()
    assert weights.shape == (12,)
    inverse = {9: 8 / 2, 1: 8 / 3, 11: 8, 7: 8, 5: 8}  # of eight objects
    want = np.zeros(12)
    want[list(inverse)] = list(inverse.values())
    np.testing.assert_allclose(weights, want / want.sum(), rtol=1e-12)


def test_split_is_a_matter_of_the_id(coco_of_four):
    ids = np.arange(1, 20_001)
    shares = {name: (split_of(ids) == name).mean() for name in ("train", "val", "test")}
    assert abs(shares["train"] - 0.7) < 0.01 and abs(shares["val"] - 0.15) < 0.01
    for number in (1, 9, 139, 581929):
        place = int(hashlib.md5(str(number).encode()).hexdigest(), 16) % 100
        want = "train" if place < 70 else "val" if place < 85 else "test"
        assert split_of([number]).tolist() == [want]
    names = split_of([1, 2, 3, 4])
    for name in set(names):
        pairs = load(coco_of_four, split=name)
        assert pairs.image_id.tolist() == (np.flatnonzero(names == name) + 1).tolist()
        assert pairs.report.n_other_split == 4 - len(pairs) and pairs.split == (name,)
    assert len(load(coco_of_four, split=["train", "val", "test"])) == 4
    with pytest.raises(InvalidInput, match="'train', 'val', 'test'; got 'dev'"):
        load(coco_of_four, split="dev")
    missing = {"train", "val", "test"} - set(names)
    for name in missing:
        with pytest.raises(InvalidInput, match="no pair for these settings"):
            load(coco_of_four, split=name)


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "jpg"), ("CMYK", "jpg"), ("L", "png"), ("P", "png"), ("RGBA", "png")]
)
def test_colour_models(coco, mode, suffix):
    want = coco.add(PAIR, mode=mode, suffix=suffix)
    coco.add(PAIR, suffix=suffix)
    coco.write()
    pairs = load_coco_pairs(coco.images, coco.annotations, size=60)
    assert len(pairs) == 2
    image = pairs.pixels([0])[0][0].transpose(1, 2, 0)[10:50]
    assert np.abs(image.astype(int) - want).max() <= (40 if suffix == "jpg" else 0)
    assert np.abs(image.astype(int) - want).mean() < 4
    if mode == "L":
        assert (image[..., 0] == image[..., 2]).all()


def test_missing_and_truncated_photographs_are_warned_of_and_counted(coco):
    for _ in range(4):
        coco.add(PAIR, suffix="jpg")
    coco.write()
    (coco.images / "000000000002.jpg").unlink()
    truncated = coco.images / "000000000003.jpg"
    truncated.write_bytes(truncated.read_bytes()[:-200])
    with pytest.warns(UserWarning, match=r"2 of 4 pairs.*\.jpg"):
        pairs = load(coco)
    assert pairs.image_id.tolist() == [1, 4] and pairs.report.n_pairs == 2
    assert sorted(pairs.report.broken) == ["000000000002.jpg", "000000000003.jpg"]
    assert "There is no image" in pairs.report.broken["000000000002.jpg"]
    assert "truncated" in pairs.report.broken["000000000003.jpg"]
    assert "2 missing or damaged" in str(pairs.report)
    assert pairs.pixels([1])[0].any()
    assert pairs.provenance()["n_broken"] == 2


def test_an_empty_mask_is_warned_of_and_counted(coco):
    coco.add(PAIR)
    coco.add([PAIR[0], (18, rectangle(30, 0, 20, 40, segmentation=[]))])
    coco.write()
    with pytest.warns(UserWarning, match=r"empty mask: 000000000002\.png"):
        pairs = load(coco)
    assert pairs.report.empty_masks == {"000000000002.png": [104]}
    assert pairs.image_id.tolist() == [1] and pairs.report.n_images == 2


def test_the_report_adds_up(coco):
    coco.add(PAIR)
    coco.add(PAIR[:1])
    coco.add([PAIR[0], (3, rectangle(10, 0, 20, 40))])
    coco.add([PAIR[0], (24, PAIR[1][1])])
    coco.write()
    (coco.images / "000000000004.png").write_text("no picture")
    with pytest.warns(UserWarning, match="1 of 2 pairs"):
        report = load(coco).report
    assert (report.n_too_few, report.n_overlapping, len(report.broken)) == (1, 1, 1)
    assert report.n_images == 4 and report.n_pairs == 1
    # A broken photograph that was not asked for is none of this call's business.
    assert load(coco, target={1: 0, 18: 1}).report.broken == {}


def test_nothing_to_load_is_an_error(coco, tmp_path):
    coco.add(PAIR[:1])
    images, annotations = coco.write()
    with pytest.raises(InvalidInput, match=r"1 with too few large objects.*Lower min_area"):
        load(coco)
    coco.add(PAIR)
    coco.write()
    with pytest.raises(DatasetNotFound, match=r"no folder of photographs.*coco-2017-val"):
        load_coco_pairs(tmp_path / "nowhere", annotations)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetNotFound, match=r"holds not one.*There is no image at"):
        load_coco_pairs(tmp_path / "empty", annotations)
    with pytest.raises(DatasetNotFound, match="no annotation file"):
        load_coco_pairs(images, tmp_path / "nothing.json")
    with pytest.raises(InvalidInput, match="size"):
        load_coco_pairs(images, annotations, size=0)


def test_more_objects_and_other_bounds(coco):
    coco.add([*PAIR, (44, rectangle(52, 0, 7, 40))])
    coco.write()
    pairs = load(coco, n_objects=3)
    assert pairs.category_id.tolist() == [[1, 18, 44]]
    _, objects, coverage = pairs.pixels([0])
    assert objects.shape == (1, 3, 3, SIZE, SIZE) and coverage.shape == (1, 3, SIZE, SIZE)
    assert load(coco, n_objects=1).labels.tolist() == [[9]]
    # The second object covers a third of the photograph, the first five twelfths.
    assert load(coco, min_area=0.33).category_id.tolist() == [[1, 18]]
    with pytest.raises(InvalidInput):
        load(coco, min_area=0.34)


def test_subset_and_pickle(coco_of_four):
    pairs = load(coco_of_four)
    some = pairs.subset([3, 1])
    assert some.image_id.tolist() == [4, 2] and some.file_name[0] == "000000000004.png"
    np.testing.assert_array_equal(some.pixels([0])[0], pairs.pixels([3])[0])
    assert pairs.subset(np.array([True, False, False, True])).image_id.tolist() == [1, 4]
    for wrong in ([], [4], [-1], [0.5]):
        with pytest.raises(InvalidInput, match="positions"):
            pairs.subset(wrong)
    pairs.pixels([0])
    packed = pickle.dumps(pairs)
    assert len(packed) < 10_000  # no pixels in it
    np.testing.assert_array_equal(pickle.loads(packed).pixels([2])[1], pairs.pixels([2])[1])


def test_provenance_names_file_rule_and_pairs_but_no_place(coco_of_four):
    facts = load(coco_of_four, split=("train", "val")).provenance()
    assert facts["annotations"] == "instances_small.json" and facts["split"] == ["train", "val"]
    assert facts["rule"] == {"min_area": 0.1, "max_overlap": 0.01, "n_objects": 2}
    assert str(coco_of_four.images.parent) not in str(facts)
    other = load(coco_of_four).subset([0]).provenance()
    assert other["index_hash"] != facts["index_hash"] and other["n"] == 1


def test_loading_needs_no_torch(coco_of_four):
    code = (
        "import sys; from attnsci.data.coco import load_coco_pairs; "
        f"p = load_coco_pairs({str(coco_of_four.images)!r}, {str(coco_of_four.annotations)!r}); "
        "p.pixels([0]); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False", done.stdout + done.stderr


def test_a_photograph_turned_by_its_exif_record_counts_as_it_is_seen(coco_of_four):
    path = coco_of_four.images / "000000000001.png"
    exif = Image.Exif()
    exif[274] = 6
    Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    assert load(coco_of_four).report.broken == {}


SUBSET = {"complete": (98, 184, 309), "partial4cat": (8, 39, 83), "permissive": (22, 49, 90)}


@pytest.fixture(scope="session")
def subset(data_root, tmp_path_factory):
    """Load pairs of the real subset into one cache."""
    cache = tmp_path_factory.mktemp("cache")
    root = data_root / "coco/s256"

    def load_subset(name="complete", **settings):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ATTNSCI_CACHE", str(cache))
            annotations = root / f"annotations/instances_{name}.json"
            return load_coco_pairs(root / "images", annotations, **{"size": 16, **settings})

    return load_subset


@pytest.mark.data
@pytest.mark.parametrize("name", SUBSET)
def test_counts_of_the_subset(subset, name):
    got = [subset(name, min_area=share) for share in (0.1, 0.05, 0.02)]
    assert tuple(map(len, got)) == SUBSET[name]
    assert all(not pairs.report.broken and not pairs.report.empty_masks for pairs in got)
    assert got[0].report.n_images == {"complete": 535, "partial4cat": 149, "permissive": 154}[name]


@pytest.mark.data
def test_facts_of_the_subset(subset):
    pairs = subset()
    assert pairs.checksum == "0d3eb702185f9def632810eb02cf0353f3bf403ca57337d85fa03a9cdf9e8be3"
    assert pairs.report.n_overlapping == 114 - 98 and pairs.report.n_too_few == 535 - 114
    names = ("person", "animal", "furniture", "electronic", "food", "accessory",
             "appliance", "indoor", "kitchen", "vehicle", "outdoor", "sports")  # fmt: skip
    counts = {pairs.classes[i]: int(n) for i, n in enumerate(np.bincount(pairs.labels.ravel()))}
    assert [counts[name] for name in names] == [65, 30, 24, 21, 17, 9, 9, 7, 6, 6, 1, 1]
    np.testing.assert_allclose(np.median(pairs.area_share, 0), [0.239, 0.148], atol=5e-4)
    assert int((pairs.labels[:, 0] == pairs.labels[:, 1]).sum()) == 47
    assert int((pairs.category_id[:, 0] == pairs.category_id[:, 1]).sum()) == 39
    ten = subset(target="top10")
    assert (len(ten), ten.report.n_unlabelled) == (28, 70)
    assert [len(subset(split=name)) for name in ("train", "val", "test")] == [71, 11, 16]
    small = [len(subset(split=name, min_area=0.05)) for name in ("train", "val", "test")]
    assert small == [127, 24, 33]
    assert re.search("98 loaded", str(pairs.report))
