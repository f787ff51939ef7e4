"""What the host's processor wants: vector width, tile height, lanes in a block."""

from dataclasses import dataclass
from functools import cache

import llvmlite.binding as llvm
import numpy as np


@dataclass(frozen=True)
class Tile:
    """Register tile of the matrix product.

    Attributes
    ----------
    vector : int
        Elements in one vector register.
    vectors : int
        Registers side by side in a row of the tile.
    height : int
        Rows of the tile at most.
    narrow : int
        Elements in the vectors of the narrowest tile, for few columns.
    sums : tuple of int
        Rows and columns of the tile of dot products.
    """

    vector: int
    vectors: int
    height: int
    narrow: int
    sums: tuple[int, int]

    @property
    def lanes(self) -> int:
        """Samples in a full block: the width of the tile."""
        return self.vector * self.vectors


L2 = 1 << 19  # bytes of blocks that a worker keeps in its second-level cache

# (feature, bytes in a vector, in a narrow one, rows, vectors in a row): rows x vectors accumulators,
# the vectors of B and one broadcast fit in 32, 16, 32 and 16 registers. Some processors do
# arithmetic on 64 bytes in two halves: there narrow vectors take half the time, elsewhere no more.
_TABLE = (
    ("avx512f", 64, 32, 12, 2),
    ("avx2", 32, 32, 6, 2),
    ("neon", 16, 16, 12, 2),
    ("", 16, 16, 6, 2),
)


@cache
def features() -> frozenset[str]:
    """Features of the host's processor, in LLVM's names."""
    try:
        return frozenset(name for name, on in llvm.get_host_cpu_features().items() if on)
    except RuntimeError:  # LLVM can't tell on some platforms
        return frozenset()


@cache
def tile(dtype: str) -> Tile:
    """Register tile for ``dtype`` ("float32" or "float64") on this host."""
    width, narrow, height, vectors = next(row[1:] for row in _TABLE if not row[0] or row[0] in features())
    itemsize = np.dtype(dtype).itemsize
    return Tile(width // itemsize, vectors, height, narrow // itemsize, (4, 6) if height == 12 else (2, 4))
