"""What files hold: bounded, decoded, and JSON that means one thing."""

import gzip
import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnsci import contents
from attnsci.contents import check_readable, content, decoded, inflate, parse_json, text
from attnsci.errors import DatasetCorrupt, DatasetNotFound, InvalidInput


@pytest.fixture
def file(tmp_path):
    def write(raw, name="a.txt"):
        (tmp_path / name).write_bytes(raw)
        return tmp_path / name

    return write


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_text_is_the_same_however_windows_or_a_mac_wrote_it(file, encoding, end):
    raw = f"é,1{end}b,2{end}".encode(encoding)
    assert text(file(raw)) == "é,1\nb,2\n" == text(file(gzip.compress(raw)))


def test_big_endian_and_a_lone_byte_at_the_end():
    raw = "\ufeffab".encode("utf-16-be")
    assert decoded(raw, "x") == "ab"
    with pytest.raises(DatasetCorrupt, match=r"x, line 1: .* is no UTF-16-BE"):
        decoded(raw + b"\0", "x")


def test_bytes_that_are_no_text_are_named_with_their_line():
    raw = "a\nb\ncaf\xe9,1\n".encode("cp1252")
    with pytest.raises(DatasetCorrupt, match=r"x, line 3: byte 0xe9 is no UTF-8.*CSV UTF-8"):
        decoded(raw, "x")
    assert decoded(raw, "x", fallback="latin-1") == "a\nb\ncafé,1\n"
    with pytest.raises(DatasetCorrupt, match="x, line 2: a NUL byte"):
        decoded(b"a\nb\0\n", "x")


def test_only_files_and_folders_are_read(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(InvalidInput, match=r"is a pipe or a device.*Write it to a file first"):
            check_readable(type(tmp_path)(path))
    with pytest.raises(DatasetNotFound, match=r"is a link to .*gone, which is not there"):
        content(tmp_path / "link")
    with pytest.raises(DatasetCorrupt, match=r"cannot be read: .*directory"):
        content(tmp_path)


def test_what_unpacks_without_bound_is_not_unpacked(file, monkeypatch):
    monkeypatch.setattr(contents, "FREE_BYTES", 2**21)
    bomb = gzip.compress(bytes(2**24))
    with pytest.raises(DatasetCorrupt, match=r"a\.gz unpacks to [0-9,]+ bytes or more"):
        content(file(bomb, "a.gz"))
    with pytest.raises(DatasetCorrupt, match=r"It unpacks to .* over 100 times"):
        inflate(zlib.compress(bytes(2**24)), "It")
    # As much, but of data: twenty times smaller, like a table.
    data = b"".join(b"%d,%d\n" % (n, n * n) for n in range(200_000))
    assert content(file(gzip.compress(data), "b.gz")) == data == inflate(zlib.compress(data), "It")


def test_a_bomb_is_given_up_early(file, monkeypatch):
    monkeypatch.setattr(contents, "FREE_BYTES", 2**20)
    read = []
    whole = gzip.GzipFile.read
    monkeypatch.setattr(
        gzip.GzipFile, "read", lambda self, size: read.append(size) or whole(self, size)
    )
    with pytest.raises(DatasetCorrupt, match="unpacks"):
        content(file(gzip.compress(bytes(2**26)), "a.gz"))
    assert len(read) < 25  # of 64 blocks


@pytest.mark.parametrize("cut", [1, 5, 20, -3])
def test_cut_gzip_and_cut_zlib(file, cut):
    raw = os.urandom(100)
    if cut != 1:  # one byte is no gzip, but a text of its own
        with pytest.raises(DatasetCorrupt, match="Is it whole"):
            content(file(gzip.compress(raw)[:cut], "a.gz"))
    with pytest.raises(zlib.error):
        inflate(zlib.compress(raw)[:cut], "It")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ('{"a": {"b": 1, "c": 2, "b": 1}}', "x has the key 'b' twice"),
        ('{"a": [1, NaN]}', "x holds NaN"),
        ("[-Infinity]", "x holds -Infinity"),
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
        ("[" + "9" * 5000 + "]", "x is no JSON: .*4300"),
        ("{'a': 1}", "x is no JSON: .*line 1 column 2"),
        ("", "x is no JSON"),
        (b"\xff\xfe[\x00", "x is no JSON"),
        ('["caf\xe9"]'.encode("latin-1"), "byte 0xe9 is no UTF-8"),
    ],
)
def test_json_that_is_none_or_means_two_things(raw, message):
    with pytest.raises(DatasetCorrupt, match=message):
        parse_json(raw, "x")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))  # fmt: skip
def test_every_other_json_is_what_it_was(value):
    import json

    assert parse_json(json.dumps(value), "x") == value
