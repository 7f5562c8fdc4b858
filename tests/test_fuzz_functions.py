"""Wrong values of every argument of the public functions: only documented errors come.

Each argument is replaced by values drawn at random while the others stay right. The
call with nothing replaced has to pass, or the errors could be about something else.
`test_fuzz_grow.py` does the same to `grow`, `shrink` and `reallocate`.
"""

import functools
import inspect
import math

import junk
import keras
import nets
import numpy as np
import pytest
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
from tf_splitting import exporting, layers, methods, models
from tf_splitting.costs.registry import COSTS
from tf_splitting.estimating.directions import Directions
from tf_splitting.estimating.scores import SpaceScores
from tf_splitting.models.saved_models import read_model
from tf_splitting.requirements import KERAS

pytestmark = pytest.mark.usefixtures("somewhere")

CALLS = 3000
# With two neurons in every space.
LEAST_MACS = 20


@functools.cache
def graph():
    return ts.trace(model())


@functools.cache
def scores():
    generator = np.random.default_rng(0)
    found = {}
    for space in graph().growable:
        gain = generator.uniform(0.1, 1, space.width)
        found[space.name] = SpaceScores(-gain, gain, {}, {})
    return found


class Subclassed(keras.Model):
    """A model whose graph is inside `call`."""

    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(3)

    def call(self, x):
        return self.dense(x)


@functools.cache
def hidden():
    made = Subclassed()
    made(np.zeros((2, 5), "float32"))
    return made


def removal_costs():
    return {name: each.gain for name, each in scores().items()}


@functools.cache
def layer():
    made = layers.Dense(4)
    made.build((None, 3))
    return made


def plan():
    return ts.SplitPlan({"first": [0, 3]}, made_for={"first": 4})


def removal():
    return ts.RemovalPlan({"first": [0, 3]}, made_for={"first": 4})


def saved_removal():
    removal().save("removal.json")
    return "removal.json"


def saved_plan():
    plan().save("plan.json")
    return "plan.json"


def saved_model():
    model().save("model.keras")
    return "model.keras"


def exported(kind):
    path = f"model.{kind}"
    write = {
        "tflite": exporting.export_litert,
        "saved_model": exporting.export_saved_model,
    }
    write[kind](model(), path)
    return path


def is_splits(value):
    if value is None:
        return True
    return isinstance(value, dict) and all(
        isinstance(k, str) and isinstance(v, list) and all(map(whole(0), v))
        for k, v in value.items()
    )


def is_removals(value):
    if value is None or not is_splits(value):
        return value is None
    return all(len({*indices}) == len(indices) for indices in value.values())


def is_made_for(value):
    if value is None:
        return True
    return isinstance(value, dict) and all(
        isinstance(k, str) and whole(1)(v) for k, v in value.items()
    )


def is_indices(value):
    """Neurons of a layer with three of them at least, in a list or the like."""
    try:
        return all(map(whole(0), value))
    except TypeError:
        return False


def is_name(value):
    return isinstance(value, str) and bool(value) and "/" not in value


def is_activation(value):
    return callable(value) and not isinstance(value, type)


def is_shape(value):
    try:
        return len(tuple(value)) == 3 and all(map(whole(1), value))
    except TypeError:
        return False


EMPTY = either(only(None), junk.is_empty_mapping)
SEED = whole(0)
SOFT = {
    "classes": whole(1),
    "input_shape": is_shape,
    "widths": only("seed", "full", "cifar_seed"),
    "width_multiplier": number(above=0, high=1000),
    "divisor": whole(1, None),
    "activation": is_activation,
    "dropout": number(0, below=1),
    "rescale": is_truth,
    "classifier_activation": either(only(None), is_activation),
    "weight_decay": number(0),
    "bn_momentum": number(0, 1),
    "output_stride": only(None, 1, 2, 4, 8, 16, 32),
    "name": is_name,
}


def is_input_shape(value):
    """Of `junk.model`."""
    return value is None or (isinstance(value, (tuple, list)) and list(value) == [5])


SMALL = {"input_shape": (32, 32, 3), "classes": 3}

FUNCTIONS = {
    "trace": Function(
        ts.trace,
        lambda: {"model": model()},
        {
            "model": junk.nothing,
            "split_untrainable": is_truth,
            "input_shape": is_input_shape,
        },
        ({"split_untrainable": np.bool_(True)}, {"input_shape": [5]}),
    ),
    "count_macs": Function(
        ts.count_macs,
        lambda: {"model": model()},
        {"model": junk.nothing, "input_shape": is_input_shape},
    ),
    "count_params": Function(
        ts.count_params, lambda: {"model": model()}, {"model": junk.nothing}
    ),
    "macs_per_layer": Function(
        ts.macs_per_layer,
        lambda: {"model": model()},
        {"model": junk.nothing, "input_shape": is_input_shape},
    ),
    "params_per_layer": Function(
        ts.params_per_layer, lambda: {"model": model()}, {"model": junk.nothing}
    ),
    "estimate": Function(
        ts.estimate,
        lambda: {
            "model": model(),
            "dataset": nets.data(model()),
            "sample_size": 16,
            "verbose": 0,
        },
        {
            "model": junk.nothing,
            "estimator": only(None),
            "loss": either(only(None), is_function),
            "sample_size": whole(1),
            "batch_size": whole(1, None),
            "class_weight": is_class_weight,
            "epsilon": number(1e-6, 100),
            "seed": SEED,
            "jit_compile": is_truth,
            "split_untrainable": is_truth,
            "verbose": either(whole(0), is_truth),
        },
        (
            {
                "estimator": ts.Exact(),
                "loss": "mean_squared_error",
                "sample_size": np.int64(8),
                "batch_size": np.uint8(4),
                "class_weight": {0: np.float32(2), np.int64(1): 0},
                "epsilon": np.float32(0.03),
                "seed": np.int64(2),
                "jit_compile": False,
                "split_untrainable": True,
                "verbose": False,
            },
        ),
    ),
    "Rayleigh": Function(
        ts.Rayleigh,
        dict,
        {
            "solver": only("lobpcg", "rmsprop"),
            "passes": whole(1),
            "tolerance": number(0),
            "outgoing": is_truth,
            "learning_rate": number(above=0),
        },
        (
            {"solver": "rmsprop", "passes": np.int32(3), "tolerance": 0},
            {"outgoing": False, "learning_rate": np.float64(0.1)},
        ),
    ),
    "Exact": Function(
        ts.Exact,
        dict,
        {"outgoing": is_truth, "max_dimension": whole(1)},
        ({"outgoing": False, "max_dimension": np.int64(5)},),
    ),
    "methods.Candidates": Function(
        methods.Candidates,
        dict,
        {"share": number(above=0), "norm": junk.nothing, "examples": whole(1)},
        ({"share": np.float32(2), "norm": "squares", "examples": np.int64(64)},),
    ),
    "methods.Splitting": Function(
        methods.Splitting,
        dict,
        {
            "estimator": junk.nothing,
            "epsilon": number(1e-6, 100),
            "jit_compile": is_truth,
            "first_sample": whole(1),
            "agreement": number(0),
        },
        ({"estimator": ts.Exact(), "agreement": 1, "first_sample": np.int64(1)},),
    ),
    "select": Function(
        ts.select,
        lambda: {"scores": scores(), "graph": graph(), "target_macs": 2 * MACS},
        {
            "scores": junk.is_empty_mapping,
            "graph": junk.nothing,
            "target_macs": number(MACS, finite=False),
            "cost": is_function,
            "target_cost": number(MACS, finite=False),
            "width_multiple": whole(1),
            "max_widths": is_widths,
            "max_growth": number(above=1, finite=False),
        },
        (
            {"target_macs": math.inf, "cost": "params", "target_cost": 10**400},
            {"width_multiple": np.int64(2), "max_growth": math.inf},
            {"max_widths": {"first": 5, "second": np.int64(7)}},
            {"max_widths": 5, "cost": COSTS["macs"], "target_macs": np.int64(99)},
        ),
    ),
    "split": Function(
        ts.split,
        lambda: {"model": model(), "plan": plan()},
        {
            "model": junk.nothing,
            "plan": junk.nothing,
            "scores": EMPTY,
            "epsilon": number(0),
            "seed": SEED,
            "verify": only(None),
            "split_untrainable": is_truth,
            "carried_kernels": junk.nothing,
            "carried_scales": junk.nothing,
            "optimizer_state": junk.nothing,
        },
        (
            {"epsilon": "fresh", "seed": np.int64(3), "verify": np.zeros((2, 5))},
            {"epsilon": "fresh", "carried_scales": "draw", "optimizer_state": "old"},
            {"epsilon": np.float32(0.1), "scores": scores(), "split_untrainable": 1},
        ),
    ),
    "estimate_removals": Function(
        ts.estimate_removals,
        lambda: {
            "model": model(),
            "dataset": nets.data(model()),
            "sample_size": 16,
            "verbose": 0,
        },
        {
            "model": junk.nothing,
            "estimator": only(None),
            "loss": either(only(None), is_function),
            "sample_size": whole(1),
            "batch_size": whole(1, None),
            "class_weight": is_class_weight,
            "seed": SEED,
            "jit_compile": is_truth,
            "split_untrainable": is_truth,
            "verbose": either(whole(0), is_truth),
        },
        ({"estimator": ts.Taylor(), "batch_size": np.uint8(4), "verbose": False},),
    ),
    "SecondOrder": Function(ts.SecondOrder, dict, {"fold": is_truth}),
    "select_removals": Function(
        ts.select_removals,
        lambda: {"scores": removal_costs(), "graph": graph(), "target_macs": MACS - 1},
        {
            "scores": junk.nothing,
            "graph": junk.nothing,
            "target_macs": number(LEAST_MACS, finite=False),
            "cost": is_function,
            "target_cost": number(LEAST_MACS, finite=False),
            "width_multiple": only(1),
            "min_widths": either(only(1), junk.is_empty_mapping),
            "max_shrinkage": number(above=1, finite=False),
        },
        (
            {"target_macs": math.inf, "cost": "params", "target_cost": 10**400},
            {"width_multiple": np.int64(1), "max_shrinkage": math.inf},
            {"min_widths": {"first": 2}, "cost": COSTS["macs"]},
        ),
    ),
    "select_exchanges": Function(
        ts.select_exchanges,
        lambda: {"losses": removal_costs(), "gains": scores(), "graph": graph()},
        {
            "losses": junk.is_empty_mapping,
            "gains": junk.is_empty_mapping,
            "graph": junk.nothing,
            "target_macs": either(only(None), number(MACS, finite=False)),
            "cost": is_function,
            "target_cost": either(only(None), number(MACS, finite=False)),
            "moved": number(high=1, above=0),
            "width_multiple": whole(1),
            "min_widths": either(whole(1), junk.is_empty_mapping),
            "max_widths": is_widths,
            "max_growth": number(above=1, finite=False),
            "max_shrinkage": number(above=1, finite=False),
        },
        (
            {"target_macs": math.inf, "cost": "params", "target_cost": 10**400},
            {"width_multiple": np.int64(1), "moved": np.float32(0.5)},
            {"min_widths": {"first": 2}, "cost": COSTS["macs"]},
        ),
    ),
    "ExchangePlan": Function(
        ts.ExchangePlan,
        lambda: {"removals": removal(), "splits": ts.SplitPlan({"second": [0]})},
        {"removals": junk.nothing, "splits": junk.nothing},
    ),
    "ExchangePlan.from_json": Function(
        ts.ExchangePlan.from_json,
        lambda: {"text": ts.ExchangePlan(removal()).to_json()},
        {"text": junk.nothing},
    ),
    "scale": Function(
        ts.scale,
        lambda: {"model": model(), "target_macs": 2.0 * MACS},
        {
            "model": junk.nothing,
            "target_macs": number(high=1e4 * MACS, above=LEAST_MACS),
            "width_multiple": whole(1),
        },
    ),
    "to_functional": Function(
        ts.to_functional,
        lambda: {"model": hidden(), "input_spec": np.zeros((2, 5), "float32")},
        {"model": junk.nothing, "input_spec": junk.nothing},
    ),
    "remove": Function(
        ts.remove,
        lambda: {"model": model(), "plan": removal()},
        {
            "model": junk.nothing,
            "plan": junk.nothing,
            "dataset": only(None),
            "sample_size": whole(1),
            "seed": SEED,
            "verify": only(None),
            "split_untrainable": is_truth,
            "optimizer_state": junk.nothing,
        },
        (
            {"dataset": nets.data(model()), "sample_size": np.int64(5)},
            {"verify": np.zeros((2, 5)), "optimizer_state": "reset"},
        ),
    ),
    "RemovalPlan": Function(
        ts.RemovalPlan,
        lambda: {"removals": {"first": [0]}},
        {"removals": is_removals, "made_for": is_made_for},
        ({"removals": {"first": np.array([1, 0])}, "made_for": {"first": 4}},),
    ),
    "RemovalPlan.from_json": Function(
        ts.RemovalPlan.from_json,
        lambda: {"text": removal().to_json()},
        {"text": junk.nothing},
    ),
    "RemovalPlan.load": Function(
        ts.RemovalPlan.load, lambda: {"path": saved_removal()}, {"path": junk.nothing}
    ),
    "RemovalPlan.save": Function(
        removal().save, lambda: {"path": "a"}, {"path": is_path}
    ),
    "RemovalPlan.widths": Function(
        removal().widths, lambda: {"graph": graph()}, {"graph": junk.nothing}
    ),
    "RemovalPlan.check": Function(
        removal().check, lambda: {"graph": graph()}, {"graph": junk.nothing}
    ),
    "SplitPlan": Function(
        ts.SplitPlan,
        lambda: {"splits": {"first": [0]}},
        {
            "splits": is_splits,
            "directions": EMPTY,
            "made_for": is_made_for,
            "candidates": EMPTY,
        },
        (
            {"splits": {"first": np.array([0, 1]), "second": range(2)}},
            {"splits": {"first": {3}}, "made_for": {"first": np.int64(4)}},
            {"directions": {"first": Directions({"k": np.zeros((3, 1))}, {})}},
        ),
    ),
    "SplitPlan.from_json": Function(
        ts.SplitPlan.from_json,
        lambda: {"text": plan().to_json()},
        {"text": junk.nothing},
    ),
    "SplitPlan.load": Function(
        ts.SplitPlan.load, lambda: {"path": saved_plan()}, {"path": junk.nothing}
    ),
    "SplitPlan.save": Function(plan().save, lambda: {"path": "a"}, {"path": is_path}),
    "SplitPlan.with_directions": Function(
        plan().with_directions, lambda: {"scores": scores()}, {"scores": EMPTY}
    ),
    "SplitPlan.widths": Function(
        plan().widths, lambda: {"graph": graph()}, {"graph": junk.nothing}
    ),
    "SplitPlan.check": Function(
        plan().check, lambda: {"graph": graph()}, {"graph": junk.nothing}
    ),
    "models.build": Function(
        lambda name: models.build(name, widths="cifar_seed", **SMALL),
        lambda: {"name": "mobilenet_v1"},
        {"name": junk.nothing},
    ),
    "mobilenet_v1": Function(
        models.mobilenet_v1,
        lambda: {**SMALL, "widths": "cifar_seed"},
        SOFT,
        (
            {
                "input_shape": np.array([32, 32, 1]),
                "classes": np.int64(2),
                "widths": np.full(14, 2),
                "width_multiplier": np.float32(2),
                "divisor": np.int64(2),
                "activation": keras.ops.tanh,
                "dropout": 0,
                "rescale": False,
                "classifier_activation": "softmax",
                "weight_decay": 1,
                "bn_momentum": 1,
                "output_stride": np.int64(32),
                "name": "other",
            },
        ),
    ),
    "mobilenet_v2": Function(
        models.mobilenet_v2,
        lambda: {**SMALL, "widths": [2] * 35},
        {**SOFT, "shortcut": junk.nothing},
        ({"shortcut": "conv", "activation": "relu6"},),
    ),
    "load_application_weights": Function(
        models.load_application_weights,
        lambda: {"model": model(), "source": model()},
        {"model": junk.nothing, "source": only("imagenet")},
    ),
    "read_model": Function(
        read_model, lambda: {"path": saved_model()}, {"path": junk.nothing}
    ),
    "export_saved_model": Function(
        exporting.export_saved_model,
        lambda: {"model": model(), "path": "out"},
        {
            "model": junk.nothing,
            "path": is_path,
            "inputs": only(None),
            "tolerance": number(0),
        },
        ({"inputs": np.zeros((3, 5), "float32"), "tolerance": np.float64(1)},),
    ),
    "export_litert": Function(
        exporting.export_litert,
        lambda: {"model": model(), "path": "out.tflite"},
        {"model": junk.nothing, "path": junk.nothing},
    ),
    "load_saved_model": Function(
        exporting.load_saved_model,
        lambda: {"path": exported("saved_model")},
        {"path": junk.nothing},
    ),
    "load_litert": Function(
        exporting.load_litert,
        lambda: {"path": exported("tflite")},
        {"path": junk.nothing},
    ),
    "split_layer": Function(
        layers.split_layer,
        lambda: {"layer": layer(), "neurons": [0], "side": "produced"},
        {"layer": junk.nothing, "neurons": is_indices, "side": junk.nothing},
        ({"side": "consumed", "neurons": {np.int64(2)}},),
    ),
    "split_outputs": Function(
        lambda **arguments: layer().split_outputs(**arguments),
        lambda: {"neurons": [0, 3]},
        {"neurons": is_indices, "epsilon": number(0), "seed": SEED},
        ({"epsilon": np.float32(0.2), "seed": np.int64(1)},),
    ),
    "split_inputs": Function(
        lambda **arguments: layer().split_inputs(**arguments),
        lambda: {"channels": [2]},
        {"channels": is_indices},
    ),
    "convert": Function(
        layers.convert, lambda: {"model": model()}, {"model": junk.nothing}
    ),
    "to_plain": Function(
        layers.to_plain, lambda: {"model": model()}, {"model": junk.nothing}
    ),
}
if KERAS < (3, 13):
    # Those write no file that could be exported or loaded.
    del FUNCTIONS["export_litert"], FUNCTIONS["load_litert"]
ARGUMENTS = [(name, each) for name in FUNCTIONS for each in FUNCTIONS[name].takes]


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_wrong_values_are_refused(name, argument):
    assert junk.refuses(FUNCTIONS[name], argument, EXAMPLES) >= LEAST


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_right_values_are_taken(name):
    function = FUNCTIONS[name]
    function.call(**function.valid())
    for changes in function.others:
        function.call(**{**function.valid(), **changes})


# What the tests of these names call, in runs without `--slow` too.
ELSEWHERE = {
    "reallocate": "test_fuzz_grow",
    "shrink": "test_fuzz_grow",
    "grow": "test_fuzz_grow",
    "train": "test_fuzz_grow",
    "request_stop": "test_resuming",
    "stop_on_signals": "test_signals",
}


def test_every_public_function_is_among_them():
    functions = {n for n in ts.__all__ if inspect.isfunction(getattr(ts, n))}
    assert functions == (functions & FUNCTIONS.keys()) | ELSEWHERE.keys()


def test_there_are_enough_of_them():
    assert len(ARGUMENTS) * LEAST >= CALLS
