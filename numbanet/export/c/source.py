"""A network as one C99 file that depends on nothing but the mathematical library."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import numbanet
from numbanet.cpu.program import Program, Scales
from numbanet.cpu.rebind import plain
from numbanet.export.c.translate import Translator
from numbanet.export.compiled import scalings

if TYPE_CHECKING:
    from numbanet.model import Sequential

HEAD = """\
/* {name}: a neural network written by numbanet {version}.

   int {name}_predict(const {real} x[{inputs}], {real} out[{outputs}]);

   x holds one sample{shape}; out gets the network's outputs. Returns 0, or 1 if an element of x is {bad};
   out is then left as it was. Takes about {bytes} bytes of stack. Threads may call it at the same time.
   Compile it as C99 and link with -lm. */

#include <math.h>
#include <stdlib.h>
#include <tgmath.h>

typedef {real} T;
typedef struct {{ T *p; long n, m; }} array;

static inline array view(array a, long start, long n)
{{
    array part = {{a.p + start, n, 1}};
    return part;
}}

static inline array grid(array a, long start, long n, long m)
{{
    array part = {{a.p + start, n, m}};
    return part;
}}

static inline void fill(array a, T value)
{{
    for (long i = 0; i < a.n * a.m; i++) a.p[i] = value;
}}

static inline T larger(T a, T b) {{ return b > a || b != b ? b : a; }}
static inline T smaller(T a, T b) {{ return b < a || b != b ? b : a; }}
static inline long larger_of_longs(long a, long b) {{ return b > a ? b : a; }}
static inline long smaller_of_longs(long a, long b) {{ return b < a ? b : a; }}

/* C[rows, width] (+)= sum over blocks and k of A[rows, k] B[k, width], for each of several B and C */
static inline void product(array a, long ao, long a_row, long a_k, long a_block, array b, long bo, long b_k,
                           long b_block, long b_strip, array c, long co, long c_row, long c_strip, long rows,
                           long depth, long blocks, long width, long strips, long accumulate)
{{
    for (long s = 0; s < strips; s++) {{
        const T *right = b.p + bo + s * b_strip;
        T *result = c.p + co + s * c_strip;
        for (long w = 0; w < width; w++) {{
            if (!accumulate)
                for (long r = 0; r < rows; r++) result[r * c_row + w] = 0;
            for (long i = 0; i < blocks; i++)
                for (long k = 0; k < depth; k++) {{
                    const T *left = a.p + ao + i * a_block + k * a_k, other = right[i * b_block + k * b_k + w];
                    for (long r = 0; r < rows; r++) result[r * c_row + w] += left[r * a_row] * other;
                }}
        }}
    }}
}}

"""


def to_c(
    model: Sequential, path: str | os.PathLike[str] | None = None, *, name: str = "network", inputs: Any = None,
    outputs: Any = None,
) -> str:
    """C99 source of a network with the weights that it has now.

    Kernels and formulas, plugins among them, are translated from their Python source.

    Parameters
    ----------
    model : Sequential
        Built.
    path : path-like, optional
        File to write.
    name : str
        What the names of the functions begin with.
    inputs, outputs : Scaling, (mean, scale) or fitted StandardScaler, optional
        As `to_njit` takes them.

    Returns
    -------
    str
        The file's text. It defines ``int <name>_predict(const T *x, T *out)``, T being float or double.

    Raises
    ------
    FormulaError
        If a formula, or a kernel of a plugin's layer, uses what C has not; the message names its file and line.
    ValueError
        If the name is none in C, a weight is not finite, the model's input shape is not known yet, or a scaling does
        not fit.
    """
    if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
        raise ValueError(f"name must be one that C allows, such as 'network', got {name!r}")
    graph = model.graph
    graph.check_finite(model.parameters)
    program = Program(graph, model.dtype, scales=Scales(*scalings(graph, inputs, outputs)))
    translator = Translator()
    calls, tables = "", ""
    for k, kernel in enumerate(program.passes.kernels):
        function, _ = translator.add(plain(kernel), ("array", "array", "array", "ints", *["long"] * 4))
        tables += f"static const long op{k}[] = {{{', '.join(map(str, program.integers(k)))}}};\n"
        calls += f"    {function}(params, hyper, work, op{k}, 0, {program.rows}, 1, 1);\n"
    constants = np.array(program.hyper or [0.0], model.dtype)
    first, size, units = program.place(graph.input), graph.input.size, graph.output.size
    limits = f"x[i] < 0 || x[i] >= {graph.vocabulary} || x[i] != floor(x[i])" if graph.vocabulary else "0"
    real = {"float32": "float", "float64": "double"}[model.dtype]
    head = HEAD.format(
        name=name, version=numbanet.__version__, real=real, inputs=size, outputs=units,
        shape=f" of shape {graph.input.shape}, the last axis fastest" if len(graph.input.shape) > 1 else "",
        bad="no index" if graph.vocabulary else "not finite",
        bytes=program.rows * np.dtype(model.dtype).itemsize,
    )  # fmt: skip
    text = f"""{head}{_numbers("weights", model.parameters)}{_numbers("constants", constants)}
{tables}
{"".join(f"{function}{chr(10)}" for function in translator.text)}int {name}_predict(const T *x, T *out);

int {name}_predict(const T *x, T *out)
{{
    T values[{program.rows}];
    const array params = {{(T *)weights, {model.parameters.size}, 1}};
    const array hyper = {{(T *)constants, {constants.size}, 1}};
    const array work = {{values, {program.rows}, 1}};
    for (long i = 0; i < {size}; i++) {{
        if (!isfinite(x[i]) || {limits}) return 1;
        values[{first} + i] = x[i];
    }}
    (void)hyper;
{calls}    for (long i = 0; i < {units}; i++) out[i] = values[{program.output_row} + i];
    return 0;
}}
"""
    if path is not None:
        Path(path).write_text(text, encoding="ascii")
    return text


def _numbers(name: str, values: np.ndarray) -> str:
    """Definition of an array, with every bit."""
    words = [float(value).hex() for value in values] or ["0"]
    lines = [", ".join(words[i : i + 6]) for i in range(0, len(words), 6)]
    return f"static const T {name}[] = {{\n    " + ",\n    ".join(lines) + "\n};\n"
