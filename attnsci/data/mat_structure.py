"""Whether a MATLAB file is whole, asked before scipy reads it.

scipy's reader ends the whole process on some files with a wrong byte (seen with 1.15 to 1.17).
The layout is that of "MAT-File Format" (The MathWorks), version 5, which versions 6 and 7 share.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

from attnsci.contents import inflate
from attnsci.errors import DatasetCorrupt

BYTES = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2, 18: 4}
"""Bytes a value of each data type that is none of the two below."""
MATRIX, COMPRESSED = 14, 15
CELL, STRUCT, CHAR = 1, 2, 4
NUMBERS = range(6, 16)
COMPLEX = 0x0800
DEEPEST = 20


class Element(NamedTuple):
    """One element: its data type and its bytes."""

    kind: int
    data: memoryview


def check_structure(content: bytes) -> None:
    """Raise if the bytes of a MATLAB file do not have the structure that they announce.

    Parameters
    ----------
    content : bytes
        The whole file.

    Raises
    ------
    DatasetCorrupt
        If it is of another version, truncated, or holds what cannot be; the message says what.

    Examples
    --------
    >>> check_structure(b"MATLAB 7.3 MAT-file")
    Traceback (most recent call last):
    ...
    attnsci.errors.DatasetCorrupt: It is of MATLAB version 7.3; save it again with -v7.
    """
    if content.startswith(b"MATLAB 7.3"):
        raise DatasetCorrupt("It is of MATLAB version 7.3; save it again with -v7.")
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if not content.startswith(b"MATLAB 5.0") or order is None:
        raise DatasetCorrupt("It does not begin as MATLAB files of version 5 to 7 do.")
    for element in _elements(memoryview(content)[128:], order):
        if element.kind == COMPRESSED:
            try:
                inside = memoryview(inflate(element.data, "A compressed variable"))
            except zlib.error as error:
                raise DatasetCorrupt(f"A compressed variable is damaged: {error}.") from error
            for each in _elements(inside, order):
                _check_matrix(each, order, 0)
        else:
            _check_matrix(element, order, 0)


def _elements(data: memoryview, order: str) -> Iterator[Element]:
    """Yield the elements that follow each other in `data`."""
    at = 0
    while at < len(data):
        if len(data) - at < 8:
            raise DatasetCorrupt("It ends within the head of an element.")
        kind, size = struct.unpack_from(f"{order}II", data, at)
        begin = at + 8
        if kind >> 16:  # up to four bytes stand in the head itself
            kind, size, begin = kind & 0xFFFF, kind >> 16, at + 4
            if size > 4:
                raise DatasetCorrupt(f"A short element has {size} bytes.")
            at += 8
        else:
            # Compressed elements are not filled up to a multiple of eight.
            at = begin + (size if kind == COMPRESSED else -(-size // 8) * 8)
        if begin + size > len(data):
            raise DatasetCorrupt(f"An element of {size} bytes has {len(data) - begin}.")
        if kind not in BYTES and kind not in (MATRIX, COMPRESSED):
            raise DatasetCorrupt(f"An element is of the unknown data type {kind}.")
        yield Element(kind, data[begin : begin + size])


def _check_matrix(element: Element, order: str, depth: int) -> None:
    if element.kind != MATRIX:
        raise DatasetCorrupt(f"A variable is of data type {element.kind}, not {MATRIX}.")
    if depth > DEEPEST:
        raise DatasetCorrupt(f"Variables are nested more than {DEEPEST} deep.")
    if not element.data:  # how an empty cell may be written
        return
    parts = list(_elements(element.data, order))
    flags = _values(parts, 0, 6, order)
    sizes = _values(parts, 1, 5, order, signed=True)
    if len(flags) != 2 or len(sizes) < 2 or min(sizes) < 0:
        raise DatasetCorrupt(f"A variable has the flags {flags} and the size {sizes}.")
    if len(parts) < 3 or parts[2].kind != 1:
        raise DatasetCorrupt("A variable has no name.")
    count, kind, rest = math.prod(sizes), flags[0] & 0xFF, parts[3:]
    if kind == CELL:
        _check_children(rest, count, order, depth)
    elif kind == STRUCT:
        (width,) = _values(parts, 3, 5, order) or (0,)
        names = rest[1] if len(rest) > 1 else None
        if names is None or names.kind != 1 or not width or len(names.data) % width:
            raise DatasetCorrupt("The names of a struct's fields are damaged.")
        _check_children(rest[2:], count * (len(names.data) // width), order, depth)
    elif kind in NUMBERS:
        wanted = 2 if flags[0] & COMPLEX else 1
        if len(rest) != wanted or any(each.kind not in BYTES for each in rest):
            raise DatasetCorrupt(f"An array has {len(rest)} parts where it needs {wanted}.")
        if any(len(each.data) != count * BYTES[each.kind] for each in rest):
            raise DatasetCorrupt(f"An array of {count} values has {len(rest[0].data)} bytes.")
    elif kind == CHAR:
        if len(rest) != 1 or rest[0].kind not in BYTES:
            raise DatasetCorrupt("A text is damaged.")
    else:
        raise DatasetCorrupt(
            f"It has a variable of MATLAB class {kind}; read are numbers, texts, cells and structs."
        )


def _check_children(parts: list[Element], count: int, order: str, depth: int) -> None:
    if len(parts) != count:
        raise DatasetCorrupt(f"A cell or struct of {count} parts has {len(parts)}.")
    for each in parts:
        _check_matrix(each, order, depth + 1)


def _values(
    parts: list[Element], place: int, kind: int, order: str, signed: bool = False
) -> tuple[int, ...]:
    """Return the 32-bit integers of one part, which must be of data type `kind`."""
    if len(parts) <= place or parts[place].kind != kind or len(parts[place].data) % 4:
        raise DatasetCorrupt("The head of a variable is damaged.")
    data = parts[place].data
    return struct.unpack(f"{order}{len(data) // 4}{'i' if signed else 'I'}", data)
