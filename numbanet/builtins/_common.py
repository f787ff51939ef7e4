"""Formulas that several built-ins share."""


def sign(x):
    """-1, 0 or 1; NaN stays NaN."""
    return 1.0 if x > 0 else (-1.0 if x < 0 else x)
