"""The files of MNIST and Fashion-MNIST: where they are on this machine, or else their download."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from numbanet._cache import user_cache


@dataclass(frozen=True)
class Source:
    """A data set's files by name, with the MD5 of each as it is fetched: gzipped."""

    name: str
    url: str
    md5: Mapping[str, str]
    package: str | None = None  # of Debian, which has the files in /usr/share/datasets/name


MNIST = Source("mnist", "https://ossci-datasets.s3.amazonaws.com/mnist/", {
    "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
})
FASHION_MNIST = Source(
    "fashion-mnist", "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/", {
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    }, package="dataset-fashion-mnist")
DEBIAN = Path("/usr/share/datasets")


def find(source: Source, folder: str | Path | None = None) -> dict[str, Path]:
    """Path of each file, plain or gzipped, in the first folder that has them all.

    Parameters
    ----------
    source : Source
        Which files.
    folder : path-like, optional
        Where they are; nothing is fetched then. By default they are looked for in
        ``$NUMBANET_DATA/name``, in the cache and in Debian's package, then fetched into the cache.

    Returns
    -------
    dict of str to Path
        By the names without ``.gz``.

    Raises
    ------
    OSError
        If a file is missing, or can't be fetched.
    """
    if folder is not None:
        return _all_in(source, Path(folder))
    cache = user_cache() / "numbanet" / "datasets" / source.name
    data = os.environ.get("NUMBANET_DATA")
    folders = [*([Path(data, source.name)] if data else []), cache, *([DEBIAN / source.name] if source.package else [])]
    for place in folders:
        found = _present(source, place)
        if len(found) == len(source.md5):
            return found
    from http.client import HTTPException  # takes 0.03 s

    present = _present(source, cache)
    for name in source.md5:
        if name in present:
            continue
        try:
            present[name] = _fetch(source, name, cache)
        except (OSError, HTTPException) as error:
            raise OSError(
                f"the files of {source.name} aren't all in {' or '.join(map(str, folders))}, and {source.url}{name}.gz "
                f"can't be fetched: {error}. Put {', '.join(source.md5)}, plain or as .gz, into {folders[0]}"
                + (f", or: apt install {source.package}" if source.package else "")) from error
    return present


def _all_in(source: Source, folder: Path) -> dict[str, Path]:
    found = _present(source, folder)
    missing = [name for name in source.md5 if name not in found]
    if missing:
        what = f"has no {', '.join(missing)}" if folder.is_dir() else "doesn't exist"
        raise FileNotFoundError(f"folder '{folder}' {what}; expected the files of {source.name}, plain or as .gz: "
                                f"{', '.join(source.md5)}")
    return found


def _present(source: Source, folder: Path) -> dict[str, Path]:
    paths = [folder / (name + suffix) for name in source.md5 for suffix in ("", ".gz")]
    return {path.name.removesuffix(".gz"): path for path in paths if path.is_file()}


def _fetch(source: Source, name: str, folder: Path) -> Path:
    from urllib.request import urlopen

    print(f"Fetching {source.url}{name}.gz ...", file=sys.stderr)
    with urlopen(f"{source.url}{name}.gz", timeout=60) as response:
        data = response.read()
    found = hashlib.md5(data, usedforsecurity=False).hexdigest()
    if found != source.md5[name]:
        raise OSError(f"its MD5 checksum is {found}; expected {source.md5[name]}")
    folder.mkdir(parents=True, exist_ok=True)
    # Renamed when it's whole, so that no other process reads a part.
    with tempfile.TemporaryDirectory(dir=folder) as partial:
        path = Path(partial, f"{name}.gz")
        path.write_bytes(data)
        return path.replace(folder / path.name)
