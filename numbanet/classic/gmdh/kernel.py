"""Least squares of quadratic polynomials in two variables, for many pairs of variables."""

from __future__ import annotations

import numpy as np

from numbanet.cpu.jit import kernel

TERMS = 6  # 1, a, b, a², b², ab
BASIS = TERMS * TERMS + TERMS  # where in the memory for work the change of variables is
WORK = BASIS + 5
POWERS = ((0, 0), (1, 0), (0, 1), (2, 0), (0, 2), (1, 1))  # of a and b in each term
SAME = 1e-20  # part of a variable's square that another leaves over, below which they say the same
SINGULAR = 1e-12  # part of a term's square that the terms before it leave over, below which it is left out


@kernel
def fit_pairs(features, target, pairs, first, last, coefficients, work):
    """Coefficients of pairs on samples ``first`` to ``last``.

    ``features`` has a row for each variable, ``pairs`` and ``coefficients`` one for each pair.
    """
    for p in range(len(pairs)):
        a, b = features[pairs[p, 0]], features[pairs[p, 1]]
        separate(a, b, first, last, work[BASIS:])
        normal_equations(a, b, target, first, last, work)
        solve(work, coefficients[p])
        restore(work[BASIS:], coefficients[p])


@kernel
def separate(a, b, first, last, basis):
    """Variables of mean 0 and variance 1 that say different things: b without what a says of it.

    In deep layers all variables are nearly the target, and powers of them would be nearly the same.
    """
    n = last - first
    mean_a = mean_b = 0.0
    for i in range(first, last):
        mean_a += a[i]
        mean_b += b[i]
    mean_a, mean_b = mean_a / n, mean_b / n
    aa = bb = ab = 0.0
    for i in range(first, last):
        aa += (a[i] - mean_a) ** 2
        bb += (b[i] - mean_b) ** 2
        ab += (a[i] - mean_a) * (b[i] - mean_b)
    slope = ab / aa if aa > 0 else 0.0
    rest = 0.0
    for i in range(first, last):
        rest += (b[i] - mean_b - slope * (a[i] - mean_a)) ** 2
    basis[0], basis[1], basis[2] = mean_a, mean_b, slope
    basis[3] = (aa / n) ** -0.5 if aa > 0 else 0.0
    basis[4] = (rest / n) ** -0.5 if rest > SAME * bb else 0.0


@kernel
def restore(basis, c):
    """Coefficients of the terms in the variables as they were."""
    scale, own = basis[3], basis[4]
    shift, cross = -basis[0] * scale, -basis[2] * own
    move = (basis[2] * basis[0] - basis[1]) * own
    c0, c1, c2, c3, c4, c5 = c[0], c[1], c[2], c[3], c[4], c[5]
    c[0] = c0 + c1 * shift + c2 * move + c3 * shift * shift + c4 * move * move + c5 * shift * move
    c[1] = c1 * scale + c2 * cross + 2 * (c3 * scale * shift + c4 * cross * move)
    c[1] += c5 * (scale * move + shift * cross)
    c[2] = c2 * own + 2 * c4 * own * move + c5 * shift * own
    c[3] = c3 * scale * scale + c4 * cross * cross + c5 * scale * cross
    c[4] = c4 * own * own
    c[5] = 2 * c4 * cross * own + c5 * scale * own


@kernel
def normal_equations(a, b, y, first, last, work):
    """Gram matrix of the terms, then their products with the target."""
    mean_a, mean_b, slope, scale, own = work[BASIS], work[BASIS + 1], work[BASIS + 2], work[BASIS + 3], work[BASIS + 4]
    a1 = b1 = a2 = b2 = ab = a3 = b3 = aab = abb = a4 = b4 = aaab = abbb = aabb = 0.0
    y0 = ya = yb = yaa = ybb = yab = 0.0
    for i in range(first, last):
        x, t = a[i] - mean_a, y[i]
        u, v = x * scale, (b[i] - mean_b - slope * x) * own
        uu, vv, uv = u * u, v * v, u * v
        a1 += u
        b1 += v
        a2 += uu
        b2 += vv
        ab += uv
        a3 += uu * u
        b3 += vv * v
        aab += uu * v
        abb += u * vv
        a4 += uu * uu
        b4 += vv * vv
        aaab += uu * uv
        abbb += uv * vv
        aabb += uu * vv
        y0 += t
        ya += t * u
        yb += t * v
        yaa += t * uu
        ybb += t * vv
        yab += t * uv
    rows = (
        (float(last - first), a1, b1, a2, b2, ab), (a1, a2, ab, a3, abb, aab), (b1, ab, b2, aab, b3, abb),
        (a2, a3, aab, a4, aabb, aaab), (b2, abb, b3, aabb, b4, abbb), (ab, aab, abb, aaab, abbb, aabb),
        (y0, ya, yb, yaa, ybb, yab),
    )  # fmt: skip
    at = 0
    for row in rows:
        for value in row:
            work[at] = value
            at += 1


@kernel
def solve(work, out):
    """Solution by Cholesky's method; a term that the others make is left out, with the coefficient 0."""
    n = 6
    scale = out  # until the end
    for i in range(n):
        scale[i] = work[i * n + i] ** -0.5 if work[i * n + i] > 0 else 0.0
    for i in range(n):
        for j in range(n):
            work[i * n + j] *= scale[i] * scale[j]
        work[n * n + i] *= scale[i]
    for j in range(n):
        left = work[j * n + j]
        for k in range(j):
            left -= work[j * n + k] ** 2
        pivot = left**-0.5 if left > SINGULAR else 0.0
        for i in range(j + 1, n + 1):  # the last row is the right-hand side
            total = work[i * n + j]
            for k in range(j):
                total -= work[i * n + k] * work[j * n + k]
            work[i * n + j] = total * pivot
        work[j * n + j] = pivot
    for j in range(n - 1, -1, -1):
        total = work[n * n + j]
        for i in range(j + 1, n):
            total -= work[i * n + j] * work[n * n + i]
        work[n * n + j] = total * work[j * n + j]
    for j in range(n):
        out[j] = work[n * n + j] * scale[j]


@kernel
def differences(features, target, pairs, one, other, first, last, out):
    """Mean squared differences of each pair's polynomial from the target, or from another one if there are some."""
    for p in range(len(pairs)):
        a, b, c = features[pairs[p, 0]], features[pairs[p, 1]], one[p]
        total = 0.0
        if len(other) > 0:
            d = other[p]
            for i in range(first, last):
                u, v = a[i], b[i]
                gap = (c[0] - d[0]) + (c[1] - d[1]) * u + (c[2] - d[2]) * v
                gap += (c[3] - d[3]) * u * u + (c[4] - d[4]) * v * v + (c[5] - d[5]) * u * v
                total += gap * gap
        else:
            for i in range(first, last):
                u, v = a[i], b[i]
                gap = c[0] + c[1] * u + c[2] * v + c[3] * u * u + c[4] * v * v + c[5] * u * v - target[i]
                total += gap * gap
        out[p] = total / (last - first)


def evaluate(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Values of one polynomial."""
    return np.asarray(c[0] + c[1] * a + c[2] * b + c[3] * a * a + c[4] * b * b + c[5] * a * b)
