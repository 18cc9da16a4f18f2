"""The pairs that an annotation file holds: found once, kept as JSON beside the downloads."""

import dataclasses
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from attnsci.contents import parse_json
from attnsci.data.coco_selection import Rule, select_objects
from attnsci.data.places import prepare_cache
from attnsci.errors import DatasetCorrupt, DatasetNotFound
from attnsci.files import atomic_path
from attnsci.provenance import stable_hash

FOLDER = "coco-pairs"
# Part of every key: to be raised when the rule or what is kept changes.
VERSION = 1

# As Pillow's safeguard for photographs; masks of more would fill the memory.
_MOST_PIXELS = 2**28
# Of an area or a side; Python's whole numbers can be too large for a float.
_LARGEST = 10**9

_PARTS = ("images", "annotations", "categories")
_IMAGE_KEYS = ("id", "file_name", "height", "width")
_ANNOTATION_KEYS = ("id", "image_id", "category_id", "area", "bbox")
_CATEGORY_KEYS = ("id", "name")


@dataclasses.dataclass(frozen=True)
class PairIndex:
    """What the rule found in an annotation file; everything that needs no photograph.

    Attributes
    ----------
    checksum : str
        SHA-256 of the annotation file.
    rule : Rule
        By which it was searched.
    categories, licences : mapping of int to str
        Their names by id, as in the file.
    counts : mapping of str to int
        ``images`` in the file, ``too few``, ``overlapping``, ``empty mask`` and ``kept`` ones,
        and ``stray`` annotations, whose photograph the file does not list.
    empty_masks : mapping of str to list of int
        File names of the photographs left out for it, with the ids of the empty annotations.
    pairs : list of dict
        ``image_id``, ``file_name``, ``height``, ``width``, ``licence`` and ``objects``: of each
        ``id``, ``category_id``, ``area``, ``bbox`` and ``mask`` (compressed run lengths).
    """

    checksum: str
    rule: Rule
    categories: Mapping[int, str]
    licences: Mapping[int, str]
    counts: Mapping[str, int]
    empty_masks: Mapping[str, list[int]]
    pairs: list[dict[str, Any]] = dataclasses.field(repr=False)

    @property
    def folder(self) -> Path:
        """Where it is kept, with the pixels prepared from it."""
        return index_folder(self.checksum, self.rule)


def index_folder(checksum: str, rule: Rule) -> Path:
    """Return the folder of the cache for an annotation file and a rule."""
    return prepare_cache() / FOLDER / stable_hash([VERSION, checksum, rule])


def load_index(annotations: Path, rule: Rule) -> PairIndex:
    """Return the pairs in the file `annotations`: as kept, or found now and kept.

    The file is read to its end each time, for its checksum; changed by a byte, it is another.

    Raises
    ------
    DatasetNotFound
        If there is no such file.
    DatasetCorrupt
        If it does not hold COCO's instance annotations.
    StorageError
        If the cache cannot be written.
    """
    content = _read(annotations)
    checksum = hashlib.sha256(content).hexdigest()
    kept = index_folder(checksum, rule) / "index.json"
    if kept.exists():
        return _from_json(kept)
    index = build_index(parse(content, annotations), checksum, rule, annotations)
    with atomic_path(kept) as temporary:
        temporary.write_text(json.dumps(dataclasses.asdict(index)), "utf-8")
    return index


def _read(path: Path) -> bytes:
    if not path.is_file():
        raise DatasetNotFound(
            f"There is no annotation file at {path}. COCO's are called "
            "annotations/instances_val2017.json and annotations/instances_train2017.json; get "
            "them with: attnsci datasets get coco-2017-val"
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetCorrupt(f"{path} cannot be read: {error}.") from error


def _from_json(path: Path) -> PairIndex:
    try:
        facts = json.loads(path.read_text("utf-8"))
        for name in ("categories", "licences"):
            facts[name] = {int(number): text for number, text in facts[name].items()}
        return PairIndex(**{**facts, "rule": Rule(**facts["rule"])})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DatasetCorrupt(f"{path} is damaged: {error}. Delete it; it is made anew.") from error


def parse(content: bytes, path: Path) -> dict[str, Any]:
    """Return the annotation file's `content`, of which all that the rule needs was checked.

    Raises
    ------
    DatasetCorrupt
        If it is no JSON, or not COCO's; the message says what is missing where.
    """
    data = parse_json(content, path)
    if not isinstance(data, dict) or not all(isinstance(data.get(part), list) for part in _PARTS):
        holds = sorted(data) if isinstance(data, dict) else type(data).__name__
        raise DatasetCorrupt(
            f"{path} is JSON, but no annotations of COCO: it must hold the lists "
            f"{', '.join(_PARTS)}; it holds {holds}. Give an instances_*.json."
        )
    for part, keys in zip(_PARTS, (_IMAGE_KEYS, _ANNOTATION_KEYS, _CATEGORY_KEYS), strict=True):
        _check_records(path, part, data[part], keys)
    for image in data["images"]:
        if not all(_whole(image[side]) and image[side] > 0 for side in ("height", "width")):
            raise DatasetCorrupt(
                f"{path}: image {image['id']} is {image['height']!r} high and "
                f"{image['width']!r} wide; both must be whole numbers above 0."
            )
        if image["height"] * image["width"] > _MOST_PIXELS:
            raise DatasetCorrupt(
                f"{path}: image {image['id']} is {image['height']} high and {image['width']} "
                f"wide, which is more than {_MOST_PIXELS} pixels."
            )
        if not isinstance(image["file_name"], str):
            raise DatasetCorrupt(
                f"{path}: the file_name of image {image['id']} is {image['file_name']!r}."
            )
    for category in data["categories"]:
        if not isinstance(category["name"], str):
            raise DatasetCorrupt(
                f"{path}: the name of category {category['id']} is {category['name']!r}."
            )
    if not isinstance(data.get("licenses") or [], list):
        raise DatasetCorrupt(f"{path}: 'licenses' must be a list; it is {data['licenses']!r}.")
    known = {category["id"] for category in data["categories"]}
    for annotation in data["annotations"]:
        _check_annotation(path, annotation, known)
    return data


def _check_records(path: Path, part: str, records: list[Any], keys: Iterable[str]) -> None:
    for place, record in enumerate(records):
        missing = [key for key in keys if not isinstance(record, dict) or key not in record]
        if missing:
            raise DatasetCorrupt(
                f"{path}: entry {place} of {part!r} lacks {', '.join(missing)}. Give an "
                "instances_*.json; captions and other annotations hold no objects."
            )
        if not _whole(record["id"]):
            raise DatasetCorrupt(
                f"{path}: the id of entry {place} of {part!r} is {record['id']!r}; it must be a "
                "whole number."
            )
    number, count = next(iter(Counter(r["id"] for r in records).most_common(1)), (0, 1))
    if count > 1:
        raise DatasetCorrupt(
            f"{path}: {count} entries of {part!r} have the id {number}; ids must differ."
        )


def _check_annotation(path: Path, annotation: dict[str, Any], known: set[int]) -> None:
    number, box = annotation["id"], annotation["bbox"]
    if not _whole(annotation["image_id"]):
        raise DatasetCorrupt(
            f"{path}: the image_id of annotation {number} is {annotation['image_id']!r}; it must "
            "be a whole number."
        )
    if not _whole(annotation["category_id"]) or annotation["category_id"] not in known:
        raise DatasetCorrupt(
            f"{path}: annotation {number} is of category {annotation['category_id']!r}, which "
            "'categories' lacks."
        )
    if not _finite(annotation["area"]):
        raise DatasetCorrupt(f"{path}: the area of annotation {number} is {annotation['area']!r}.")
    if annotation.get("iscrowd", 0) not in (0, 1):
        raise DatasetCorrupt(
            f"{path}: iscrowd of annotation {number} is {annotation['iscrowd']!r}; it must be 0 "
            "or 1."
        )
    if not isinstance(box, list) or len(box) != 4 or not all(map(_finite, box)):
        raise DatasetCorrupt(
            f"{path}: the bbox of annotation {number} is {box!r}; it must be x, y, width, height."
        )


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _finite(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and -_LARGEST <= value <= _LARGEST


def build_index(data: Mapping[str, Any], checksum: str, rule: Rule, path: Path) -> PairIndex:
    """Apply `rule` to every photograph of the annotation file `data`; see `PairIndex`."""
    by_image = defaultdict(list)
    for annotation in data["annotations"]:
        by_image[annotation["image_id"]].append(annotation)
    counts = Counter({"too few": 0, "overlapping": 0, "empty mask": 0, "kept": 0})
    empty_masks, pairs = {}, []
    for image in data["images"]:
        try:
            found = select_objects(
                by_image.pop(image["id"], ()), image["height"], image["width"], rule
            )
        except DatasetCorrupt as error:
            raise DatasetCorrupt(f"{path}, image {image['file_name']}: {error}") from error
        counts[found.outcome] += 1
        if found.outcome == "empty mask":
            empty_masks[image["file_name"]] = [one["id"] for one in found.annotations]
        elif found.outcome == "kept":
            objects = [
                {
                    **{key: one[key] for key in ("id", "category_id", "area", "bbox")},
                    "mask": mask["counts"].decode("ascii"),
                }
                for one, mask in zip(found.annotations, found.masks, strict=True)
            ]
            facts = {key: image[key] for key in ("file_name", "height", "width")}
            licence = image["license"] if _whole(image.get("license")) else -1
            pairs.append({"image_id": image["id"], **facts, "licence": licence, "objects": objects})
    counts["images"] = len(data["images"])
    counts["stray"] = sum(map(len, by_image.values()))
    return PairIndex(
        checksum=checksum,
        rule=rule,
        categories={category["id"]: category["name"] for category in data["categories"]},
        licences=_licences(data.get("licenses")),
        counts=dict(counts),
        empty_masks=empty_masks,
        pairs=pairs,
    )


def _licences(records: Any) -> dict[int, str]:
    """Return the licences' names; files of one's own often name none, or in their own way."""
    named = [one for one in records or () if isinstance(one, dict) and _whole(one.get("id"))]
    return {one["id"]: str(one.get("name", "not stated")) for one in named}
