"""Accuracy of the neocognitron on the 8 x 8 digits: python docs/neocognitron.py."""

import time

import numpy as np

import numbanet as nn
from numbanet.datasets import load_digits, split

SEEDS = range(5)


def shifted(images: np.ndarray) -> np.ndarray:
    """One pixel to the right."""
    return np.pad(images, ((0, 0), (0, 0), (1, 0)))[:, :, :-1]


def nearest(images: np.ndarray, patterns: np.ndarray) -> np.ndarray:
    """Index of the pattern with the largest cosine, for each image."""
    rows = patterns.reshape(len(patterns), -1)
    return (images.reshape(len(images), -1) @ (rows / np.linalg.norm(rows, axis=1, keepdims=True)).T).argmax(axis=1)


def main() -> None:
    X, y = load_digits()
    X_train, y_train, X_test, y_test = split(X.reshape(-1, 8, 8), y, 1 / 3, seed=0, stratify=True)
    tests = X_test, shifted(X_test)
    nn.models.neocognitron().fit(X_train[:2])  # compiles
    network, patterns = [], []
    for seed in SEEDS:
        start = time.perf_counter()
        model = nn.models.neocognitron(seed=seed).fit(X_train, y_train)
        seconds = time.perf_counter() - start
        network.append([(model.predict(images) == y_test).mean() for images in tests])
        some = np.random.default_rng(seed).permutation(len(X_train))[:200]
        patterns.append([(y_train[some][nearest(images, X_train[some])] == y_test).mean() for images in tests])
        print(f"seed {seed}: {network[-1][0]:.1%}, shifted {network[-1][1]:.1%}, learnt in {seconds:.2f} s")
    print(f"{len(y_test)} held-out digits, mean of {len(SEEDS)} seeds:")
    for name, scores in (("neocognitron", network), ("nearest of 200 images", patterns)):
        right, moved = np.mean(scores, axis=0)
        print(f"{name}: {right:.1%}, shifted {moved:.1%}")


if __name__ == "__main__":
    main()
