"""What every public function does, as arrays, on whatever backend this process has.

    KERAS_BACKEND=jax python tests/backends/scenarios.py results.npz FOLDER [NAME ...]

A row of the contract is a function of this file, named after what it calls; it returns
arrays by name. Weights come from NumPy, as initializers draw other numbers on other
backends. In `FOLDER` the backends leave each other files.
"""

import sys
import warnings
from pathlib import Path

import keras
import nets
import numpy as np

import tf_splitting
from tf_splitting import Rayleigh, SplitPlan, SplittingScores

NETS = (nets.conv_bn, nets.depthwise, nets.residual)
ROWS = {}


def row(function):
    """Registers a row of the contract."""
    ROWS[function.__name__] = function
    return function


def model_of(net):
    """A net with weights and moving statistics that every backend gets alike."""
    model = net()
    generator = np.random.default_rng(7)
    for variable in model.variables:
        if variable.dtype != "float32":
            continue
        values = 0.5 * generator.standard_normal(variable.shape)
        if variable.name in ("moving_variance", "gamma"):
            values = 1 + np.abs(values)
        variable.assign(values)
    model.compile(
        keras.optimizers.SGD(0.05, momentum=0.9),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def other_backend():
    (other,) = {"jax", "tensorflow"} - {keras.backend.backend()}
    return other


def examples(model, count=96):
    generator = np.random.default_rng(1)
    shape = (count, *model.input_shape[1:])
    x = generator.standard_normal(shape).astype("float32")
    return x, generator.integers(0, nets.CLASSES, count)


def estimated(model, **options):
    options = {"sample_size": 64, "batch_size": 16, "verbose": 0, **options}
    return tf_splitting.estimate(model, examples(model), **options)


def weights(model):
    return {f"{i}:{v.path}": v.numpy() for i, v in enumerate(model.variables)}


@row
def trace(folder):
    found = {}
    for net in NETS:
        graph = tf_splitting.trace(net())
        found |= {f"{net.__name__}/{k}": np.array(v) for k, v in graph.widths.items()}
    return found


@row
def count_macs(folder):
    return {net.__name__: np.array(tf_splitting.count_macs(net())) for net in NETS}


@row
def count_params(folder):
    return {net.__name__: np.array(tf_splitting.count_params(net())) for net in NETS}


@row
def macs_per_layer(folder):
    costs = tf_splitting.macs_per_layer(nets.residual())
    return {layer: np.array(cost) for layer, cost in costs.items()}


@row
def params_per_layer(folder):
    costs = tf_splitting.params_per_layer(nets.residual())
    return {layer: np.array(cost) for layer, cost in costs.items()}


@row
def estimate(folder):
    """λ and what the directions found are worth."""
    found = {}
    for net in NETS:
        scores = estimated(
            model_of(net), estimator=Rayleigh(passes=5, tolerance=0), epsilon=0.1
        )
        for space in scores:
            found[f"{net.__name__}/{space}"] = scores[space].splitting_index
    return found


@row
def exact(folder):
    """Eigenvalues of the splitting matrices."""
    found = {}
    for net in NETS:
        scores = estimated(model_of(net), estimator=tf_splitting.Exact())
        for space in scores:
            matrices = scores[space].matrices
            found[f"{net.__name__}/{space}"] = np.linalg.eigvalsh(matrices)
    return found


@row
def estimate_removals(folder):
    """What neurons cost, by estimators that look at the loss."""
    costs = {}
    for net in NETS:
        model = model_of(net)
        for estimator in (tf_splitting.SecondOrder(), tf_splitting.Taylor()):
            scores = tf_splitting.estimate_removals(
                model, examples(model), estimator=estimator, batch_size=24, verbose=0
            )
            name = f"{net.__name__} {type(estimator).__name__}"
            costs |= {f"{name} {space}": scores[space] for space in scores}
    return costs


@row
def select(folder):
    model = model_of(nets.depthwise)
    scores = estimated(model)
    plan = tf_splitting.select(scores, tf_splitting.trace(model), target_macs=2_000)
    scores.save(folder / f"{keras.backend.backend()}-scores.npz")
    plan.save(folder / f"{keras.backend.backend()}-plan.json")
    return {space: np.array(indices) for space, indices in plan.splits.items()}


@row
def select_removals(folder):
    model = model_of(nets.depthwise)
    costs = tf_splitting.estimate_removals(model, examples(model), verbose=0)
    target = 0.6 * tf_splitting.count_macs(model)
    graph = tf_splitting.trace(model)
    plan = tf_splitting.select_removals(costs, graph, target_macs=target)
    return {space: np.array(indices) for space, indices in plan.removals.items()}


@row
def split(folder):
    """The grown network's weights and outputs, optimizer state included."""
    model = model_of(nets.conv_bn)
    model.fit(*examples(model), batch_size=24, epochs=1, shuffle=False, verbose=0)
    scores = estimated(model)
    plan = tf_splitting.select(scores, tf_splitting.trace(model), target_macs=3_000)
    grown = tf_splitting.split(model, plan, scores=scores)
    outputs = grown.predict(examples(model)[0], verbose=0)
    state = {
        f"optimizer {i}": v.numpy() for i, v in enumerate(grown.optimizer.variables)
    }
    found = {"outputs": outputs, **state, **weights(grown)}
    # On JAX a training step gives away the memory of what it replaces.
    grown.fit(*examples(model), batch_size=24, verbose=0)
    model.fit(*examples(model), batch_size=24, epochs=1, shuffle=False, verbose=0)
    return {**found, **{f"went on/{k}": v for k, v in weights(model).items()}}


@row
def remove(folder):
    """The smaller network's weights and outputs, mean outputs folded."""
    model = model_of(nets.conv_bn)
    model.fit(*examples(model), batch_size=24, epochs=1, shuffle=False, verbose=0)
    plan = nets.random_removal(tf_splitting.trace(model))
    smaller = tf_splitting.remove(model, plan, dataset=examples(model))
    outputs = smaller.predict(examples(model)[0], verbose=0)
    state = {
        f"optimizer {i}": np.array(v) for i, v in enumerate(smaller.optimizer.variables)
    }
    return {"outputs": outputs, **state, **weights(smaller)}


def grown(folder, **options):
    # As above: a job that goes on has to find the same names.
    keras.utils.clear_session()
    model = model_of(nets.depthwise)
    history = tf_splitting.GrowthHistory()
    result = tf_splitting.grow(
        model,
        examples(model),
        **{
            "target_macs": 2_000,
            "rounds": 2,
            "epochs": 1,
            "final_epochs": 2,
            "batch_size": 24,
            "sample_size": 64,
            "verbose": 0,
            "history": history,
            **options,
        },
    )
    counts = {"epochs": len(history.epochs), "macs": tf_splitting.count_macs(result)}
    return {**{k: np.array(v) for k, v in counts.items()}, **weights(result)}


@row
def grow(folder):
    return grown(folder)


@row
def scale(folder):
    model = model_of(nets.depthwise)
    scaled = tf_splitting.scale(model, target_macs=5_000)
    # Where it starts is drawn by the backend's own generator.
    assert np.abs(scaled.get_layer("pointwise").kernel).max() > 0
    widths = tf_splitting.trace(scaled).widths
    return {name: np.array(width) for name, width in widths.items()}


@row
def to_functional(folder):
    """Of a model whose layers are made of layers, which then grows."""

    class Net(keras.Model):
        def __init__(self):
            super().__init__()
            self.stem = keras.layers.Dense(4, "tanh", name="stem")
            self.block = Block(name="block")

        def call(self, x):
            return self.block(self.stem(x))

    class Block(keras.layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.attention = keras.layers.MultiHeadAttention(2, 3, name="attention")
            self.logits = keras.layers.Dense(3, name="logits")

        def build(self, shape):
            self.attention.build(shape, shape)
            self.logits.build(shape)
            self.built = True

        def call(self, x):
            x = x + self.attention(x, x)
            return self.logits(keras.ops.mean(keras.ops.tanh(x), axis=1))

    net = Net()
    x = np.random.default_rng(0).standard_normal((6, 5, 4)).astype("float32")
    net(x)
    generator = np.random.default_rng(1)
    for variable in net.trainable_variables:
        variable.assign(generator.standard_normal(variable.shape) / 2)
    model = tf_splitting.to_functional(net, x)
    space = "block/attention/query"
    plan = tf_splitting.SplitPlan({space: [1], "stem": [0, 2]})
    grown = tf_splitting.split(model, plan, epsilon=0.0, verify=x)
    assert tf_splitting.trace(grown).widths[space] == 3
    macs = [tf_splitting.count_macs(each) for each in (model, grown)]
    return {"outputs": keras.ops.convert_to_numpy(grown(x)), "macs": np.array(macs)}


@row
def family(folder):
    """`grow` to several targets."""
    model = model_of(nets.depthwise)
    small, large = tf_splitting.grow(
        model,
        examples(model),
        target_macs=[2_000, 3_500],
        epochs=1,
        final_epochs=1,
        batch_size=24,
        sample_size=64,
        verbose=0,
    )
    return {
        **{f"small/{name}": value for name, value in weights(small).items()},
        **{f"large/{name}": value for name, value in weights(large).items()},
    }


@row
def shrink(folder):
    model = model_of(nets.conv_bn)
    smaller = tf_splitting.shrink(
        model,
        examples(model),
        target_macs=0.6 * tf_splitting.count_macs(model),
        rounds=2,
        epochs=1,
        final_epochs=1,
        batch_size=24,
        optimizer_state="carry",
        verbose=0,
    )
    return weights(smaller)


@row
def select_exchanges(folder):
    model = model_of(nets.conv_bn)
    losses = tf_splitting.estimate_removals(model, examples(model), verbose=0)
    plan = tf_splitting.select_exchanges(
        losses, estimated(model, epsilon=0.5), tf_splitting.trace(model)
    )
    removals, splits = plan.removals.removals, plan.splits.splits
    assert removals
    assert splits
    return {
        **{f"remove {space}": np.array(each) for space, each in removals.items()},
        **{f"split {space}": np.array(each) for space, each in splits.items()},
    }


@row
def reallocate(folder):
    model = model_of(nets.conv_bn)
    result = tf_splitting.reallocate(
        model,
        examples(model),
        rounds=2,
        gain_step=0.5,
        moved=0.5,
        epochs=1,
        final_epochs=1,
        batch_size=24,
        verbose=0,
    )
    assert tf_splitting.trace(result).widths != tf_splitting.trace(model).widths
    return weights(result)


@row
def train(folder):
    model = model_of(nets.conv_bn)
    trained = tf_splitting.train(
        model, examples(model), epochs=2, batch_size=24, verbose=0
    )
    return weights(trained)


class _StopAfter(keras.callbacks.Callback):
    def __init__(self, epochs):
        super().__init__()
        self._left = epochs

    def on_epoch_end(self, epoch, logs=None):
        self._left -= 1
        if self._left == 0:
            tf_splitting.request_stop("the other backend goes on")


@row
def request_stop(folder):
    """A job is stopped after its second epoch; `resumed` goes on with the other's."""
    backend = keras.backend.backend()
    try:
        grown(folder, checkpoint_dir=folder / backend, callbacks=[_StopAfter(2)])
    except tf_splitting.Interrupted as stop:
        return {"saved": np.array(stop.checkpoint is not None)}
    return {"saved": np.array("never stopped")}


@row
def build(folder):
    """Built-in models, at their smallest."""
    found = {}
    for name in tf_splitting.models.names():
        model = tf_splitting.models.build(name, input_shape=(32, 32, 3), classes=4)
        found[name] = np.array(tf_splitting.count_macs(model))
    return found


@row
def stop_on_signals(folder):
    with tf_splitting.stop_on_signals():
        return {"within": np.array(True)}


def short_job(folder):
    """The whole way in one round."""
    return grown(folder, rounds=1, final_epochs=1)


def resumed(folder):
    """Goes on with the job that the other backend has stopped."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = grown(folder, checkpoint_dir=folder / other_backend())
    warned = any("other versions" in str(warning.message) for warning in caught)
    return {"warned": np.array(warned), **found}


def read(folder):
    """The other backend's plan and scores, used."""
    model = model_of(nets.depthwise)
    plan = SplitPlan.load(folder / f"{other_backend()}-plan.json")
    scores = SplittingScores.load(folder / f"{other_backend()}-scores.npz")
    return weights(tf_splitting.split(model, plan, scores=scores))


def results_of(functions, folder):
    """Arrays by `name|key`."""
    # Inputs are named by how many there have been, and have to be named alike.
    keras.utils.clear_session()
    return {
        f"{function.__name__}|{key}": value
        for function in functions
        for key, value in function(folder).items()
    }


if __name__ == "__main__":
    file, folder, *names = sys.argv[1:]
    functions = map(globals().get, names or [*ROWS, "resumed", "read"])
    np.savez(file, **results_of(functions, Path(folder)))
