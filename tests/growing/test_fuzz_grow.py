"""Wrong arguments of `grow`, `train` and `data.load`, and data that do not fit.

As in `test_fuzz_functions.py`; and nothing may be trained before they are refused.
"""

import functools
import math

import junk
import keras
import nets
import numpy as np
import pytest
import tensorflow as tf
import tiers
from junk import (
    EXAMPLES,
    LEAST,
    MACS,
    Function,
    either,
    is_class_weight,
    is_function,
    is_path,
    is_truth,
    is_widths,
    model,
    number,
    only,
    whole,
)

import tf_splitting as ts
from tf_splitting.errors import DataError, NonFiniteLossError

pytestmark = pytest.mark.usefixtures("somewhere")

COUNT = 16
# With two neurons in every space.
LEAST_MACS = 20


@pytest.fixture
def no_training(monkeypatch):
    """Training fails the test."""

    def fit(*_, **__):
        raise AssertionError("training has begun")

    monkeypatch.setattr(keras.Model, "fit", fit)


@functools.cache
def data():
    return nets.data(model(), COUNT)


def is_size(value):
    """What images may be resized to."""
    pair = type(value) in (tuple, list) and len(value) == 2
    return some(value) or (pair and all(map(whole(1), value)))


def is_target(value):
    """More than the model has, of one budget or of several."""
    numbers = value if type(value) is list and value else [value]
    return all(map(number(above=MACS), numbers)) and numbers == sorted(set(numbers))


def are_callbacks(value):
    """What holds nothing is as good as None."""
    return value is None or (isinstance(value, list | tuple | set) and not value)


some = whole(1, None)


def is_frequency(value):
    """Every so many epochs, or in these."""
    several = isinstance(value, list | tuple | set)
    return all(map(whole(1), value)) if several else some(value)


FIT = {
    "class_weight": is_class_weight,
    "shuffle": is_truth,
    "steps_per_epoch": some,
    "validation_batch_size": some,
    "validation_freq": is_frequency,
    "validation_split": number(0, below=1),
    "validation_steps": some,
}
JOB = {
    "model": junk.nothing,
    "dataset": junk.nothing,
    "batch_size": whole(1, None),
    "validation_data": only(None),
    "callbacks": are_callbacks,
    "seed": whole(0),
    "checkpoint_dir": either(only(None), is_path),
    "save_steps": some,
    "verbose": either(whole(0), is_truth),
    "history": only(None),
    "no_such_argument": junk.nothing,
    **FIT,
}
FUNCTIONS = {
    "grow": Function(
        ts.grow,
        lambda: {
            "model": nets.ready("dense"),
            "dataset": data(),
            "target_macs": 1.2 * MACS,
            "epochs": 1,
            "final_epochs": 1,
            "sample_size": 8,
            "verbose": 0,
        },
        {
            **JOB,
            "target_macs": is_target,
            "rounds": whole(1, None),
            "growth": number(above=1),
            # Epochs are given: both is one too many.
            "training_epochs": only(None),
            "growing_share": number(0, below=1),
            "reallocations": whole(0),
            "decay": junk.nothing,
            "epochs": whole(0, None),
            "final_epochs": whole(0, None),
            "epsilon": number(above=0),
            "carried_kernels": junk.nothing,
            "carried_scales": junk.nothing,
            "optimizer_state": junk.nothing,
            "estimator": only(None),
            "method": junk.nothing,
            "cost": is_function,
            "target_cost": number(MACS, finite=False),
            "width_multiple": whole(1),
            "max_widths": is_widths,
            "max_growth": number(above=1, finite=False),
            "sample_size": whole(1, None),
            "split_untrainable": is_truth,
            "verify": is_truth,
        },
        (
            {
                "target_macs": np.int64(80),
                "rounds": np.int64(1),
                "epochs": np.int64(1),
                "final_epochs": 1,
                "epsilon": np.float32(0.1),
                "method": "uniform",
                "target_cost": math.inf,
                "max_widths": np.int64(9),
                "max_growth": np.float32(1.9),
                "sample_size": np.int64(8),
                "batch_size": np.int64(4),
                "callbacks": [keras.callbacks.Callback()],
                "validation_data": data(),
                "seed": np.int64(3),
                "verify": np.bool_(False),
                "verbose": False,
                "class_weight": {0: 2.0},
                "history": ts.GrowthHistory(),
            },
            {
                "epochs": None,
                "final_epochs": None,
                "training_epochs": np.float32(1.5),
                "growing_share": np.float64(0.5),
            },
        ),
    ),
    "shrink": Function(
        ts.shrink,
        lambda: {
            "model": nets.ready("dense"),
            "dataset": data(),
            "target_macs": MACS - 1,
            "epochs": 1,
            "final_epochs": 1,
            "sample_size": 8,
            "verbose": 0,
        },
        {
            **JOB,
            "target_macs": number(LEAST_MACS, below=MACS),
            "rounds": whole(1, None),
            "shrinkage": number(above=1),
            "training_epochs": only(None),
            "shrinking_share": number(0, below=1),
            "decay": junk.nothing,
            "epochs": whole(0, None),
            "final_epochs": whole(0, None),
            "optimizer_state": junk.nothing,
            "estimator": only(None),
            "fold": is_truth,
            "cost": is_function,
            "target_cost": number(LEAST_MACS, finite=False),
            "width_multiple": only(1),
            "min_widths": either(only(1), junk.is_empty_mapping),
            "sample_size": whole(1, None),
            "split_untrainable": is_truth,
            "verify": is_truth,
        },
        (
            {
                "target_macs": np.int64(40),
                "estimator": ts.Taylor(),
                "min_widths": {"first": np.int64(2)},
                "class_weight": {0: 2.0},
                "fold": np.bool_(False),
            },
            {
                "epochs": None,
                "final_epochs": None,
                "training_epochs": np.float32(1.5),
                "shrinking_share": 0,
            },
        ),
    ),
    "reallocate": Function(
        ts.reallocate,
        lambda: {
            "model": nets.ready("dense"),
            "dataset": data(),
            "rounds": 1,
            "epochs": 1,
            "final_epochs": 1,
            "sample_size": 8,
            "verbose": 0,
        },
        {
            **JOB,
            "rounds": whole(1),
            "training_epochs": only(None),
            "reallocating_share": number(0, below=1),
            "moved": number(high=1, above=0),
            "gain_step": number(above=0),
            "decay": junk.nothing,
            "epochs": whole(0, None),
            "final_epochs": whole(0, None),
            "optimizer_state": junk.nothing,
            "fold": is_truth,
            "carried_kernels": junk.nothing,
            "carried_scales": junk.nothing,
            "cost": is_function,
            "width_multiple": whole(1),
            "min_widths": either(whole(1), junk.is_empty_mapping),
            "max_widths": is_widths,
            "max_growth": number(above=1, finite=False),
            "max_shrinkage": number(above=1, finite=False),
            "sample_size": whole(1, None),
            "split_untrainable": is_truth,
            "verify": is_truth,
        },
        (
            {
                "rounds": np.int64(2),
                "moved": np.float32(0.5),
                "gain_step": 1,
                "min_widths": {"first": np.int64(2)},
                "fold": np.bool_(False),
            },
            {
                "epochs": None,
                "final_epochs": None,
                "training_epochs": np.float32(1.5),
                "reallocating_share": 0,
            },
        ),
    ),
    "train": Function(
        ts.train,
        lambda: {
            "model": nets.ready("dense"),
            "dataset": data(),
            "epochs": 1,
            "verbose": 0,
        },
        {**JOB, "epochs": whole(1), "training_epochs": only(None)},
    ),
    "data.load": Function(
        ts.data.load,
        lambda: {"name": "fashion_mnist_small", "train_limit": 8, "test_limit": 8},
        {
            "name": junk.nothing,
            "image_size": is_size,
            "channels": only(1, 3),
            "batch_size": whole(1),
            "augment": is_truth,
            "seed": whole(0),
            "train_limit": some,
            "test_limit": some,
            "shuffle": is_truth,
            "download": is_truth,
        },
        (
            {
                "image_size": (np.int64(9), 7),
                "channels": np.int64(1),
                "batch_size": np.int64(3),
                "seed": np.int64(1),
                "augment": np.bool_(True),
                "train_limit": np.int64(5),
                "shuffle": False,
            },
        ),
    ),
}
# Most take the same arguments.
ARGUMENTS = [
    pytest.param(name, each, marks=tiers.marks(name, ["grow"], ["shrink"]))
    for name in FUNCTIONS
    for each in FUNCTIONS[name].takes
]


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_wrong_values_are_refused(name, argument, no_training):
    assert junk.refuses(FUNCTIONS[name], argument, EXAMPLES) >= LEAST


@pytest.mark.slow
@pytest.mark.parametrize("name", tiers.few(FUNCTIONS, ["grow"]))
def test_right_values_are_taken(name):
    function = FUNCTIONS[name]
    function.call(**function.valid())
    for changes in function.others:
        function.call(**{**function.valid(), **changes})


def labels(*shape, value=0):
    return np.full((COUNT, *shape), value)


X = np.ones((COUNT, 5), "float32")
STREAM = tf.data.Dataset.from_tensor_slices((X, labels()))
# What does not fit a model of 5 inputs, 3 outputs and a sparse loss.
DATA = {
    "inputs of another shape": (np.ones((COUNT, 4)), labels()),
    "inputs of another rank": (np.ones((COUNT, 5, 1)), labels()),
    "inputs of text": (np.full((COUNT, 5), "a"), labels()),
    "inputs of objects": (np.full((COUNT, 5), None), labels()),
    "complex inputs": (X * 1j, labels()),
    "NaN inputs": (X * np.nan, labels()),
    "infinite inputs": (X * np.inf, labels()),
    "ragged inputs": ([[1], [1, 2]], [0, 1]),
    "inputs by an unknown name": ({"x": X}, labels()),
    "two inputs": ((X, X), labels()),
    "no inputs": (None, labels()),
    "a number for inputs": (3, labels()),
    "a number for targets": (X, 3),
    "no targets": (X, None),
    "nothing but inputs": (X,),
    "too few targets": (X, labels()[:3]),
    "one-hot targets": (X, labels(3)),
    "targets of another rank": (X, labels(3, 3)),
    "targets of text": (X, labels(value="a")),
    "targets of objects": (X, labels(value=None)),
    "NaN targets": (X, labels(value=np.nan)),
    "a label too high": (X, np.arange(COUNT) // 5),
    "a negative label": (X, labels(value=-1)),
    "targets by name": (X, {"y": labels()}),
    "too few weights": (X, labels(), np.ones(3)),
    "weights of another shape": (X, labels(), np.ones((COUNT, 7))),
    "weights of text": (X, labels(), labels(value="a")),
    "a number for weights": (X, labels(), 5),
    "NaN weights": (X, labels(), labels(value=np.nan)),
    "empty arrays": (X[:0], labels()[:0]),
    "an empty stream": STREAM.take(0).batch(4),
    "a stream without batches": STREAM,
    "a stream without targets": STREAM.map(lambda x, y: x).batch(4),
    "a stream of dictionaries": STREAM.map(lambda x, y: {"x": x}).batch(4),
    "a stream of another shape": STREAM.map(lambda x, y: (x[:3], y)).batch(4),
    "a generator": (pair for pair in [(X, labels())]),
    "a dictionary": {"x": X, "y": labels()},
}
CALLS = {
    "estimate": lambda model, data: ts.estimate(
        model, data, sample_size=COUNT, verbose=0
    ),
    "grow": lambda model, data: ts.grow(model, data, target_macs=100, verbose=0),
    "train": lambda model, data: ts.train(model, data, epochs=1, verbose=0),
}


@functools.cache
def sparse():
    made = nets.randomized(nets.dense())
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    made.compile(keras.optimizers.SGD(0.1), loss)
    return made


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("kind", DATA)
def test_data_that_do_not_fit_are_refused(call, kind, no_training):
    with pytest.raises((DataError, NonFiniteLossError), match=r".{20}"):
        CALLS[call](sparse(), DATA[kind])


@pytest.mark.slow
@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("dataset", [(X, labels()), STREAM.batch(4)])
def test_data_that_fit_are_taken(call, dataset):
    model = nets.randomized(nets.dense())
    model.compile("sgd", "sparse_categorical_crossentropy")
    CALLS[call](model, dataset)
