"""The pages: blocks of Python run as a reader would paste them, commands exist, links lead somewhere."""

import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import numbanet as nn
from numbanet import cli
from numbanet.registry import KINDS

ROOT = Path(__file__).parents[1]
WRITTEN = [path for path in sorted((ROOT / "docs").rglob("*.md")) if not {"_build", "generated"} & set(path.parts)]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *WRITTEN]
BLOCK = re.compile(r"(<!-- not run: [^>]+ -->\n)?^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(#[^)\s]*)?\)")


def name(path):
    return path.relative_to(ROOT).as_posix()


def blocks(path, language):
    return [text for skip, of, text in BLOCK.findall(path.read_text(encoding="utf-8")) if of == language and not skip]


@pytest.mark.compiled
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page, "python")], ids=name)
def test_blocks_run(page, tmp_path):
    script = tmp_path / "page.py"  # a file: formulas are read from their source
    script.write_text("\n".join(blocks(page, "python")), encoding="utf-8")
    command = [sys.executable, "-W", "error", "-c", f"import matplotlib; matplotlib.use('agg'); import runpy; "
               f"runpy.run_path({str(script)!r}, run_name='__main__')"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def commands():
    for page in PAGES:
        for block in blocks(page, "sh"):
            for line in block.replace("\\\n", " ").splitlines():
                for part in line.partition("#")[0].split("&&"):
                    words = shlex.split(part)
                    if words[:1] == ["numbanet"]:
                        yield pytest.param(words[1:], id=" ".join([name(page), *words]))


@pytest.mark.parametrize("words", list(commands()))
def test_commands_exist(words):
    command = cli.main
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    known = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    assert {word.partition("=")[0] for word in words if word.startswith("-")} <= known | {"--help", "-h"}


def anchors(path):
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CHANGELOG.md"], ids=name)
def test_links_lead_somewhere(page):
    for target, anchor in LINK.findall(page.read_text(encoding="utf-8")):
        if target == "chapters/index.rst" or target.endswith("/chapters/index.rst"):
            continue  # made of docs/tutorial by the build, which checks the link
        found = (page.parent / target).resolve() if target else page
        assert found.exists(), f"{name(page)} links to {target}"
        if anchor and found.suffix == ".md":
            assert anchor[1:] in anchors(found), f"{name(page)} links to {target}{anchor}"


def test_the_reference_covers_every_public_module():
    listed = runpy.run_path(str(ROOT / "docs" / "_ext" / "public_names.py"))["MODULES"]
    assert set(listed) == {"numbanet", *(f"numbanet.{name}" for name in (*nn._SUBMODULES, *nn._WITH_EXTRAS))}
    pages = (ROOT / "docs" / "reference" / "index.md").read_text(encoding="utf-8")
    assert all(f"generated/{module}\n" in pages for module in listed)
    assert all(f"generated/{kind}\n" in pages for kind in KINDS)
