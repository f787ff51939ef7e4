"""The report of a training, as a browser without a network reads it."""

import csv
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from numbanet import cli, report


class Reader(HTMLParser):
    """Tags, texts and addresses; fails where tags don't match."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.texts, self.addresses = [], [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.addresses += [value for name, value in attributes if name.rpartition(":")[2] in ("href", "src")]
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 2))
    with open("a&b.csv", "w", newline="") as file:
        rows = [[*row, "<script>" if row[0] > 0 else "no"] for row in X]
        csv.writer(file).writerows([["u", "v", "<kind>"], *rows])
    np.savez("numbers.npz", X=X, y=X @ [[1, 2], [3, 4]])
    return tmp_path


def written(*arguments):
    result = CliRunner().invoke(cli.main, ["train", *arguments, "--html", "--epochs", "3", "--output", "run"])
    assert result.exit_code == 0, result.output
    assert "report.html to run" in result.output
    text = Path("run/report.html").read_text(encoding="utf-8")
    return text, Reader(text)


def test_classes(folder):
    text, reader = written("a&b.csv", "--layers", "4", "--target", "<kind>", "--activation", "tanh")
    assert 'name="viewport"' in text
    assert "script" not in reader.tags
    assert reader.tags.count("svg") == 1
    assert all(address.startswith("#") for address in reader.addresses)
    assert set(re.findall(r"https?://[^\"' ]*", text)) <= {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    content = " ".join(reader.texts)
    for piece in ("numbanet: a&b", "60 samples, 2 features, 2 classes", "<script>", "Held-out accuracy", "Dense tanh",
                  "numbanet train 'a&b.csv' --target '<kind>' --layers 4 --activation tanh --epochs 3 --output run "
                  "--html", "3 epochs in", "learning_rate default", "numba "):
        assert piece in re.sub(r"\s+", " ", content), piece


def test_numbers(folder):
    _, reader = written("numbers.npz", "--layers", "none")
    content = " ".join(reader.texts)
    assert re.search(r"output 1 [0-9.]+ -?[0-9.]+", content)
    assert "layers none" in content


def test_without_pictures_and_without_samples_held_out(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    _, reader = written("numbers.npz", "--layers", "none", "--test-fraction", "0")
    assert "svg" not in reader.tags
    content = " ".join(reader.texts)
    assert "▲ best, epoch" in content
    assert "No samples were held out." in content


def test_many_classes():
    names = [f"<{i}>" for i in range(30)]
    text = report._result(names, np.array([0, 0, 1, 29]), np.array([0, 1, 0, 29]))
    assert "Held-out accuracy 50.00 % (2 of 4)" in text
    assert "<td>&lt;0&gt;</td><td>&lt;1&gt;</td><td>1</td>" in text
    assert "constant" in report._result(None, np.ones((3, 1)), np.zeros((3, 1)))


def test_tensorboard_of_a_training(folder):
    result = CliRunner().invoke(cli.main, ["train", "a&b.csv", "--epochs", "2", "--tensorboard", "tb"])
    assert result.exit_code == 0, result.output
    assert len(list(Path("tb").iterdir())) == 1
