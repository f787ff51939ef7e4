"""The lanes of .ci/run one by one, and the oldest supported versions.

nox -s tests, nox -s plain bounds, nox -s lint, ...
"""

import re
import tomllib
from pathlib import Path

import nox

nox.needs_version = ">=2024.4.15"
nox.options.sessions = ["tests", "plain", "bounds", "lint"]
PYTHONS = ["3.11", "3.12", "3.13"]


def floors(*extras: str) -> list[str]:
    """Every dependency with a lower bound, pinned to it."""
    project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
    extra = project["optional-dependencies"]
    required = [*project["dependencies"], *(line for name in extras for line in extra[name])]
    return [line.replace(">=", "==") for line in required if re.match(r"[\w.\[\]-]+>=", line)]


def cached(session: nox.Session, name: str) -> dict[str, str]:
    """A cache of compiled kernels apart from all others."""
    return {"NUMBA_CACHE_DIR": str(Path(session.create_tmp()).resolve() / name)}


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """All tests, compiled."""
    session.install("-e", ".[test]")
    session.run("pytest", *session.posargs, env=cached(session, "compiled"))


@nox.session
def plain(session: nox.Session) -> None:
    """All tests without compilation, so that a debugger can step through kernels."""
    session.install("-e", ".[test]")
    session.run("pytest", "-m", "not compiled", *session.posargs, env={"NUMBA_DISABLE_JIT": "1"})


@nox.session
def bounds(session: nox.Session) -> None:
    """The kernels' own tests with every index checked."""
    session.install("-e", ".[test]")
    kernels = sorted(map(str, Path("tests").glob("test_cpu_*.py")))
    session.run("pytest", *kernels, *session.posargs, env={"NUMBA_BOUNDSCHECK": "1", **cached(session, "bounds")})


@nox.session
def docs(session: nox.Session) -> None:
    """Every page, warnings being errors."""
    session.install("-e", ".[docs]")
    session.run("python", "-m", "sphinx", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session
def cards(session: nox.Session) -> None:
    """Kernels of the GPU, compiled for cards that are not there."""
    session.install("-e", ".[test,cuda]", "cuda-toolkit==13.0.*")
    kernels = [f"tests/test_{name}.py" for name in ("cuda_ptx", "cuda_gemm", "cuda_many", "export_cuda")]
    session.run("pytest", *kernels, "-k", "card or memory", *session.posargs, env=cached(session, "cards"))


@nox.session
def floor(session: nox.Session) -> None:
    """All tests with the oldest versions that pyproject.toml allows."""
    session.install("-e", ".[test]", *floors("sklearn", "plot", "onnx", "tensorboard"))
    ignored = ["-W", "ignore::DeprecationWarning"]  # of old versions that use each other
    session.run("pytest", *ignored, *session.posargs, env=cached(session, "floor"))


@nox.session
def lint(session: nox.Session) -> None:
    """Style, types, imports and docstrings."""
    session.install("-e", ".[test,lint]")
    session.run("ruff", "check", ".")
    session.run("mypy")
    session.run("lint-imports", "--no-cache")
    session.run("python", "tests/numpydoc_public.py")


@nox.session
def benchmarks(session: nox.Session) -> None:
    """The comparison with the peers that are installed: nox -s benchmarks -- tiny --threads 1."""
    session.install("-e", ".[bench]", "jax", "optax", "torch")
    session.run("python", "asv_benchmarks/compare.py", *session.posargs)
