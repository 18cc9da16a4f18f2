"""A digest of all that a store says besides its numbers: an altered description is not believed.

Chunks carry checksums of their own. The JSON files that say how to read them do not, nor does
anything tell that an array or a chunk was deleted, in whose place Zarr reads the fill value.
"""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

ATTRIBUTE = "content_digest"
_ROOT = "zarr.json"


def content_digest(path: Path, checked_elsewhere: tuple[str, ...] = ()) -> str:
    """Return a digest of a store: what its files hold, and how long its layers' chunks are.

    Parameters
    ----------
    path : pathlib.Path
        A Zarr store.
    checked_elsewhere : tuple of str
        Names of arrays whose chunks are left out altogether.

    Returns
    -------
    str
        SHA-256, in hexadecimal digits.
    """
    total = hashlib.sha256()
    for folder, folders, files in os.walk(path):
        place = Path(folder)
        if folders == ["c"] and place.name in checked_elsewhere:
            folders.clear()
        folders.sort()
        # Of activations the length is enough, since their chunks have checksums.
        chunks = place.relative_to(path).parts[1:3] == ("activation", "c")
        for name in sorted(files):
            file = place / name
            if place == path and name == _ROOT:
                content = _described(json.loads(file.read_text("utf-8")))
            elif chunks:
                content = str(file.stat().st_size).encode()
            else:
                content = file.read_bytes()
            label = file.relative_to(path).as_posix().encode()
            for part in (label, content):
                total.update(len(part).to_bytes(8, "little") + part)
    return total.hexdigest()


def _described(root: dict[str, Any]) -> bytes:
    """Return what the root's JSON says, without what is set with the digest, and after it."""
    later = (ATTRIBUTE, "complete")
    attributes = {k: v for k, v in root.get("attributes", {}).items() if k not in later}
    kept = {k: v for k, v in root.items() if k != "consolidated_metadata"}
    return json.dumps({**kept, "attributes": attributes}, sort_keys=True).encode()
