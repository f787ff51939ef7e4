"""One HTML file that says how a training went: it opens offline, on a telephone too."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Iterable, Mapping
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from numbanet.runs import curves, save
from numbanet.scores import MOST_SHOWN, confusion, errors, frequent
from numbanet.system import versions
from numbanet.textplot import learning_curve_text

if TYPE_CHECKING:
    from numbanet.experiment import Experiment
    from numbanet.history import History

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
svg { max-width: 100%; height: auto; }
div { max-width: 100%; overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
td, th { padding: .2rem .6rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
.numbers td, .numbers th { text-align: right; }
pre { font-size: .8rem; line-height: 1.2; }
code { overflow-wrap: anywhere; }
"""


def write(path: Path, name: str, command: list[str], options: Mapping[str, Any], experiment: Experiment,
          history: History, y: np.ndarray, prediction: np.ndarray, seconds: float) -> None:
    """Write the report of a training.

    Parameters
    ----------
    path : Path
        File to write.
    name : str
        Of the data.
    command : list of str
        As it was given.
    options : mapping of str to object
        All options, with those that were not given.
    experiment : Experiment
        Data and network.
    history : History
        What its training recorded.
    y, prediction : ndarray
        Of the held-out samples.
    seconds : float
        That training took.
    """
    best = history.best("val_loss" if "val_loss" in history else "loss")
    time = (f"{history.epochs} epochs in {seconds:.1f} s, {seconds / max(history.epochs, 1):.3g} s each; the model is "
            f"that of epoch {history['epoch'][best or 0]}, the best.")
    parts = {
        "Result": _result(experiment.dataset.classes, y, prediction),
        "Data and network": _paragraphs(experiment.describe()),
        "Learning curve": _curves(history) + _paragraphs(time),
        "Layers": f"<div><pre>{escape(experiment.model.summary())}</pre></div>",
        "Command": f"<p><code>{escape(shlex.join(command))}</code></p>" + _table(options.items()),
        "Versions": _table(versions().items()),
    }
    title = f"numbanet: {escape(name)}"
    body = "\n".join(f"<h2>{heading}</h2>\n{part}" for heading, part in parts.items())
    path.write_text(
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{title}</title>\n'
        f"<style>{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}\n</body>\n</html>\n", encoding="utf-8")


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(line)}</p>" for line in text.splitlines())


def _table(rows: Iterable[Iterable[Any]], header: Iterable[Any] = (), numbers: bool = False) -> str:
    """All that is in it is escaped."""
    head = "".join(f"<th>{_cell(cell)}</th>" for cell in header)
    lines = [f"<tr>{head}</tr>"] * bool(head)
    lines += ["<tr>" + "".join(f"<td>{_cell(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return f'<div><table class="{"numbers" if numbers else "texts"}">{"".join(lines)}</table></div>'


def _cell(value: Any) -> str:
    return escape("default" if value is None else ",".join(map(str, value)) or "none" if isinstance(value, tuple)
                  else str(value))


def _curves(history: History) -> str:
    """Vectors inside the page where matplotlib is there, and else characters."""
    with tempfile.TemporaryDirectory() as folder:
        files = save([curves(history)], Path(folder), "svg")
        if not files:
            return f"<div><pre>{escape(learning_curve_text(history))}</pre></div>"
        text = Path(folder, files[0]).read_text(encoding="utf-8")
    # What stands before, and the metadata, name addresses that nobody is to fetch.
    return f"<div>{re.sub(r'<metadata>.*?</metadata>', '', text[text.index('<svg'):], flags=re.DOTALL)}</div>"


def _result(classes: list[str] | None, y: np.ndarray, prediction: np.ndarray) -> str:
    if not len(y):
        return "<p>No samples were held out.</p>"
    if not classes:
        rows = [(f"output {i}", f"{e.rmse:.6g}", "none: the target is constant" if e.r2 is None else f"{e.r2:.4f}")
                for i, e in enumerate(errors(y, prediction))]
        return _table(rows, ("held out", "root mean squared error", "R²"), numbers=True)
    counts = confusion(len(classes), y, prediction)
    right = int(counts.trace())
    text = f"<p><b>Held-out accuracy {100 * right / len(y):.2f} % ({right} of {len(y)})</b></p>"
    if len(classes) > MOST_SHOWN:
        rows = [(classes[i], classes[j], str(counts[i, j])) for i, j in frequent(counts)]
        return f"{text}<p>Most frequent confusions:</p>" + _table(rows, ("true", "predicted", "samples"), numbers=True)
    return f"{text}<p>True classes down, predicted across:</p>" + _confusion(classes, counts)


def _confusion(classes: list[str], counts: np.ndarray) -> str:
    """Green on the diagonal, red beside it, the more the darker."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    head = "".join(f"<th>{escape(name)}</th>" for name in classes)
    lines = [f"<tr><th></th>{head}</tr>"]
    for i, row in enumerate(counts):
        cells = "".join(
            f'<td style="background: rgba({"34, 136, 51" if i == j else "238, 102, 119"}, {share:.2f})">{n or "."}</td>'
            for j, (n, share) in enumerate(zip(row, shares[i], strict=True)))
        lines.append(f"<tr><th>{escape(classes[i])}</th>{cells}</tr>")
    return f'<div><table class="numbers">{"".join(lines)}</table></div>'
