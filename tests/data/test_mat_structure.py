"""What scipy may see: whole files pass, and no damaged one that passes ends the process."""

import io
import subprocess
import sys

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from attnsci.data.mat_structure import check_structure
from attnsci.errors import DatasetCorrupt


def saved(compress=False, **variables):
    target = io.BytesIO()
    scipy.io.savemat(target, variables, do_compression=compress)
    return target.getvalue()


def cell(*values):
    made = np.empty((1, len(values)), object)
    made[0] = values
    return made


NESTED = {"a": {"b": cell(np.eye(2), "text", {"c": np.arange(3, dtype=np.uint8)}), "d": 1 + 2j}}


@pytest.mark.parametrize("compress", [False, True])
@pytest.mark.parametrize(
    "variables",
    [NESTED, {"a": np.zeros((0, 4)), "b": "", "c": True}, {"a": cell(np.zeros((0, 0)), "x")}, {}],
)
def test_whole_files_pass(compress, variables):
    check_structure(saved(compress, **variables))


@pytest.mark.data
def test_the_file_of_osie_passes(data_root):
    check_structure((data_root / "gaze/osie/fixations.mat").read_bytes())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not begin"),
        (b"MATLAB 7.3 MAT-file", "save it again with -v7"),
        (saved(**NESTED)[:-1], "has"),
        (saved(True, **NESTED)[:-9], "bytes"),
        (saved(a=scipy.sparse.csc_array(np.eye(2))), "MATLAB class 5"),
    ],
)
def test_others_say_why_not(content, message):
    with pytest.raises(DatasetCorrupt, match=message):
        check_structure(content)


def test_a_compressed_variable_with_a_wrong_byte_is_damaged():
    content = bytearray(saved(True, **NESTED))
    content[170] ^= 0xFF
    with pytest.raises(DatasetCorrupt, match="compressed variable is damaged"):
        check_structure(bytes(content))


# In a process of its own, which may end.
FUZZ = """
import io, sys, warnings
import numpy as np, scipy.io
from attnsci.data.mat_structure import check_structure
from attnsci.errors import DatasetCorrupt
warnings.simplefilter("ignore")
whole = open(sys.argv[1], "rb").read()
passed = 0
for at in range(128, len(whole)):
    for value in (0, 1, 15, 70, 255):
        damaged = bytearray(whole)
        damaged[at] = value
        try:
            check_structure(bytes(damaged))
        except DatasetCorrupt:
            continue
        passed += 1
        try:
            scipy.io.loadmat(io.BytesIO(bytes(damaged)))
        except Exception:
            pass
print(passed)
"""


def test_no_single_wrong_byte_that_passes_ends_the_process(tmp_path):
    (tmp_path / "a.mat").write_bytes(saved(**NESTED))
    command = [sys.executable, "-c", FUZZ, str(tmp_path / "a.mat")]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert int(ended.stdout) > 500
