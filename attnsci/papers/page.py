"""The page of a run: its table, every figure under the question that it answers, every file."""

import html
import os
from pathlib import Path

from attnsci.files import atomic_path
from attnsci.papers.output import result_cells
from attnsci.papers.paper import Paper, Run

_HEAD = ("quantity", "published", "reference code", "ours", "n, 95 % interval", "note")
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; font-size: 13px; width: 100%; }
th, td { border-bottom: 1px solid #ddd; padding: .25rem .5rem; text-align: left; }
td:nth-child(4) { font-variant-numeric: tabular-nums; text-align: right; }
img { max-width: 100%; }
"""


def save_page(run: Run, paper: Paper, caption: str) -> Path:
    """Write ``index.html`` beside the run's files; return its path.

    Parameters
    ----------
    run : Run
        With all its steps measured and drawn.
    paper : Paper
    caption : str
        What the numbers stand on.
    """
    text = html.escape
    rows = "\n".join(
        "<tr>" + "".join(f"<td>{text(cell)}</td>" for cell in result_cells(row)) + "</tr>"
        for row in run.rows
    )
    head = "".join(f"<th>{name}</th>" for name in _HEAD)
    parts = [
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{text(paper.title)}</title>",
        f"<style>{_STYLE}</style><h1>{text(paper.title)}</h1><p>{text(caption)}</p>",
    ]
    names = _names(run)
    for step in paper.steps:
        if step.name not in run.outcomes and not run.files.get(step.name):
            continue
        question = (step.measure.__doc__ or "").strip().splitlines()
        parts.append(f"<h2>{text(step.name.replace('-', ' '))}</h2>")
        parts.append(f"<p>{text(question[0])}</p>" if question else "")
        for path in run.files.get(step.name, []):
            name = path.relative_to(run.out).as_posix()
            if path.suffix == ".png":
                parts.append(f"<p><img src='{text(name)}' alt='{text(path.stem)}'></p>")
            elif path.suffix == ".html":
                parts.append(f"<p><a href='{text(name)}'>{text(name)}</a></p>")
    parts.append(f"<h2>Results</h2><table><tr>{head}</tr>{rows}</table>")
    links = "".join(f"<li><a href='{text(name)}'>{text(name)}</a></li>" for name in names)
    parts.append(f"<h2>Files</h2><ul>{links}</ul></html>")
    target = run.out / "index.html"
    with atomic_path(target) as temporary:
        temporary.write_text("\n".join(parts), encoding="utf-8")
    return target


def _names(run: Run) -> list[str]:
    """Return the files of a run, relative to its page."""
    written = [path for path in run.written if path.suffix not in (".png", ".zarr")]
    return [os.fspath(path.relative_to(run.out).as_posix()) for path in written]
