"""Loads thousands of damaged models, and prints what came of it; a process of its own, with its memory limited.

    python tests/mutations.py [how many] [seed]
"""

import contextlib
import json
import random
import re
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numbanet as nn
import numbanet.model

MEMORY = 1 << 29  # beyond what the process has when it begins
TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|[\[{][^\[\]{}]*[\]}]')
ODD = ["0", "1", "-1", "2", "3", "17", "65536", "2147483648", "1e18", "1000000000000000000", "1e400", "-0.5", "NaN",
       "Infinity", "null", "true", "[]", "{}", '""', '"os.system"', '"../../etc/passwd"', '"Dense"', '"Conv2D"',
       '"Residual"', '"Layer"', '"float64"', '"F64"', "9" * 400, "[" * 3000 + "]" * 3000, "{", "]",
       '"\\ud800"', '"__class__"']  # fmt: skip
WATCHED = ("import", "exec", "compile", "open", "ctypes.dlopen", "marshal.loads", "pickle.find_class", "os.", "shutil.",
           "socket.", "subprocess.", "code.__new__", "function.__new__")  # fmt: skip

KERNELS = "numbanet.kernels."  # compiled from formulas


def models():
    """Some hundred bytes of weights each, with most kinds of settings."""
    yield nn.Sequential([nn.Dense(2, activation=nn.activation("leaky_relu", alpha=0.25)), nn.Dense(1)], input_shape=2)
    yield nn.Sequential([nn.Embedding(3, 2), nn.Flatten(), nn.Dense(2, kernel_regularizer="l2")], input_shape=2)
    convolution = nn.Conv2D(2, 2, padding=1, connections=[[1, 1]], bias="unit")
    yield nn.Sequential(
        [convolution, nn.MaxPool2D(2), nn.BatchNorm(), nn.Residual([nn.Apply("tanh")]), nn.Flatten(), nn.Dense(1)],
        input_shape=(3, 3, 1),
    )


class File:
    """A file in its parts, and pieces of its texts that can stand for one another."""

    def __init__(self, content):
        self.content = content
        end = 8 + int.from_bytes(content[:8], "little")
        header = json.loads(content[8:end])
        self.data = content[end:]
        self.model = header["__metadata__"].pop("model")
        self.format = json.dumps(header["__metadata__"])
        self.arrays = json.dumps({name: entry for name, entry in header.items() if name != "__metadata__"})
        self.values = {text: [] for text in (self.model, self.arrays)}
        self.names = {text: [] for text in (self.model, self.arrays)}
        for text, values in self.values.items():
            for match in TOKEN.finditer(text):
                (self.names[text] if text[match.end() :].startswith(":") else values).append(match.span())

    def assembled(self, model, arrays):
        """The file with other texts, and a header of the right length."""
        inner = f"{self.format[:-1]}, \"model\": {json.dumps(model)}}}"
        text = f'{{"__metadata__": {inner}, {arrays[1:]}'.encode()
        return len(text).to_bytes(8, "little") + text + self.data


def changed_text(chance, text, spans):
    """A text with some of its names, numbers or brackets replaced, doubled or removed."""
    for start, stop in sorted(chance.sample(spans, chance.choice((1, 1, 1, 2, 4))), reverse=True):
        old = text[start:stop]
        kind = chance.random()
        if kind < 0.4:
            new = chance.choice(ODD)
        elif kind < 0.75:
            a, b = chance.choice(spans)
            new = text[a:b]
        elif kind < 0.95 and old[-1].isdigit():
            new = str(chance.choice((int(float(old)) + 1, int(float(old)) * 7, -1, chance.randrange(1 << 70))))
        elif kind < 0.97:
            a, b = chance.choice(spans)
            new = f"{old}, {text[a:b]}"
        else:
            new = ""
        text = text[:start] + new + text[stop:]
    return text


def mutant(chance, file):
    """One damaged file."""
    kind, content = chance.random(), file.content
    parts = file.names if kind % 0.1 < 0.01 else file.values
    if kind < 0.35:
        return file.assembled(changed_text(chance, file.model, parts[file.model]), file.arrays)
    if kind < 0.55:
        return file.assembled(file.model, changed_text(chance, file.arrays, parts[file.arrays]))
    if kind < 0.65:
        return content[: chance.randrange(len(content))]
    place = chance.randrange(len(content) + 1)
    if kind < 0.75:
        return content[:place] + chance.randbytes(chance.randrange(1, 9)) + content[place:]
    if kind < 0.8:
        return content[:place] + content[place + chance.randrange(1, 9) :]
    bits = bytearray(content)
    first = len(content) - len(file.data) if kind > 0.95 else 0  # some in the weights alone
    for _ in range(chance.choice((1, 1, 2, 5))):
        bits[chance.randrange(first, len(content))] ^= 1 << chance.randrange(8)
    return bytes(bits)


def main():
    count, seed = int(sys.argv[1]), int(sys.argv[2])
    chance, files, events = random.Random(seed), [], Counter()
    with tempfile.TemporaryDirectory() as folder:
        for model in models():
            model.save(Path(folder, "m"))
            files.append(File(Path(folder, "m").read_bytes()))
    for file in files:
        nn.load(file.content)  # its kernels are ready
        nn.load(file.assembled(file.model, file.arrays))
        with contextlib.suppress(nn.FormatError):  # imports what messages need
            nn.load(file.assembled(file.model.replace("glorot", "glorit"), file.arrays))
    watching = False
    predictor = numbanet.model.new_predictor

    def unwatched(graph, dtype):
        """What is left of a file is a graph by now: its kernels are compiled, as those of any model."""
        nonlocal watching
        watching = False
        ready = predictor(graph, dtype)
        watching = True
        return ready

    numbanet.model.new_predictor = unwatched

    def hook(event, arguments):
        if watching and event.startswith(WATCHED):
            events[f"{event} {arguments!r:.300}"] += 1

    sys.addaudithook(hook)
    modules = set(sys.modules)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    others, outcomes, slowest = [], Counter(), 0.0
    began = time.perf_counter()
    for _ in range(count):
        content = mutant(chance, chance.choice(files))
        watching, start = True, time.perf_counter()
        try:
            nn.load(content)
            outcomes["loaded"] += 1
        except nn.FormatError:
            outcomes["refused"] += 1
        except BaseException as error:
            others.append(f"{type(error).__name__}: {error} of {content!r}"[:3000])
        watching = False
        slowest = max(slowest, time.perf_counter() - start)
    seconds = time.perf_counter() - began
    new = sorted(name for name in set(sys.modules) - modules if not name.startswith(KERNELS))
    report = {"seconds": seconds, "slowest": slowest, "outcomes": outcomes, "others": others[:3], "events": events,
              "modules": new}  # fmt: skip
    print(json.dumps(report))


if __name__ == "__main__":
    main()
