"""Responses and learning of a neocognitron's stage, one pattern after the other.

Responses are (row, column, plane), connections (row, column, plane before, plane). Windows reach
beyond the border by ``padding`` rows and columns, where cells are silent.
"""

from __future__ import annotations

import math

from numbanet.cpu.jit import kernel


@kernel
def s_cells(u, padding, a, b, c, r, v, s):
    """s = r φ((1 + Σ a u) / (1 + r / (1 + r) b v) - 1) with v = √Σ c u², at every place of the window."""
    height, width, channels = u.shape
    high, wide, _, planes = a.shape
    share = r / (1 + r)
    for i in range(s.shape[0]):
        for j in range(s.shape[1]):
            top, left = i - padding, j - padding
            squares = 0.0
            s[i, j, :] = 0
            for y in range(max(0, top), min(height, top + high)):
                for x in range(max(0, left), min(width, left + wide)):
                    for m in range(channels):
                        signal = u[y, x, m]
                        if signal > 0:  # most cells of a C-layer are silent
                            squares += c[y - top, x - left] * signal * signal
                            for k in range(planes):
                                s[i, j, k] += a[y - top, x - left, m, k] * signal
            v[i, j] = math.sqrt(squares)
            for k in range(planes):
                s[i, j, k] = r * max(0, (1 + s[i, j, k]) / (1 + share * b[k] * v[i, j]) - 1)


@kernel
def c_cells(s, padding, stride, d, alpha, u):
    """u = ψ((1 + e) / (1 + mean of e over planes) - 1) with e = Σ d s and ψ(x) = x / (α + x) for x > 0, else 0."""
    height, width, planes = s.shape
    high, wide = d.shape
    for i in range(u.shape[0]):
        for j in range(u.shape[1]):
            top, left = i * stride - padding, j * stride - padding
            u[i, j, :] = 0
            for y in range(max(0, top), min(height, top + high)):
                for x in range(max(0, left), min(width, left + wide)):
                    for k in range(planes):
                        u[i, j, k] += d[y - top, x - left] * s[y, x, k]
            total = 0.0
            for k in range(planes):
                total += u[i, j, k]
            for k in range(planes):
                excess = (1 + u[i, j, k]) / (1 + total / planes) - 1
                u[i, j, k] = excess / (alpha + excess) if excess > 0 else 0


@kernel
def representatives(s, column, seeds):
    """Place (row x columns + column) of each plane's seed cell, -1 where it has none.

    An S-column is a window through all planes, and S-columns overlap. Each nominates its strongest
    cell; the strongest that are nominated from a plane is its seed cell. Of equals the first.
    """
    height, width, planes = s.shape
    high, wide = min(column, height), min(column, width)
    seeds[:] = -1
    for top in range(height - high + 1):
        for left in range(width - wide + 1):
            best, place, plane = 0.0, -1, 0
            for i in range(top, top + high):
                for j in range(left, left + wide):
                    for k in range(planes):
                        if s[i, j, k] > best:
                            best, place, plane = s[i, j, k], i * width + j, k
            if place >= 0:
                rival = seeds[plane]
                if rival < 0 or best > s[rival // width, rival % width, plane]:
                    seeds[plane] = place


@kernel
def reinforce(u, padding, seeds, v, c, q, a, b):
    """Δa = q c u and Δb = q v for each plane with a seed cell, u and v being what that cell sees."""
    height, width, channels = u.shape
    high, wide, _, planes = a.shape
    for k in range(planes):
        if seeds[k] >= 0:
            i, j = seeds[k] // v.shape[1], seeds[k] % v.shape[1]
            top, left = i - padding, j - padding
            for y in range(max(0, top), min(height, top + high)):
                for x in range(max(0, left), min(width, left + wide)):
                    for m in range(channels):
                        a[y - top, x - left, m, k] += q * c[y - top, x - left] * u[y, x, m]
            b[k] += q * v[i, j]


@kernel
def learn(patterns, order, padding, a, b, c, r, column, q, v, s, seeds):
    """Present the patterns in an order, and reinforce after each."""
    for n in order:
        s_cells(patterns[n], padding, a, b, c, r, v, s)
        representatives(s, column, seeds)
        reinforce(patterns[n], padding, seeds, v, c, q, a, b)


@kernel
def respond(patterns, padding, a, b, c, r, pool_padding, stride, d, alpha, v, s, u):
    """Responses u of the C-cells to every pattern."""
    for n in range(len(patterns)):
        s_cells(patterns[n], padding, a, b, c, r, v, s)
        c_cells(s, pool_padding, stride, d, alpha, u[n])
