"""How checks of the CUDA backend in Numba's simulator are made: with ``NUMBA_ENABLE_CUDASIM=1``.

Every check of a group is made, whatever became of those before; a line each says how it went.
"""

import sys
import time
import traceback
import warnings

import devices_compared

import numbanet as nn

warnings.simplefilter("error")
FUSED, DIRECT = nn.CUDA(path="fused", threads=3, blocks=2, lanes=2), nn.CUDA(path="direct", threads=3, blocks=2)
PATHS = {"fused": FUSED, "direct": DIRECT}
NEAR = nn.CUDA(path="fused", threads=2, blocks=1, lanes=8)  # lanes in the memory that a block of threads shares
FAILED = []


class Check:
    """Notes how a check went, and goes on."""

    def __init__(self, case):
        self.case = case

    def __enter__(self):
        self.began = time.perf_counter()
        return self.case

    def __exit__(self, kind, error, trace):
        if error is not None:
            FAILED.append(self.case)
            print(f"FAIL {self.case}")
            traceback.print_exception(error, file=sys.stdout)
        else:
            print(f"ok   {self.case} ({time.perf_counter() - self.began:.1f} s)")
        return isinstance(error, Exception)


def small(layers, shape=(3,), n=5, dtype="float64", **options):
    return devices_compared.drawn(layers, shape, n, dtype, **options)


def raised(kind, text, call, *arguments, **options):
    """The error has the text."""
    try:
        call(*arguments, **options)
    except kind as error:
        found = str(error)
    else:
        raise AssertionError(f"no {kind.__name__}")
    assert text in found, f"{text!r} is not in {found!r}"
    return found


def main(groups):
    """Make the checks of the group that the command names."""
    groups[sys.argv[1]]()
    print(f"failed: {', '.join(FAILED)}" if FAILED else "all agree")
    sys.exit(bool(FAILED))
