"""The examples of the guides can be pasted, each guide from its top to its end."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize(
    "name", ["analysis", "gaze", "neva", "object_attention", "ram", "recording", "what_where"]
)
def test_examples_can_be_pasted(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (DOCS / f"{name}.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert blocks
    space = {"__name__": name}
    for block in blocks:
        exec(compile(block, f"{name}.md", "exec"), space)
