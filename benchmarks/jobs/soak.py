"""Does a job of many rounds in one process keep what it no longer needs?

Grows a small network in many rounds, then trains it on; the memory of the process is
read at the end of every epoch. Models and compiled functions of earlier rounds have to
be freed: what stays is reported in megabytes per round, and per epoch once the network
has stopped growing.

    python benchmarks/jobs/soak.py                 # KERAS_BACKEND=jax for the other one
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
import numpy as np
from keras import layers
from shared import Runs, parser_of, print_table

import tf_splitting


def parse() -> argparse.Namespace:
    parser = parser_of(__doc__, "soak.jsonl")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--final_epochs", type=int, default=40)
    parser.add_argument("--growth", type=float, default=1.15, help="per round")
    return parser.parse_args()


def megabytes() -> float:
    """Resident memory of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


class Memory(keras.callbacks.Callback):
    """Reads the memory after every epoch."""

    def __init__(self) -> None:
        super().__init__()
        self.readings: list[float] = []

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        self.readings.append(megabytes())


def seed_model() -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((28, 28, 1)), layers.Rescaling(1 / 255)])
    for number in range(4):
        model.add(layers.Conv2D(16, 3, 1 + number % 2, use_bias=False))
        model.add(layers.BatchNormalization(momentum=0.9))
        model.add(layers.Activation("swish"))
    model.add(layers.GlobalAveragePooling2D())
    model.add(layers.Dense(10))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(2e-3), loss, metrics=["accuracy"])
    return model


def slope(values: list[float]) -> float:
    """Of a straight line through the values, per step."""
    return float(np.polyfit(range(len(values)), values, 1)[0])


def main() -> None:
    arguments = parse()
    images = tf_splitting.data.load(
        "fashion_mnist_small", channels=1, batch_size=64, train_limit=256
    )
    model = seed_model()
    memory, history = Memory(), tf_splitting.GrowthHistory()
    with tempfile.TemporaryDirectory() as folder:
        tf_splitting.grow(
            model,
            images,
            target_macs=tf_splitting.count_macs(model)
            * arguments.growth**arguments.rounds,
            rounds=arguments.rounds,
            epochs=1,
            final_epochs=arguments.final_epochs,
            sample_size=128,
            callbacks=[memory],
            checkpoint_dir=folder,
            history=history,
            verbose=1,
        )
    rounds = len(history.rounds)
    growing, final = memory.readings[:rounds], memory.readings[rounds:]
    # The first rounds fill caches, and the first epochs free the last split's models.
    result = {
        "backend": keras.backend.backend(),
        "rounds": rounds,
        "megabytes": memory.readings,
        "per_round": slope(growing[rounds // 4 :]),
        "per_epoch": slope(final[len(final) // 4 :]),
    }
    Runs(arguments.output).add(result)
    print_table(
        [
            ("", "MB"),
            ("after round 1", f"{growing[0]:.0f}"),
            (f"after round {rounds}", f"{growing[-1]:.0f}"),
            ("growth per round", f"{result['per_round']:.2f}"),
            ("at the end", f"{final[-1]:.0f}"),
            ("growth per epoch, at constant size", f"{result['per_epoch']:.2f}"),
        ]
    )


if __name__ == "__main__":
    main()
