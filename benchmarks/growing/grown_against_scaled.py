"""Does a grown network beat the one scaled by width? CIFAR-100, coarse labels.

Ways to spend the same number of epochs on a small MobileNetV1 of the same final MACs:

    splitting        grown where splitting indices say, by the library's default step
    uniform          grown evenly, random neurons, the same step
    copies           as splitting, but copies at a step of 0.5 along the eigenvectors
    uniform_copies   as uniform, but copies at a step of 0.5 along random directions
    width            the seed's widths times a multiplier, trained from scratch
    found            the widths that `splitting` found, trained from scratch

Every run is appended to a JSON-lines file as soon as it is done, and runs that are in
the file are not repeated, so the script can be stopped and started again.

    python benchmarks/growing/grown_against_scaled.py --data_dir=DIR

`DIR` holds CIFAR-100 in TFDS format (or pass --download).
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
from keras import layers
from networks import train
from shared import (
    Runs,
    add_data_flags,
    cifar100,
    mean_and_spread,
    parser_of,
    print_table,
)

import tf_splitting
from tf_splitting import data

CLASSES = 20
SEED_WIDTHS = (8, 8, 12, 16, 24, 24, 32, 32)
STRIDES = (2, 1, 2, 1, 2, 1, 1, 1)
COPY_STEP = 0.5
# Growth method and step of the runs that grow; None: the library's default.
GROWN = {
    "splitting": ("splitting", None),
    "uniform": ("uniform", None),
    "copies": ("splitting", COPY_STEP),
    "uniform_copies": ("uniform", COPY_STEP),
}
ARMS = (*GROWN, "width", "found")


def parse() -> argparse.Namespace:
    parser = parser_of(__doc__, "grown_vs_scaled.jsonl")
    add_data_flags(parser)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--arms", nargs="+", default=ARMS, choices=ARMS)
    parser.add_argument("--target_macs", type=float, default=1.5e6)
    parser.add_argument("--epochs", type=int, default=12, help="of every run, in all")
    parser.add_argument("--round_epochs", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--learning_rate", type=float, default=3e-3)
    return parser.parse_args()


def seed_model(
    arguments: argparse.Namespace, seed: int, widths: Sequence[int] = SEED_WIDTHS
) -> keras.Model:
    """A compiled MobileNetV1 cut to eight convolutions, for 32 pixels.

    The full one has 14, and learns too little in as few epochs as run here.
    """
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((32, 32, 3))
    x = layers.Rescaling(1 / 127.5, -1)(inputs)
    for number, (width, stride) in enumerate(zip(widths, STRIDES, strict=True)):
        if number:
            x = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization(momentum=0.9)(x)
            x = layers.Activation("swish")(x)
        size, stride = (1, 1) if number else (3, stride)
        x = layers.Conv2D(width, size, stride, padding="same", use_bias=False)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.Activation("swish")(x)
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, layers.Dense(CLASSES)(x))
    model.compile(
        keras.optimizers.Adam(arguments.learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def conv_widths(model: keras.Model) -> list[int]:
    """Output widths of the convolutions that mix channels."""
    return [layer.filters for layer in model.layers if type(layer) is layers.Conv2D]


def scaled_widths(arguments: argparse.Namespace) -> list[int]:
    """The seed's widths times the largest multiplier that stays within the target."""
    base = conv_widths(seed_model(arguments, 0))
    low, high = 1.0, 8.0
    for _ in range(30):
        middle = (low + high) / 2
        widths = [round(w * middle) for w in base]
        macs = tf_splitting.count_macs(seed_model(arguments, 0, widths))
        low, high = (middle, high) if macs <= arguments.target_macs else (low, middle)
    return [round(w * low) for w in base]


def train_grown(
    arguments: argparse.Namespace, images: data.ImageData, seed: int, arm: str
) -> tuple[keras.Model, dict]:
    history = tf_splitting.GrowthHistory()
    method, step = GROWN[arm]
    options = {} if step is None else {"epsilon": step}
    model = tf_splitting.grow(
        seed_model(arguments, seed),
        images.train,
        target_macs=arguments.target_macs,
        rounds=arguments.rounds,
        epochs=arguments.round_epochs,
        final_epochs=arguments.epochs - arguments.rounds * arguments.round_epochs,
        method=method,
        seed=seed,
        history=history,
        verbose=1,
        **options,
    )
    compute = sum(epoch["macs"] for epoch in history.epochs) * images.train_size
    return model, {
        "compute": compute,
        "estimating_seconds": sum(r.seconds["estimating"] for r in history.rounds),
        "splits": [[r.before["loss"], r.after["loss"]] for r in history.rounds],
    }


def train_from_scratch(
    arguments: argparse.Namespace,
    images: data.ImageData,
    seed: int,
    widths: list[int],
) -> tuple[keras.Model, dict]:
    model = seed_model(arguments, seed, widths)
    train(model, images, arguments.epochs)
    macs = tf_splitting.count_macs(model)
    return model, {"compute": macs * arguments.epochs * images.train_size}


def run(arguments: argparse.Namespace, seed: int, arm: str, runs: Runs) -> dict:
    images = cifar100(arguments, seed, coarse=True)
    if arm in GROWN:
        model, facts = train_grown(arguments, images, seed, arm)
    else:
        widths = (
            scaled_widths(arguments)
            if arm == "width"
            else runs.where(seed=seed, arm="splitting")[0]["widths"]
        )
        model, facts = train_from_scratch(arguments, images, seed, widths)
    measured = model.evaluate(images.test, verbose=0, return_dict=True)
    return {
        "arm": arm,
        "seed": seed,
        "accuracy": measured["accuracy"],
        "loss": measured["loss"],
        "macs": tf_splitting.count_macs(model),
        "params": tf_splitting.count_params(model),
        "widths": conv_widths(model),
        **facts,
    }


def table(runs: Runs) -> list[tuple[str, ...]]:
    """Mean and spread of each arm."""
    rows = [("run", "seeds", "test accuracy", "MACs", "params", "training compute")]
    for arm in ARMS:
        if own := runs.where(arm=arm):
            rows.append(
                (
                    arm,
                    str(len(own)),
                    mean_and_spread([100 * r["accuracy"] for r in own]),
                    f"{statistics.mean(r['macs'] for r in own) / 1e6:.2f} M",
                    f"{statistics.mean(r['params'] for r in own) / 1e3:.0f} k",
                    f"{statistics.mean(r['compute'] for r in own) / 1e12:.3f} T",
                )
            )
    return rows


def main() -> None:
    arguments = parse()
    runs = Runs(arguments.output)
    for seed in arguments.seeds:
        for arm in (arm for arm in ARMS if arm in arguments.arms):
            if not runs.where(seed=seed, arm=arm):
                print(f"--- seed {seed}, {arm}", flush=True)
                runs.add(run(arguments, seed, arm, runs))
    print_table(table(runs))


if __name__ == "__main__":
    main()
