"""What a file of somebody else's holds: its bytes, text or JSON, bounded and without doubt.

Readers look at a file several times, first to recognise it, so only files are read: a pipe would
be empty the second time, and a device never ends. What is compressed may not grow without bound,
text is UTF-8 or says by its first bytes that it is UTF-16, and JSON means one thing only.
"""

import codecs
import gzip
import json
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

from attnsci.errors import DatasetCorrupt, DatasetNotFound, InvalidInput

FREE_BYTES = 2**28
"""What may unpack to less is not looked at: 256 MiB."""
MOST_RATIO = 100
"""How many times its stored size a file may unpack to; tables of fixations reach about 20."""
MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
GZIP = b"\x1f\x8b"
BLOCK = 2**20


def check_readable(path: Path) -> None:
    """Raise unless `path` is a file or a folder that can be read more than once.

    Raises
    ------
    DatasetNotFound
        If there is nothing, or a link that leads nowhere.
    InvalidInput
        If it is a pipe, a socket or a device.
    """
    if path.is_symlink() and not path.exists():
        raise DatasetNotFound(f"{path} is a link to {path.readlink()}, which is not there.")
    if not path.exists():
        raise DatasetNotFound(f"There is no file or folder {path}.")
    if not (path.is_file() or path.is_dir()):
        raise InvalidInput(
            f"{path} is a pipe or a device, which can be read only once or never ends. Write it "
            "to a file first, and read that."
        )


def check_inflation(unpacked: int, stored: int, place: str | Path) -> None:
    """Raise if data unpack to more than `MOST_RATIO` times what is stored, beyond `FREE_BYTES`."""
    if unpacked > max(FREE_BYTES, MOST_RATIO * stored):
        raise DatasetCorrupt(
            f"{place} unpacks to {unpacked:,} bytes or more from {stored:,}: over {MOST_RATIO} "
            "times as much, as no data do. If it is right, unpack it yourself."
        )


def content(path: Path) -> bytes:
    """Return the bytes of a file, those inside where it is gzipped.

    Raises
    ------
    DatasetNotFound, InvalidInput
        If there is nothing, or no file.
    DatasetCorrupt
        If it cannot be read, is cut short, or unpacks without bound.
    """
    check_readable(path)
    try:
        with path.open("rb") as file:
            if file.read(2) != GZIP:
                file.seek(0)
                return file.read()
            file.seek(0)
            blocks, unpacked = [], 0
            with gzip.GzipFile(fileobj=file) as inside:
                while block := inside.read(BLOCK):
                    blocks.append(block)
                    unpacked += len(block)
                    check_inflation(unpacked, file.tell(), path)
            return b"".join(blocks)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetCorrupt(f"{path} cannot be read: {error}. Is it whole?") from error


def inflate(stored: bytes | memoryview, place: str | Path) -> bytes:
    """Return what zlib made `stored` from.

    Raises
    ------
    DatasetCorrupt
        If it unpacks without bound.
    zlib.error
        If it is damaged.
    """
    unpacker = zlib.decompressobj()
    most = max(FREE_BYTES, MOST_RATIO * len(stored))
    found = unpacker.decompress(stored, most + 1)
    check_inflation(len(found), len(stored), place)
    if not unpacker.eof:
        raise zlib.error("incomplete or truncated stream")
    return found


def text(path: Path, fallback: str | None = None) -> str:
    r"""Return the text of a file, gzipped or not, with ``\n`` at the ends of its lines.

    Parameters
    ----------
    path : pathlib.Path
        UTF-8, or UTF-16 with the mark that Windows puts first; lines end in LF, CR LF or CR.
    fallback : str, optional
        Encoding of a file that is no UTF-8; by default that is an error.

    Raises
    ------
    DatasetNotFound, InvalidInput, DatasetCorrupt
        As `content`; DatasetCorrupt also names the byte and the line that are no text.
    """
    return decoded(content(path), path, fallback)


def decoded(raw: bytes, place: str | Path, fallback: str | None = None) -> str:
    """Return bytes as text; see `text`."""
    encoding, start = _encoding(raw)
    try:
        words = raw[start:].decode(encoding)
    except UnicodeDecodeError as error:
        if fallback is None:
            at = start + error.start
            what = f"byte 0x{raw[at]:02x}" if at < len(raw) else "its end"
            raise DatasetCorrupt(
                f"{place}, line {raw.count(10, 0, at) + 1}: {what} is no {encoding.upper()}. Save "
                "the file again as UTF-8 (in Excel: CSV UTF-8)."
            ) from error
        words = raw.decode(fallback)
    if "\0" in words:
        line = words.count("\n", 0, words.index("\0")) + 1
        raise DatasetCorrupt(
            f"{place}, line {line}: a NUL byte, which no text has. Is it a binary file, or UTF-16 "
            "without its mark? Save it again as UTF-8."
        )
    return words.replace("\r\n", "\n").replace("\r", "\n")


def decoded_head(raw: bytes) -> str:
    """Return the beginning of a file as text as far as it is text, for a first look."""
    encoding, start = _encoding(raw)
    words = raw[start:].decode(encoding, errors="ignore")
    return words.replace("\r\n", "\n").replace("\r", "\n")


def _encoding(raw: bytes) -> tuple[str, int]:
    """Return the encoding that the first bytes tell, and how many they are."""
    return next(((name, len(mark)) for mark, name in MARKS if raw.startswith(mark)), ("utf-8", 0))


def parse_json(raw: bytes | str, place: str | Path) -> Any:
    """Return JSON that can be understood in one way only.

    Parameters
    ----------
    raw : bytes or str
        UTF-8, or UTF-16 with its mark.
    place : str or path
        What to call it in messages.

    Raises
    ------
    DatasetCorrupt
        If it is no JSON, an object has a key twice, or a number is NaN, infinite, or of
        thousands of digits; the message names the key or the place.

    Examples
    --------
    >>> parse_json('{"a": [1, 2]}', "mine.json")
    {'a': [1, 2]}
    >>> parse_json('{"a": 1, "a": 2}', "mine.json")
    Traceback (most recent call last):
    ...
    attnsci.errors.DatasetCorrupt: mine.json has the key 'a' twice in one object; ...
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            doubled = Counter(name for name, _ in pairs).most_common(1)[0][0]
            raise DatasetCorrupt(
                f"{place} has the key {doubled!r} twice in one object; a reader would see one of "
                "them alone. Give each its own."
            )
        return made

    def no_number(word: str) -> Any:
        raise DatasetCorrupt(f"{place} holds {word}, which is no number in JSON.")

    words = raw if isinstance(raw, str) else decoded(raw, place)
    try:
        return json.loads(words, object_pairs_hook=once, parse_constant=no_number)
    except RecursionError as error:
        raise DatasetCorrupt(f"{place} is nested too deeply to be data.") from error
    except DatasetCorrupt:  # a ValueError, too
        raise
    except ValueError as error:
        raise DatasetCorrupt(f"{place} is no JSON: {error}.") from error


def read_json(path: Path) -> Any:
    """Return what a JSON file holds; see `parse_json` and `content`."""
    return parse_json(content(path), path)
