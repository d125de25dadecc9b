"""The Quick, Draw! tutorial's network at 255 x 255, beside Keras on the same network: asked no fewer steps a second.

    VISTAZO_KERAS_PYTHON=/path/to/python-with-keras python benchmarks/quickdraw.py [ROUNDS [BATCH [STEPS]]]

One step of ours is what `fit` does: draw the batch, scale it, forward, loss with its penalty, backward, Adam; in
the precision and layout that the probe picks on this machine. Keras' is `fit` on pictures in memory, the same layers,
penalty and Adam, timed after a first epoch, so that compiling does not count. Both learn from the same kind of pictures
and begin anew each round; rounds go in turns, and the figure is the median of each round's ratio.
"""

import statistics
import sys
import time

import numpy as np
import torch
from common import KERAS, timed, told

from vistazo import platform
from vistazo.classification.config import ClassificationConfig
from vistazo.classification.models import create
from vistazo.classification.recipe import Given
from vistazo.classification.recipes import decide
from vistazo.classification.training import Program, choose_compute
from vistazo.config import build
from vistazo.engine.device import Compute, without_compiler
from vistazo.engine.parameters import count_parameters
from vistazo.pictures.loading import Normaliser, PictureBatches

SIDE, PUBLISHED = 255, 1_516_522
PROGRAM = """
import os, sys, time
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
import keras
import numpy as np
from keras import layers, regularizers

batch, steps, side = map(int, sys.argv[1:])
keras.utils.set_random_seed(0)
model = keras.Sequential([layers.Input((side, side, 1))])
for width, drop in ((32, 0.0), (64, 0.3), (128, 0.4)):
    for _ in range(2):
        penalty = regularizers.l2(1e-5)
        model.add(layers.Conv2D(width, 3, padding="same", activation="relu", kernel_regularizer=penalty))
    model.add(layers.MaxPool2D(2))
    if drop:
        model.add(layers.Dropout(drop))
for layer in (layers.Flatten(), layers.Dropout(0.2), layers.Dense(10, activation="softmax")):
    model.add(layer)
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
count = batch * steps
x = np.random.default_rng(0).integers(0, 256, (count, side, side, 1), dtype=np.uint8).astype("float32") / 255
y = np.arange(count) % 10
model.fit(x[:2 * batch], y[:2 * batch], batch_size=batch, epochs=1, verbose=0)
start = time.perf_counter()
model.fit(x, y, batch_size=batch, epochs=1, verbose=0)
print(model.count_params(), steps / (time.perf_counter() - start))
"""


def keras_rate(batch: int, steps: int) -> float:
    """Steps a second of Keras, in a process of its own."""
    run = timed([KERAS, "-c", PROGRAM, str(batch), str(steps), str(SIDE)])
    parameters, rate = run.output.strip().splitlines()[-1].split()
    assert int(parameters) == PUBLISHED, parameters
    return float(rate)


class Ours:
    """The recipe `tutorial-quickdraw` as a run would train it, on pictures of noise."""

    def __init__(self, batch: int) -> None:
        self.config = build(ClassificationConfig, {"recipe": "tutorial-quickdraw", "batch": batch})
        given = Given(pictures=2 * batch, height=SIDE, width=SIDE, channels=1)
        self.decided = decide(self.config, given, tuple("abcdefghij"))
        self.normaliser = Normaliser.unit(1)
        self.compute = choose_compute(self.config, self.decided, self._network(), self.normaliser, "cpu")
        self.compute.start()
        pixels = np.random.default_rng(0).integers(0, 256, (2 * batch, SIDE, SIDE, 1), dtype=np.uint8)
        self.batches = PictureBatches(
            pixels,
            {"label": torch.arange(2 * batch) % 10},
            np.arange(2 * batch),
            size=batch,
            reach=0,
            flip=False,
            seed=0,
            device="cpu",
        )

    def _network(self) -> torch.nn.Module:
        torch.manual_seed(0)
        network = create(self.decided.model, self.decided.arguments)
        assert count_parameters(network).total == PUBLISHED
        return network

    def rate(self, steps: int, compute: Compute) -> float:
        """Steps a second, after one that does not count."""
        program = Program(compute.place(self._network()), self.decided, self.config, self.normaliser, compute)
        (optimizer,) = program.optimizers[0]
        program.module.train()
        began = 0.0
        for at in range(steps + 1):
            if at == 1:
                began = time.perf_counter()
            optimizer.zero_grad(set_to_none=True)
            program.step(self.batches.draw(at // 2, at % 2), 0).backward()
            optimizer.step()
        return steps / (time.perf_counter() - began)


@without_compiler()
def main() -> None:
    rounds, batch, steps = (
        int(sys.argv[at]) if len(sys.argv) > at else default for at, default in ((1, 5), (2, 32), (3, 10))
    )
    platform.keep_freed_blocks()
    ours = Ours(batch)
    print(f"batch {batch}, {steps} steps a round; ours in {ours.compute.precision}, {ours.compute.layout}")
    if not KERAS:
        print("beside: skipped, because VISTAZO_KERAS_PYTHON is not there")
    own, theirs = [], []
    for _ in range(rounds):
        own.append(ours.rate(steps, ours.compute))
        if KERAS:
            theirs.append(keras_rate(batch, steps))
            print(f"  {own[-1]:.3f} beside {theirs[-1]:.3f} steps/s: {own[-1] / theirs[-1]:.2f}", flush=True)
    print(told("ours", own, "steps/s"))
    if theirs:
        print(told("Keras", theirs, "steps/s"))
        ratio = statistics.median(one / other for one, other in zip(own, theirs, strict=True))
        print(f"ratio, median of {rounds} rounds: {ratio:.2f}")


if __name__ == "__main__":
    main()
