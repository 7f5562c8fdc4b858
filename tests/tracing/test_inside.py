"""Layers made of layers are looked into, and left as they were."""

import composites
import keras
import nets
import numpy as np
import pytest
from composites import Own, Residual
from keras import layers, ops

from tf_splitting import SplitPlan, split, trace
from tf_splitting.tracing import flatten, layers_in

pytestmark = pytest.mark.core


def holding(layer, shape=(4, 4, 3)):
    """The layer between two others."""
    x = inputs = keras.Input(shape)
    x = layers.Dense(4, name="before")(x)
    x = layer(x)
    x = layers.Dense(3, name="after")(x)
    return keras.Model(inputs, layers.Flatten()(x))


def calls(model):
    return [call.path for call in flatten(model).calls]


def closed(layer, **options):
    """Why nobody can look inside."""
    (reason,) = {call.closed for call in flatten(holding(layer, **options)).calls} - {
        None
    }
    return reason


def test_calls_are_listed_with_the_layers_name_in_front():
    assert calls(holding(Residual(5, name="block"))) == [
        "before",
        "block/conv",
        "block/norm",
        "block/relu",
        "block/dropout",
        # Two layers of one name are told apart.
        "block/conv_1",
        "block/add",
        "after",
        "flatten",
    ]


def test_to_any_depth():
    paths = calls(holding(composites.Stack(name="stack")))
    assert paths.count("stack/first/conv") == paths.count("stack/second/conv_1") == 1
    assert "stack" not in paths


@pytest.mark.parametrize("name", composites.ALL)
def test_what_is_listed_computes_the_model(name):
    nets.assert_computed_by_its_calls(nets.randomized(composites.ALL[name]()))


@pytest.mark.parametrize("name", composites.ALL)
def test_the_model_is_left_as_it_was(name):
    model = composites.ALL[name]()
    everything = [model, *layers_in(model)]

    def seen():
        return [
            (each._inbound_nodes[:], each._outbound_nodes[:], dict(vars(each)))
            for each in everything
        ]

    before = seen()
    trace(model)
    assert all(
        nodes == now and readers == later and held == hold
        for (nodes, readers, held), (now, later, hold) in zip(
            before, seen(), strict=True
        )
    )


class Aside(Own):
    """Of its first tensor it takes nothing."""

    def build(self, shape, *others):
        super().build(shape)

    def call(self, x, y):
        return self.inner(y) * self.scale


def test_what_goes_in_and_is_not_read_stays_in_the_graph():
    x = inputs = keras.Input((3,))
    aside = layers.Dense(4, "tanh", name="before")(x)
    y = Aside(name="aside")(aside, layers.Dense(4, "tanh", name="beside")(x))
    y = layers.Dense(2, name="after")(y)
    model = nets.randomized(keras.Model(inputs, y))
    assert calls(model)[:2] == ["before", "beside"]
    plan = SplitPlan({space.name: [0] for space in trace(model).growable})
    grown = split(model, plan, epsilon=0.0)
    x = nets.images(model)
    assert nets.difference(nets.outputs(model, x), nets.outputs(grown, x)) < 1e-6


def test_names_and_order_are_the_same_every_time():
    model = composites.ALL["stack"]()
    graphs = [trace(model) for _ in range(2)]
    assert calls(model) == calls(model)
    assert graphs[0].terms == graphs[1].terms
    assert graphs[0].spaces == graphs[1].spaces


def test_a_layer_that_returns_none_too_is_what_it_calls():
    model = composites.ALL["uncached"]()
    layer = model.get_layer("uncached").remembering
    paths = [path for path in calls(model) if path.startswith("uncached/")]
    assert paths == [
        "uncached/mix",
        "uncached/tanh",
        "uncached/dropout",
        "uncached/reshape",
        "uncached/down",
        "uncached/add",
    ]
    assert type(layer) is composites.Remembering


# What stays closed, and why -------------------------------------------------------


class Held(Own):
    def build(self, shape):
        super().build(shape)
        scale = self.add_weight(shape=(4,), name="held")
        self.scaled = lambda x: x * scale


def test_a_layer_with_weights_of_its_own_that_are_not_known_by_name():
    assert "weights of its own that no attribute of it holds" in closed(Held())


class Whole(Own):
    def build(self, shape):
        self.inner.build(shape)
        self.scale = self.add_weight(
            shape=(4,), dtype="bool", trainable=False, name="scale"
        )


class Bounded(Own):
    def build(self, shape):
        self.inner.build(shape)
        self.scale = self.add_weight(shape=(4,), constraint="non_neg", name="scale")


@pytest.mark.parametrize(
    ("layer", "reason"),
    [(Whole(), "reads 'scale', a weight of bool"), (Bounded(), "under a constraint")],
)
def test_a_layer_with_weights_that_no_table_holds(layer, reason):
    assert reason in closed(layer)


class LeftOfIt(Own):
    """An array, and then a tensor."""

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return np.arange(4, dtype="float32") * self.inner(x)


def test_an_array_may_be_left_of_a_tensor():
    model = nets.randomized(holding(LeftOfIt(name="left")))
    assert "left/inner" in calls(model)
    nets.assert_computed_by_its_calls(model)


class Cutting(Own):
    """A weight is a setting of an operation."""

    def call(self, x):
        return ops.threshold(self.inner(x), self.scale, 0.0)


def test_a_layer_that_hands_weights_to_an_operation_as_settings():
    assert "hands a weight to 'threshold" in closed(Cutting())


class InTraining(layers.Layer):
    def __init__(self):
        super().__init__(name="noisy")
        self.inner = layers.Dense(4)

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x, training=None):
        x = self.inner(x)
        return 2 * x if training else x


def test_a_layer_that_computes_something_else_in_training():
    assert closed(InTraining()) == "computes something else in training"


class NoneWith(composites.Uncached):
    """A layer in it returns None too, and does more than the layers in that."""

    def __init__(self, kind):
        super().__init__(name="none")
        self.remembering = kind(name="remembering")


class Noisy(composites.Remembering):
    def call(self, x, cache=None, training=None):
        x, cache = super().call(x, cache, training)
        return 2 * x if training else x, cache


def test_a_layer_that_returns_none_too_and_does_more_than_it_calls():
    assert "something else in training" in closed(NoneWith(Noisy), shape=(6, 3))


class Remembered(composites.Remembering):
    def build(self, shape):
        super().build(shape)
        self.scale = self.add_weight(shape=(), name="scale")

    def call(self, x, cache=None, training=None):
        x, cache = super().call(x, cache, training)
        return self.scale * x, cache


def test_a_layer_that_returns_none_too_and_reads_a_weight_itself():
    paths = calls(holding(NoneWith(Remembered), shape=(6, 3)))
    assert {"none/scale", "none/multiply"} <= set(paths)


class Counting(layers.Layer):
    def __init__(self):
        super().__init__(name="counting")
        self.counter = layers.Normalization()

    def build(self, shape):
        self.counter.build(shape)

    def call(self, x):
        self.counter.count.assign(self.counter.count + 1)
        return ops.tanh(x)


def test_a_layer_whose_state_changes():
    layer = Counting()
    model = holding(layer)
    before = np.array(layer.counter.count)
    (call,) = [call for call in flatten(model).calls if call.closed]
    assert "cannot be called on symbolic tensors" in call.closed
    np.testing.assert_array_equal(layer.counter.count, before)


class Drawing(layers.Layer):
    def call(self, x):
        return x + keras.random.normal((4,))


def test_a_layer_that_draws_random_numbers():
    assert "draws random numbers" in closed(Drawing())


class Penalized(layers.Layer):
    def __init__(self, of_weights):
        super().__init__(name="penalized")
        self.of_weights = of_weights
        self.inner = layers.Dense(4)

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        self.add_loss(ops.sum(self.inner.kernel if self.of_weights else x))
        return self.inner(x)


@pytest.mark.parametrize("of_weights", [False, True])
def test_a_layer_that_adds_losses(of_weights):
    layer = Penalized(of_weights)
    assert "add" in closed(layer)
    assert "loss" in closed(layer)
    assert layer.losses == []


class RunTimeShape(layers.Layer):
    def call(self, x):
        return x * ops.cast(ops.arange(ops.shape(x)[0])[:, None, None, None], x.dtype)


def test_a_layer_that_numbers_the_examples_of_a_batch():
    reason = "holds numbers that are not alike for all of a batch"
    assert closed(RunTimeShape()) == reason


class Counted(layers.Layer):
    def call(self, x):
        return x / ops.cast(ops.shape(x)[0], x.dtype)


class Again(layers.Layer):
    def call(self, x):
        return ops.repeat(x, ops.shape(x)[0], axis=0)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (Counted(), "holds numbers that depend on the size of the batch"),
        (Again(), "holds a Repeat that reads the size of the batch"),
    ],
)
def test_other_layers_that_read_the_size_of_the_batch(layer, reason):
    assert reason in closed(layer)


def test_sizes_that_are_open_keep_a_layer_closed_that_reads_them():
    x = keras.Input((None, 4))
    model = keras.Model(x, composites.Causal(name="causal")(x))
    (call,) = [call for call in flatten(model).calls if call.path == "causal"]
    assert "to_functional fixed the sizes" in call.closed


class OfTheBackend(layers.Layer):
    def call(self, x):
        return x.no_method_of_symbolic_tensors()

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


def test_a_layer_written_in_the_backends_own_way():
    assert "AttributeError" in closed(OfTheBackend())


class HandsMaskOn(layers.Layer):
    def __init__(self):
        super().__init__()
        self.supports_masking = True

    def call(self, x):
        return ops.tanh(x)


def test_masks_that_would_be_lost():
    words = keras.Input((5,), dtype="int32")
    x = layers.Embedding(7, 4, mask_zero=True)(words)
    x = HandsMaskOn()(x)
    model = keras.Model(words, layers.Dense(2)(x))
    (call,) = [call for call in flatten(model).calls if call.closed]
    assert "mask" in call.closed


class ReadsMask(layers.Layer):
    def call(self, x, mask=None):
        return x if mask is None else x * ops.cast(mask[..., None], x.dtype)


def test_masks_that_are_read():
    """Keras hands them to `call`, which would do something else without."""
    words = keras.Input((5,), dtype="int32")
    x = layers.Embedding(7, 4, mask_zero=True)(words)
    with pytest.warns(UserWarning, match="destroy the mask"):
        x = ReadsMask()(x)
    model = keras.Model(words, layers.Dense(2)(x))
    (call,) = [call for call in flatten(model).calls if call.closed]
    assert call.closed == "reads the mask that its input carries"
    # Without a mask there is nothing to read.
    assert not any(call.closed for call in flatten(holding(ReadsMask())).calls)


def test_a_reshaping_that_names_the_batch_infers_it():
    class Folded(layers.Layer):
        def call(self, x):
            size, height, width, channels = ops.shape(x)
            return ops.reshape(x, (size, height * width, channels))

    (call,) = [
        call for call in flatten(holding(Folded())).calls if "reshape" in call.path
    ]
    assert call.operation.newshape == (-1, 16, 4)
    assert call.run(np.ones((3, 4, 4, 4), "float32")).shape == (3, 16, 4)


def test_masks_that_layers_inside_hand_on_are_kept():
    model = composites.ALL["masked"]()
    assert not any(call.closed for call in flatten(model).calls)
    assert [call.path for call in flatten(model).calls if call.masked] == [
        "embedding",
        "hidden/first",
        "hidden/second",
    ]


class Weightless(layers.Layer):
    def call(self, x, factor=3.0):
        return ops.tanh(factor * x)


def test_a_layer_without_weights_is_opened_once_for_every_way_of_calling_it():
    x = inputs = keras.Input((4, 4, 3))
    shared = Weightless(name="shared")
    wide = layers.Dense(5, name="wide")(shared(x))
    x = shared(wide, factor=2.0) + shared(shared(wide), factor=2.0)
    model = nets.randomized(keras.Model(inputs, layers.Dense(2)(x)))
    graph = trace(model)
    assert list(graph.insides) == ["shared", "shared_1", "shared_2"]
    assert [space.name for space in graph.growable] == ["wide"]
    grown = split(model, SplitPlan({"wide": [1]}), epsilon=0.0)
    names = {"shared", "shared_1", "shared_2"}
    assert names <= {layer.name for layer in grown.layers}
    x = nets.images(model)
    assert nets.difference(nets.outputs(model, x), nets.outputs(grown, x)) < 1e-6


def test_ways_of_calling_that_do_not_agree():
    x = inputs = keras.Input((4, 4, 3))
    shared = composites.Scaled(name="shared")
    x = shared(x) + shared(x, factor=2.0)
    model = keras.Model(inputs, layers.Dense(2)(x))
    reasons = {call.closed for call in flatten(model).calls if call.path == "shared"}
    assert reasons == {"is called in ways that do not agree"}


def test_one_way_of_calling_twice():
    model = composites.ALL["shared"]()
    assert calls(model).count("shared/dense") == 2
    (space,) = trace(model).growable
    assert space.producers == ("before", "shared/dense")


class Widened(layers.Layer):
    """Makes four channels of one, by numbers of its own alone."""

    def __init__(self, **options):
        super().__init__(**options)
        self.gate = layers.Dense(1, name="gate")

    def build(self, shape):
        self.gate.build(shape)
        self.shifts = self.add_weight(shape=(4,), name="shifts")
        self.built = True

    def call(self, x):
        return ops.tanh(x[..., :1] + self.shifts) * self.gate(x)


def test_channels_that_no_layer_makes_stay_as_they_are():
    inputs = keras.Input((5,))
    outputs = layers.Dense(3)(Widened(name="w")(inputs))
    graph = trace(keras.Model(inputs, outputs))
    assert graph.space("w/shifts").width == 4
    assert graph.space("w/shifts").frozen == "no layer makes its channels"
    assert graph.growable == ()
