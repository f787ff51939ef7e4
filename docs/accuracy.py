"""Accuracy on data that a network has not seen: python docs/accuracy.py [name of an experiment, ...]

Settings were compared on parts of the images to train on, never on those held out.
"""

import sys
import time

import numpy as np

import numbanet as nn


def convolution(filters):
    """A convolution with batch normalization behind it."""
    return [nn.Conv2D(filters, 3, padding="same", bias=None), nn.BatchNorm(momentum=0.9), nn.Apply("relu")]


def digits():
    """Scikit-learn's digits, a third of them held out."""
    X, y = nn.datasets.load_digits(images=True)
    X, y, X_test, y_test = nn.datasets.split(X, y, 1 / 3, seed=0, stratify=True)
    model = nn.Sequential(
        [
            *convolution(32), *convolution(32), nn.MaxPool2D(2), *convolution(64), nn.MaxPool2D(2), nn.Flatten(),
            nn.Dropout(0.3), nn.Dense(128, "relu"), nn.Dropout(0.3), nn.Dense(10),
        ]
    )  # fmt: skip
    return model, X, y, X_test, y_test, {"epochs": 60, "batch": 32, "rate": 1e-3}


def lecun1989():
    """The network of 1989 and its on-line learning, on the digits at twice their size, from -1 to 1."""
    X, y = nn.datasets.load_digits(images=True)
    X, y, X_test, y_test = nn.datasets.split(2 * X.repeat(2, 1).repeat(2, 2) - 1, y, 1 / 3, seed=0, stratify=True)
    return nn.models.lecun1989(), X, y, X_test, y_test, {"epochs": 20, "batch": 1, "rate": 0.03}


def fashion(model, **options):
    """Fashion-MNIST, with its own test part."""
    (X, y), (X_test, y_test) = nn.datasets.load_fashion_mnist()
    return model, X, y, X_test, y_test, options


def dense():
    """The network of 256, 128 and 100 units in the data set's README."""
    layers = [nn.Flatten()]
    for units in (256, 128, 100):
        layers += [nn.Dense(units, "relu"), nn.Dropout(0.2)]
    return fashion(nn.Sequential([*layers, nn.Dense(10)]), epochs=30, batch=128, rate=1e-3)


def lenet5():
    """LeNet-5 as it comes."""
    return fashion(nn.models.lenet5(), epochs=20, batch=128, rate=2e-3)


def convolutional():
    """Five convolutions with batch normalization; images are mirrored by chance."""
    model = nn.Sequential(
        [
            *convolution(32), nn.MaxPool2D(2), *convolution(44), *convolution(44), nn.MaxPool2D(2), nn.Dropout(0.1),
            *convolution(64), *convolution(64), nn.GlobalAvgPool(), nn.Dropout(0.2), nn.Dense(10),
        ]
    )  # fmt: skip
    return fashion(model, epochs=24, batch=128, rate=3e-3, mirror=True)


def train(model, X, y, *, epochs, batch, rate, mirror=False, seed=0):
    """A learning rate that falls to 0 along half a cosine; Adam, or gradient descent where a step has one sample."""
    schedule = nn.CosineDecay(epochs * -(-len(X) // batch))
    if batch == 1:
        trainer = nn.Trainer(model, "mean_squared_error", nn.SGD(rate, schedule=schedule), seed=seed)
        trainer.fit(X, 2 * np.eye(10)[y] - 1, epochs=epochs, batch_size=1)
        return
    optimizer = nn.Adam(rate, schedule=schedule)
    trainer = nn.Trainer(model, "softmax_cross_entropy", optimizer, regularizer=nn.L2(1e-5), seed=seed)
    if not mirror:
        trainer.fit(X, y, epochs=epochs, batch_size=batch)
        return
    rng = np.random.default_rng(seed)
    for _ in range(epochs):
        turned = np.where(rng.random((len(X), 1, 1, 1)) < 0.5, X, X[:, :, ::-1])
        trainer.fit(turned, y, epochs=1, batch_size=batch, progress=False)


if __name__ == "__main__":
    experiments = {f.__name__: f for f in (digits, lecun1989, dense, lenet5, convolutional)}
    for name in sys.argv[1:] or experiments:
        model, X, y, X_test, y_test, options = experiments[name]()
        began = time.perf_counter()
        train(model, X, y, **options)
        seconds = time.perf_counter() - began
        accuracy = 100 * np.mean(model.predict(X_test).argmax(axis=1) == y_test)
        print(f"{name}: {accuracy:.2f} % of {len(y_test):,}, {model.graph.count:,} parameters, {seconds:.0f} s")
