"""`to_functional`: the same model, with a graph."""

import keras
import nets
import numpy as np
import pytest
import tiers
from composites import Causal, Residual
from keras import layers, ops

from tf_splitting import SplitPlan, SplittingError, split, to_functional, trace
from tf_splitting.errors import ModelError, SplittingWarning


class Net(keras.Model):
    """A model as they are often written, one layer of it made of layers."""

    def __init__(self, **options):
        super().__init__(**options)
        self.stem = layers.Conv2D(4, 3, padding="same", activation="tanh", name="stem")
        self.block = Residual(5, name="block")
        self.drop = layers.Dropout(0.3, seed=1)
        self.logits = layers.Dense(nets.CLASSES, name="logits")

    def call(self, x, training=None):
        x = self.block(self.stem(x), training=training)
        x = ops.mean(x, axis=(1, 2))
        return self.logits(self.drop(x, training=training))


def net(optimizer=None):
    model = Net(name="net")
    model(np.zeros((1, 4, 4, 2), "float32"))
    nets.randomized(model)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.SGD(0.05), loss)
    return model


def batch(seed=0, count=16):
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((count, 4, 4, 2)).astype(keras.config.floatx())
    return x, np.eye(nets.CLASSES)[generator.integers(0, nets.CLASSES, count)]


def test_the_function_is_the_same_and_the_model_left_alone():
    model = net()
    x, _ = batch()
    functional = to_functional(model, x)
    assert functional.name == "net"
    assert functional.input_shape == (None, 4, 4, 2)
    assert type(functional.get_layer("block")) is Residual
    np.testing.assert_array_equal(nets.outputs(model, x), nets.outputs(functional, x))
    mine, theirs = ({id(v) for v in m.variables} for m in (model, functional))
    assert not mine & theirs
    assert not any(layer._inbound_nodes for layer in model.layers)


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
def test_training_goes_on_as_it_would():
    model = net(keras.optimizers.Adam(0.01))
    model.fit(*batch(), batch_size=8, shuffle=False, epochs=2, verbose=0)
    model.reset_metrics()
    functional = to_functional(model, batch()[0])
    for seed in (1, 2):
        losses = [
            each.train_on_batch(*batch(seed), return_dict=True)["loss"]
            for each in (model, functional)
        ]
        assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    assert int(functional.optimizer.iterations) == int(model.optimizer.iterations)


def test_it_grows():
    model = net()
    x, _ = batch()
    functional = to_functional(model, keras.InputSpec(shape=(None, 4, 4, 2)))
    growable = [space.name for space in trace(functional).growable]
    assert growable == ["stem", "block/conv"]
    grown = split(functional, SplitPlan({"block/conv": [0]}), epsilon=0.0, verify=x)
    assert nets.difference(nets.outputs(model, x), nets.outputs(grown, x)) < 1e-5


class Pair(keras.Model):
    def __init__(self):
        super().__init__()
        self.left, self.right = layers.Dense(3), layers.Dense(3)

    def call(self, inputs):
        a, b = self.left(inputs["a"]), self.right(inputs["b"])
        return {"sum": a + b, "product": a * b}


def test_dictionaries_come_in_and_go_out():
    model = Pair()
    x = {name: np.ones((2, 4), "float32") for name in "ba"}
    expected = model(x)
    functional = to_functional(model, x)
    assert [tensor.name for tensor in functional.inputs] == ["a", "b"]
    found = functional(x)
    assert set(found) == {"sum", "product"}
    for name, value in expected.items():
        np.testing.assert_array_equal(value, found[name])


def test_a_model_with_a_graph_is_what_comes_back():
    model = nets.dense()
    assert to_functional(model, nets.images(model)) is model


def language_model():
    words = keras.Input((None,), dtype="int32", name="words")
    x = layers.Embedding(nets.CLASSES, 4, name="embedding")(words)
    x = Causal(name="causal")(x)
    model = keras.Model({"words": words}, layers.Dense(nets.CLASSES)(x), name="lm")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    nets.randomized(model).compile(keras.optimizers.Adam(0.01), loss)
    return model


@pytest.mark.slow
@pytest.mark.usefixtures("float64")
def test_open_sizes_are_fixed_and_training_goes_on():
    model = language_model()
    words = np.random.default_rng(0).integers(0, nets.CLASSES, (16, 7))
    x, y = {"words": words[:, :-1]}, words[:, 1:]
    model.fit(x, y, batch_size=8, shuffle=False, verbose=0)
    model.reset_metrics()
    fixed = to_functional(model, x)
    assert model.inputs[0].shape == (None, None)
    assert fixed.inputs[0].shape == (None, 6)
    assert fixed.name == "lm"
    assert [space.name for space in trace(model).growable] == []
    plan = {"causal/attention/query": [0], "causal/up": [0], "embedding": [1]}
    assert {space.name for space in trace(fixed).growable} == set(plan)
    for _ in range(2):
        losses = [m.train_on_batch(x, y, return_dict=True) for m in (model, fixed)]
        assert losses[0]["loss"] == pytest.approx(losses[1]["loss"], rel=1e-12)
    grown = split(fixed, SplitPlan(plan), epsilon=0.0)
    assert nets.difference(nets.outputs(model, x), nets.outputs(grown, x)) < 1e-12


def test_open_sizes_of_a_sequential_are_fixed():
    convolution = layers.Conv2D(3, 3, name="conv")
    model = keras.Sequential([keras.Input((None, None, 2)), convolution])
    x = np.random.default_rng(0).standard_normal((2, 5, 6, 2)).astype("float32")
    fixed = to_functional(model, x)
    assert type(fixed) is keras.Sequential
    assert fixed.input_shape == (None, 5, 6, 2)
    np.testing.assert_array_equal(fixed(x), model(x))


def test_inputs_that_a_model_does_not_take():
    model = language_model()
    for wrong in (np.zeros((2, 6)), {"words": np.zeros((2, 6, 1))}, {"w": np.zeros(2)}):
        with pytest.raises(ModelError, match=r"Got input_spec of shapes.*'lm' takes"):
            to_functional(model, wrong)


class Branching(Net):
    def call(self, x, training=None):
        return super().call(x if ops.shape(x)[0] > 8 else 2 * x, training=training)


class OwnStep(Net):
    def train_step(self, data):
        return super().train_step(data)


def of_open_sizes(inputs):
    """A model of one or more inputs, in the structure in which it is given them."""
    tensors = keras.tree.flatten(inputs)
    parts = [layers.GlobalAveragePooling1D()(layers.Dense(2)(x)) for x in tensors]
    x = parts[0] if len(parts) == 1 else layers.Concatenate()(parts)
    return keras.Model(inputs, layers.Dense(2)(x))


def test_a_list_of_one_input_takes_the_item_too():
    model = of_open_sizes([keras.Input((None, 3))])
    fixed = to_functional(model, np.zeros((4, 5, 3), "float32"))
    assert fixed.input_shape in [(None, 5, 3), [(None, 5, 3)]]


def test_inputs_in_a_list_may_be_named():
    a, b = keras.Input((None, 3), name="a"), keras.Input((None, 2), name="b")
    spec = {"b": keras.KerasTensor((None, 7, 2)), "a": keras.KerasTensor((None, 5, 3))}
    fixed = to_functional(of_open_sizes([a, b]), spec)
    assert [tuple(x.shape) for x in fixed.inputs] == [(None, 5, 3), (None, 7, 2)]


def test_what_cannot_be_is_refused():
    with pytest.raises(ModelError, match=r"'net' has not been built.*Call it"):
        to_functional(Net(name="net"), batch()[0])
    model = Branching(name="branching")
    model(batch()[0])
    with pytest.raises(
        ModelError, match=r"'branching'.*made Functional: it calls other"
    ):
        to_functional(model, batch()[0])
    for wrong in (None, "image", (None, 4, 4, 2), keras.InputSpec(ndim=4), 3.0):
        with pytest.raises(SplittingError, match="input_spec"):
            to_functional(net(), wrong)
    with pytest.raises(ModelError, match=r"expected a keras\.Model"):
        to_functional("net", batch()[0])


def test_methods_of_its_own_are_told_to_be_lost():
    model = OwnStep(name="own")
    model(batch()[0])
    with pytest.warns(SplittingWarning, match="whose own train_step"):
        to_functional(model, batch()[0])


class Flat(keras.Model):
    """Products that leave lengths open, and what has to know them behind."""

    def __init__(self, **options):
        super().__init__(**options)
        self.heads = layers.EinsumDense("abc,cde->abde", (None, 2, 3), name="heads")
        self.back = layers.EinsumDense("abde,dec->abc", (None, 3), name="back")
        self.flatten = layers.Flatten()
        self.logits = layers.Dense(nets.CLASSES, name="logits")

    def call(self, x):
        return self.logits(self.flatten(self.back(ops.tanh(self.heads(x)))))


def test_lengths_that_products_leave_open_are_those_of_the_input():
    model = Flat()
    x = np.random.default_rng(0).standard_normal((4, 5, 2)).astype("float32")
    expected = nets.outputs(model, x)
    functional = to_functional(model, x)
    grown = split(functional, SplitPlan({"heads": [0]}), epsilon=0.0)
    for each in (functional, grown):
        assert nets.difference(expected, nets.outputs(each, x)) < 1e-5


class Patches(keras.Model):
    """A vision transformer as people write one, reading its token and places itself."""

    def __init__(self, repeat, **options):
        super().__init__(**options)
        self.repeat = repeat
        self.patch = layers.Conv2D(4, 2, 2, name="patch")
        self.attention = layers.MultiHeadAttention(2, 3, name="attention")
        self.up = layers.Dense(6, "gelu", name="up")
        self.down = layers.Dense(4, name="down")
        self.logits = layers.Dense(nets.CLASSES, name="logits")

    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, 4), name="token")
        self.places = self.add_weight(shape=(5, 4), name="places")
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")
        self.patch.build(shape)
        self.attention.build((None, 5, 4), (None, 5, 4))
        self.up.build((None, 5, 4))
        self.down.build((None, 5, 6))
        self.logits.build((None, 4))
        self.built = True

    def call(self, x):
        size = ops.shape(x)[0]
        x = ops.reshape(self.patch(x), (size, 4, 4))
        x = ops.concatenate([self.repeat(self.token, size), x], axis=1) + self.places
        x = x + self.scale * self.attention(x, x)
        x = x + self.down(self.up(x))
        return self.logits(x[:, 0])


REPEAT = {
    "broadcast_to": lambda token, size: ops.broadcast_to(token, (size, 1, 4)),
    "tile": lambda token, size: ops.tile(token, (size, 1, 1)),
    "repeat": lambda token, size: ops.repeat(token, size, axis=0),
}


def patches(way):
    model = Patches(REPEAT[way], name="patches")
    x, y = batch()
    model(x)
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.01), loss)
    return model, x, y


@pytest.mark.parametrize("way", tiers.some(REPEAT, ["tile"]))
def test_weights_that_a_model_reads_itself(way):
    model, x, _ = patches(way)
    functional = to_functional(model, x)
    # Nothing normalizes over the stream, so that tokens and places grow with it.
    spaces = ["patch", "attention/query", "up"]
    assert [s.name for s in trace(functional).growable] == spaces
    plan = SplitPlan({"patch": [2], "attention/query": [0], "up": [1]})
    grown = split(functional, plan, epsilon=0.0, verify=x)
    assert len(grown.trainable_variables) == len(model.trainable_variables)
    # As many examples as there are channels, and others.
    for count in (1, 4, 16):
        expected = keras.ops.convert_to_numpy(model(x[:count]))
        found = nets.outputs(grown, x[:count])
        np.testing.assert_allclose(expected, found, atol=1e-6)


@pytest.mark.slow
def test_the_optimizers_state_of_weights_that_a_model_reads_itself():
    model, x, y = patches("broadcast_to")
    model.train_on_batch(x, y)
    model.reset_metrics()
    functional = to_functional(model, x)
    losses = [
        [each.train_on_batch(x, y, return_dict=True)["loss"] for _ in range(3)]
        for each in (model, functional)
    ]
    np.testing.assert_allclose(*losses, rtol=1e-5)


@keras.saving.register_keras_serializable("test_functional")
class Places(layers.Layer):
    """A table, normalized by a layer that nobody builds but a call, as in DeBERTa."""

    def __init__(self, **options):
        super().__init__(**options)
        self.table = self.add_weight(shape=(6, 4), name="table")
        self.norm = layers.LayerNormalization(name="norm")

    def call(self, x):
        table = self.norm(ops.expand_dims(ops.convert_to_tensor(self.table), 0))
        return ops.repeat(table, ops.shape(x)[0], axis=0)

    def compute_output_shape(self, shape):
        return shape[0], 6, 4


class Named(keras.Model):
    """Made by its constructor: what is in it was never saved by itself."""

    def __init__(self):
        words = keras.Input((None,), dtype="int32", name="words")
        x = layers.Embedding(nets.CLASSES, 4, name="embedding")(words)
        x = layers.Add()([x, Places(name="places")(x)])
        x = layers.Dense(5, "gelu", name="up")(x)
        super().__init__(words, layers.Dense(2, name="down")(x))


def test_what_could_not_be_saved_by_itself_is_opened_at_sizes_that_are_known(tmp_path):
    model = Named()
    x = np.arange(12, dtype="int32").reshape(2, 6) % nets.CLASSES
    expected = model(x)
    with pytest.warns(SplittingWarning, match="plain Functional"):
        fixed = to_functional(model, x)
    grown = split(fixed, SplitPlan({"up": [1]}), epsilon=0.0)
    grown.save(tmp_path / "grown.keras")
    loaded = keras.saving.load_model(tmp_path / "grown.keras")
    np.testing.assert_allclose(loaded(x), expected, atol=1e-6)
