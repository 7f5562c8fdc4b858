"""Layers made of layers: rebuilt as models of what is in them, where that changes."""

import subprocess
import sys
from types import SimpleNamespace

import brute
import composites
import keras
import nets
import numpy as np
import pytest
import tiers
from keras import layers, ops

from tf_splitting import (
    RemovalPlan,
    SplitPlan,
    count_macs,
    count_params,
    remove,
    scale,
    split,
    trace,
)
from tf_splitting.errors import ModelError

ALL = pytest.mark.parametrize("name", composites.ALL)
SOME = pytest.mark.parametrize(
    "name",
    tiers.some(
        composites.ALL, ["residual", "gated", "masked", "tied", "causal", "linear"]
    ),
)


def ready(name, optimizer=None):
    return nets.compiled(nets.randomized(composites.ALL[name]()), optimizer)


def batch(model, seed=0):
    x, y = nets.data(model, seed=seed)
    return (tuple(x) if isinstance(x, list) else x), y


def opened(model):
    """The same network, weights and optimizer's state, every composite opened."""
    graph = trace(model)
    plan = SplitPlan({space.name: [0] for space in graph.growable})
    wide = split(model, plan, epsilon="fresh")
    assert not any(type(each).__module__ == "composites" for each in wide.layers)
    added = {space.name: [space.width] for space in graph.growable}
    return remove(wide, RemovalPlan(added))


def by_size(model):
    """Weights as rows, in an order that does not depend on what holds them."""
    arrays = [np.ravel(variable) for variable in model.trainable_variables]
    return sorted(arrays, key=lambda a: (a.size, float(a.sum())))


@pytest.mark.parametrize(
    "name",
    tiers.some(
        composites.ALL, {*composites.ALL} - {"sequential", "shared", "stack", "summed"}
    ),
)
@pytest.mark.usefixtures("float64")
def test_the_function_is_kept_in_both_modes(name):
    model = ready(name)
    graph = trace(model)
    assert graph.growable
    x = nets.images(model)
    grown = split(model, nets.random_plan(graph, share=0.5), epsilon=0.0, verify=x)
    for training in (False, True):
        if training and any("dropout" in c.layer for c in graph.activations):
            continue
        before, after = (nets.outputs(m, x, training) for m in (model, grown))
        assert nets.difference(before, after) < 1e-12


@SOME
@pytest.mark.usefixtures("float64")
def test_removing_is_silencing(name):
    model = ready(name)
    graph = trace(model)
    plan = nets.random_removal(graph)
    x = nets.images(model)
    smaller = remove(model, plan)
    with nets.silenced(model, graph, plan) as silenced:
        expected = nets.outputs(silenced, x)
    assert nets.difference(expected, nets.outputs(smaller, x)) < 1e-12


@pytest.mark.parametrize(
    "name",
    tiers.sorted_out(composites.ALL, [], ["residual", "tied", "causal", "uncached"]),
)
@pytest.mark.usefixtures("float64")
def test_training_is_the_same_after_opening(name):
    """Dropout, batch statistics, and what the optimizer remembers."""
    model = ready(name, keras.optimizers.Adam(0.01))
    model.fit(*batch(model), epochs=2, batch_size=8, shuffle=False, verbose=0)
    model.reset_metrics()
    other = opened(model)
    for seed in (1, 2):
        losses = [
            each.train_on_batch(*batch(model, seed), return_dict=True)["loss"]
            for each in (model, other)
        ]
        assert losses[0] == pytest.approx(losses[1], rel=1e-12)
    for mine, theirs in zip(by_size(model), by_size(other), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)
    x = nets.images(model, seed=5)
    assert nets.difference(nets.outputs(model, x), nets.outputs(other, x)) < 1e-10


@pytest.mark.parametrize(
    "name",
    tiers.some(
        ["residual", "weightless", "gated", "shared", "causal", "linear"], ["residual"]
    ),
)
@pytest.mark.usefixtures("float64")
def test_the_index_is_the_curvature_of_a_really_split_models_loss(name):
    model = ready(name)
    data = batch(model)
    scores = brute.random_scores(model, data)
    assert set(scores) == {space.name for space in trace(model).growable}
    for space, score in scores.items():
        found = brute.curvature(model, data, {space: [1]}, scores)
        assert found == pytest.approx(score.splitting_index[1], rel=1e-4, abs=1e-7)


@pytest.mark.parametrize("name", tiers.some(composites.ALL, ["gated", "linear"]))
def test_macs_and_parameters_are_those_of_the_opened_model(name):
    model = ready(name)
    assert count_macs(model) == count_macs(opened(model))
    assert count_params(model) == count_params(opened(model))


@pytest.mark.usefixtures("float64")
def test_lengths_stay_known_behind_an_opened_layer(tmp_path):
    """Attention says how many positions it returns; the layers in it would not."""
    inputs = keras.Input((5, 2))
    x = layers.Dense(3, activation="tanh")(inputs)
    x = layers.GroupQueryAttention(2, 6, 3, name="attention")(x, x)
    x = layers.Dense(nets.CLASSES)(layers.Flatten()(x))
    model = nets.randomized(keras.Model(inputs, x))
    x = nets.images(model)
    space = "attention/value"
    grown = split(model, SplitPlan({space: [1]}), epsilon=0.0)
    grown.save(tmp_path / "grown.keras")
    loaded = keras.saving.load_model(tmp_path / "grown.keras")
    smaller = remove(loaded, RemovalPlan({space: [3, 0]}))
    plan = RemovalPlan({space: [0]})
    with nets.silenced(model, trace(model), plan) as silenced:
        expected = nets.outputs(silenced, x)
    for made in (remove(model, plan), smaller):
        assert nets.difference(expected, nets.outputs(made, x)) < 1e-12


def test_what_does_not_change_stays_an_object_of_its_class():
    model = ready("stack")
    grown = split(model, SplitPlan({"stem": [0]}), epsilon=0.0)
    assert isinstance(grown.get_layer("stack"), keras.Model)
    x = inputs = keras.Input((4, 4, 2))
    x = composites.Residual(5, name="one")(x)
    x = composites.Residual(5, name="two")(x)
    x = layers.Dense(nets.CLASSES)(layers.Flatten()(x))
    model = nets.randomized(keras.Model(inputs, x))
    grown = split(model, SplitPlan({"two/conv": [0]}), epsilon=0.0)
    assert type(grown.get_layer("one")) is composites.Residual
    assert isinstance(grown.get_layer("two"), keras.Model)
    x = nets.images(model)
    assert nets.difference(nets.outputs(model, x), nets.outputs(grown, x)) < 1e-5
    # Those that were opened before are nested models like any other.
    again = split(grown, SplitPlan({"one/conv": [0], "two/conv": [5]}), epsilon=0.0)
    assert nets.difference(nets.outputs(model, x), nets.outputs(again, x)) < 1e-5


def test_one_composite_in_another_opens_with_it():
    model = ready("stack")
    grown = split(model, SplitPlan({"stack/first/conv": [0]}), epsilon=0.0)
    stack = grown.get_layer("stack")
    assert isinstance(stack.get_layer("first"), keras.Model)
    assert type(stack.get_layer("second")) is composites.Residual


def test_flags_inside_stay_as_they_are():
    model = ready("stack")
    model.get_layer("stack").first.norm.trainable = False
    count = len(model.trainable_variables)
    for plan in ({"stem": [0]}, {"stack/second/conv": [0]}):
        grown = split(model, SplitPlan(plan), epsilon=0.0)
        assert len(grown.trainable_variables) == count
    x = inputs = keras.Input((4, 4, 2))
    block = composites.Residual(5, name="block")
    x = layers.Dense(4, name="free")(layers.Flatten()(block(x)))
    model = keras.Model(inputs, layers.Dense(2)(x))
    block.norm.trainable = False
    grown = split(model, SplitPlan({"free": [0]}), epsilon=0.0)
    assert not grown.get_layer("block").norm.trainable
    assert len(grown.trainable_variables) == len(model.trainable_variables)


def test_layers_stay_shared_that_are():
    model = nets.randomized(composites.tied())
    grown = split(model, SplitPlan({"free": [0]}), epsilon=0.0)
    assert isinstance(grown.get_layer("tied"), keras.Model)
    assert len(grown.weights) == len(model.weights)
    assert grown.get_layer("tied").get_layer("both") is grown.get_layer("both")


def test_layers_that_would_not_stay_shared_are_refused():
    class Closed(composites.Tied):
        def build(self, shape):
            self.scales = SimpleNamespace(
                weight=self.add_weight(shape=(), name="scale")
            )

        def call(self, x):
            return super().call(x) * self.scales.weight

    x = inputs = keras.Input((4,))
    layer = layers.Dense(4, name="both")
    x = layers.Dense(4, name="free")(Closed(layer, name="closed")(layer(x)))
    model = keras.Model(inputs, layers.Dense(2)(x))
    with pytest.raises(ModelError, match=r"'closed' of type Closed.*another layer too"):
        split(model, SplitPlan({"free": [0]}))


@keras.saving.register_keras_serializable("test_composites")
class OddConfig(layers.Layer):
    """Its config holds more than its constructor takes, as is often so.

    A weight where nobody looks keeps it closed.
    """

    def __init__(self, width, **options):
        super().__init__(**options)
        self.width = width
        self.inner = layers.Dense(width, name="inner")

    def build(self, shape):
        self.inner.build(shape)
        self.scales = SimpleNamespace(
            weight=self.add_weight(shape=(self.width,), name="scale")
        )

    def call(self, x):
        return self.inner(x) * self.scales.weight

    def get_config(self):
        return {**super().get_config(), "width": self.width, "twice": 2 * self.width}


class NoConfig(OddConfig):
    """It does not keep what it was given."""

    def __init__(self, size, **options):
        super().__init__(size, **options)


@keras.saving.register_keras_serializable("test_composites")
class Private(OddConfig):
    """It keeps what it was given to itself."""

    def __init__(self, size, **options):
        super().__init__(size, **options)
        self._size = size


def holding(layer):
    x = inputs = keras.Input((4,))
    x = layers.Dense(4, name="free")(layer(x))
    return nets.randomized(keras.Model(inputs, layers.Dense(2)(x)))


@pytest.mark.parametrize("kind", [OddConfig, Private])
def test_configs_that_do_not_work_are_done_without(kind, tmp_path):
    model = holding(kind(3, name="odd"))
    x = nets.images(model)
    grown = split(model, SplitPlan({"free": [0]}), epsilon=0.0, verify=x)
    assert type(grown.get_layer("odd")) is kind
    # The grown model can be saved, which the first could not.
    grown.save(tmp_path / "grown.keras")
    loaded = keras.saving.load_model(tmp_path / "grown.keras")
    assert type(loaded.get_layer("odd")) is kind
    again = split(loaded, SplitPlan({"free": [0]}), epsilon=0.0)
    for each in (loaded, again):
        assert nets.difference(nets.outputs(model, x), nets.outputs(each, x)) < 1e-6


@keras.saving.register_keras_serializable("test_composites")
class Bare(layers.Layer):
    """Its constructor takes no name, type or anything else of every layer."""

    def __init__(self, size):
        super().__init__()
        self.inner = layers.Dense(size, name="inner")
        scale = self.add_weight(shape=(size,), initializer="ones", name="scale")
        self.scales = SimpleNamespace(weight=scale)

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x) * self.scales.weight


@keras.saving.register_keras_serializable("test_composites")
class Forgetful(OddConfig):
    """It tells more than its constructor takes, and not all of that."""

    def __init__(self, width, factor=None, sizes=(), **options):
        super().__init__(width, **options)
        self.by = width**-0.5 if factor is None else factor

    def call(self, x):
        return self.by * super().call(x)


@keras.saving.register_keras_serializable("test_composites")
class Nothing(OddConfig):
    """Nobody noticed that what it tells is lost."""

    def get_config(self):
        super().get_config()


@keras.saving.register_keras_serializable("test_composites")
class Maker(layers.Layer):
    """Layers inside that cannot be made of their own configs."""

    def __init__(self, factor, **options):
        super().__init__(**options)
        self.factor = factor
        self.bare = Bare(4)

    def build(self, shape):
        self.forgetful = Forgetful(
            4, factor=self.factor, sizes=[1, 2], dtype=self.dtype_policy
        )
        self.up = layers.Dense(6, "tanh", name="up")
        self.down = layers.Dense(4, name="down")
        for each in (self.bare, self.forgetful, self.up):
            each.build(shape)
        self.down.build((*shape[:-1], 6))

    def call(self, x):
        return self.down(self.up(self.forgetful(self.bare(x))))

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}


def kept_when_saved(model, plan, folder):
    """The model split twice, saved and loaded; the function is the same each time."""
    x = nets.images(model)
    grown = split(model, SplitPlan(plan), epsilon=0.0, verify=x)
    again = split(grown, SplitPlan(plan), epsilon=0.0, verify=x)
    again.save(folder / "again.keras")
    loaded = keras.saving.load_model(folder / "again.keras")
    for each in (grown, again, loaded):
        assert nets.difference(nets.outputs(model, x), nets.outputs(each, x)) < 1e-5
    return loaded


@pytest.mark.parametrize(
    "layer", [lambda: Bare(4), lambda: Nothing(4, name="nothing")], ids=["bare", "none"]
)
def test_configs_that_do_not_fit_the_constructor(layer, tmp_path):
    layer = layer()
    loaded = kept_when_saved(holding(layer), {"free": [0]}, tmp_path)
    assert type(layer) in {type(each) for each in loaded.layers}


def test_what_the_layer_around_makes_is_made_as_that_makes_it(tmp_path):
    model = holding(Maker(0.3, name="maker"))
    construct = Forgetful.__init__
    loaded = kept_when_saved(model, {"maker/up": [0], "free": [1]}, tmp_path)
    assert Forgetful.__init__ is construct
    inside = {type(each): each for each in loaded.get_layer("maker").layers}
    assert inside[Forgetful].by == 0.3
    assert Bare in inside


@keras.saving.register_keras_serializable("test_composites")
class Architecture(keras.Model):
    """A model whose config makes its layers, which do not keep what they are given."""

    def __init__(self, size, **options):
        inputs = keras.Input((4,))
        x = layers.Dense(4, name="free")(Forgetful(4, factor=size)(inputs))
        super().__init__(inputs, layers.Dense(2)(x), **options)
        self.size = size

    def get_config(self):
        return {"size": self.size}


def test_what_a_model_of_a_class_of_its_own_makes_is_made_as_that_makes_it(tmp_path):
    model = nets.randomized(Architecture(0.2))
    with pytest.warns(UserWarning, match="a plain Functional"):
        loaded = kept_when_saved(model, {"free": [0]}, tmp_path)
    (forgetful,) = (each for each in loaded.layers if isinstance(each, Forgetful))
    assert forgetful.by == 0.2


def test_layers_that_were_given_to_what_makes_others_are_not_shared():
    class Wrapper(layers.Layer):
        def __init__(self, layer=None, **options):
            super().__init__(**options)
            self.wrapped = Closed(layer or layers.Dense(4))

        def call(self, x):
            return self.wrapped(x)

    class Closed(layers.Layer):
        def __init__(self, given):
            super().__init__()
            self.layer = given

        def build(self, shape):
            self.layer.build(shape)
            self.scales = SimpleNamespace(
                weight=self.add_weight(shape=(), name="scale")
            )

        def call(self, x):
            return self.layer(x) * self.scales.weight

    x = inputs = keras.Input((4,))
    x = layers.Dense(4, name="free")(Wrapper(name="wrapper").wrapped(x))
    model = keras.Model(inputs, layers.Dense(2)(x))
    with pytest.raises(ModelError, match=r"of type Closed.*its get_config"):
        split(model, SplitPlan({"free": [0]}))


def test_configs_that_cannot_be_done_without():
    with pytest.raises(ModelError, match=r"'none' of type NoConfig.*its get_config"):
        split(holding(NoConfig(3, name="none")), SplitPlan({"free": [0]}))


@keras.saving.register_keras_serializable("test_composites")
class Through(layers.Layer):
    """Of two tensors one comes out as it is; so does another by a layer without."""

    def __init__(self, **options):
        super().__init__(**options)
        self.up = layers.Dense(4, name="up")
        # Keras makes no config of a layer that is given such a type.
        self.same = layers.Identity(dtype=keras.DTypePolicy("float32"), name="same")

    def build(self, x_shape, y_shape):
        self.up.build(x_shape)

    def call(self, x, y):
        return self.same(self.up(x)), y


def test_what_comes_out_as_it_came_in(tmp_path):
    x = inputs = keras.Input((4,))
    x = layers.Dense(5, name="wide")(x)
    x, y = Through(name="through")(x, layers.Dense(3, "tanh", name="other")(x))
    model = nets.randomized(
        keras.Model(inputs, layers.Dense(2)(x) + layers.Dense(2)(y))
    )
    plan = {space.name: [0] for space in trace(model).growable}
    assert set(plan) == {"wide", "other", "through/up"}
    kept_when_saved(model, plan, tmp_path)


@keras.saving.register_keras_serializable("test_composites")
class Misleading(layers.Layer):
    """It says of its result that it is as long as the first of two."""

    def __init__(self, **options):
        super().__init__(**options)
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, short, long):
        return self.scale * ops.concatenate([long[:, :1], long[:, 1:]], axis=1)

    def compute_output_shape(self, short_shape, long_shape):
        return short_shape


@keras.saving.register_keras_serializable("test_composites")
class Nested(layers.Layer):
    """Layers made of layers, to two depths."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = composites.Causal(name="inner")

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return self.inner(x)


def test_shapes_that_a_layer_tells_wrong_are_known_behind_it(tmp_path):
    short, long = keras.Input((3, 4), name="a"), keras.Input((5, 4), name="b")
    x = Misleading(name="misleading")(short, long)
    x = Nested(name="nested")(x)
    x = layers.Dense(4, name="free")(x)
    model = nets.randomized(keras.Model([short, long], layers.Dense(2)(x)))
    plan = {"nested/inner/up": [0], "free": [1]}
    kept_when_saved(model, plan, tmp_path)


@keras.saving.register_keras_serializable("test_composites")
class Turned(layers.Layer):
    def call(self, x):
        return -x

    def compute_output_shape(self, shape):
        return shape


@keras.saving.register_keras_serializable("test_composites")
class BothTurned(Turned):
    """Its shape inference is that of a class which returns one tensor."""

    def call(self, x, y):
        return -x, -y


@keras.saving.register_keras_serializable("test_composites")
class Rotating(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.turned = BothTurned()
        self.first, self.second = (layers.Dense(4, name=n) for n in ("first", "second"))

    def build(self, shape):
        self.first.build(shape)
        self.second.build(shape)

    def call(self, x):
        first, second = self.turned(self.first(x), self.second(x))
        return first * second

    def compute_output_shape(self, shape):
        return (*shape[:-1], 4)


def test_shapes_are_not_told_by_a_class_above_that_of_the_call(tmp_path):
    x = inputs = keras.Input((5,))
    x = Rotating(name="rotating")(x)
    model = keras.Model(inputs, layers.Dense(nets.CLASSES, name="logits")(x))
    model = nets.randomized(model)
    assert [space.name for space in trace(model).growable] == ["rotating/first"]
    kept_when_saved(model, {"rotating/first": [0, 2]}, tmp_path)


@keras.saving.register_keras_serializable("test_composites")
class Perceptron(layers.Layer):
    """Its call does not ask whether this is training."""

    def __init__(self, **options):
        super().__init__(**options)
        self.up, self.down = layers.Dense(5, name="up"), layers.Dense(4, name="down")

    def build(self, shape):
        self.up.build(shape)
        self.down.build((*shape[:-1], 5))

    def call(self, x):
        return self.down(ops.tanh(self.up(x)))

    def compute_output_shape(self, shape):
        return shape


@keras.saving.register_keras_serializable("test_composites")
class Telling(layers.Layer):
    """It tells a layer that does not ask; Keras lets it."""

    def __init__(self, **options):
        super().__init__(**options)
        self.inner = Perceptron(name="inner")

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x, training=None):
        return x + self.inner(x, training=training)

    def compute_output_shape(self, shape):
        return shape


def test_layers_that_do_not_ask_are_not_told_that_this_is_training(tmp_path):
    x = inputs = keras.Input((4,))
    x = Telling(name="telling")(x)
    model = nets.randomized(keras.Model(inputs, layers.Dense(nets.CLASSES)(x)))
    assert [space.name for space in trace(model).growable] == ["telling/inner/up"]
    kept_when_saved(model, {"telling/inner/up": [0, 2]}, tmp_path)


@keras.saving.register_keras_serializable("test_composites")
class Shifted(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.up, self.down = layers.Dense(5, name="up"), layers.Dense(4, name="down")

    def build(self, x_shape, number_shape):
        self.up.build(x_shape)
        self.down.build((*x_shape[:-1], 5))

    def call(self, x, number):
        return number * self.down(ops.tanh(self.up(x)))

    def compute_output_shape(self, x_shape, number_shape):
        return x_shape


def test_what_is_inside_may_read_a_number():
    x = inputs = keras.Input((4,))
    x = Shifted(name="shifted")(x, x[0, 0])
    model = nets.randomized(keras.Model(inputs, layers.Dense(nets.CLASSES)(x)))
    x = nets.images(model)
    grown = split(model, SplitPlan({"shifted/up": [0]}), epsilon=0.0, verify=x)
    assert nets.difference(nets.outputs(model, x), nets.outputs(grown, x)) < 1e-5


def test_normalization_inside_stays_adapted():
    class Prepared(layers.Layer):
        def __init__(self, **options):
            super().__init__(**options)
            self.normalize = layers.Normalization()

        def build(self, shape):
            self.normalize.build(shape)

        def call(self, x):
            return self.normalize(x)

    inputs = keras.Input((5,))
    prepared = Prepared(name="prepared")
    x = layers.Dense(4, name="free")(prepared(inputs))
    model = keras.Model(inputs, layers.Dense(2)(x))
    data = 3 + 2 * np.random.default_rng(0).standard_normal((64, 5))
    prepared.normalize.adapt(data)
    grown = split(model, SplitPlan({"free": [0]}), epsilon=0.0, verify=data)
    assert type(grown.get_layer("prepared")) is Prepared
    assert nets.difference(nets.outputs(model, data), nets.outputs(grown, data)) < 1e-6


def test_a_scaled_model_is_opened_too():
    model = ready("residual")
    wide = scale(model, target_macs=4 * count_macs(model))
    assert isinstance(wide.get_layer("block"), keras.Model)
    assert trace(wide).space("block/conv").width > 8


@keras.saving.register_keras_serializable("test_composites")
class Named(layers.Layer):
    """A function that Keras cannot find by its name, and an argument too many."""

    def __init__(self, **options):
        super().__init__(**options)
        self.up = layers.Dense(5, name="up")
        self.function = layers.Activation(lambda x: x * ops.sigmoid(x), name="swish")
        self.drop = Drop(name="drop")

    def build(self, shape):
        self.up.build(shape)
        self.built = True

    def call(self, x, training=None):
        return self.drop(self.function(self.up(x)), training=training)


@keras.saving.register_keras_serializable("test_composites")
class Drop(layers.Identity):
    """Its shape inference does not take what its call takes."""

    def call(self, x, training=None):
        return 2 * x


def test_what_is_inside_and_does_not_stand_alone_is_opened_too(tmp_path):
    model = holding(Named(name="named"))
    plan = {"named/up": [0], "free": [1]}
    x = nets.images(model)
    grown = split(model, SplitPlan(plan), epsilon=0.0, verify=x)
    named = grown.get_layer("named")
    assert isinstance(named.get_layer("swish"), keras.Model)
    assert isinstance(named.get_layer("drop"), keras.Model)
    grown.save(tmp_path / "grown.keras")
    loaded = keras.saving.load_model(tmp_path / "grown.keras")
    assert nets.difference(nets.outputs(model, x), nets.outputs(loaded, x)) < 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("name", ["weightless", "gated"])
def test_what_was_opened_loads_without_the_class(name, tmp_path):
    model = ready(name)
    plan = SplitPlan({space.name: [0] for space in trace(model).growable})
    grown = split(model, plan, epsilon=0.0)
    grown.save(tmp_path / "grown.keras")
    x = nets.images(model)
    np.savez(tmp_path / "x.npz", *(x if isinstance(x, list) else [x]))
    script = (
        "import sys, keras, numpy\n"
        "model = keras.saving.load_model(sys.argv[1] + '/grown.keras')\n"
        "arrays = numpy.load(sys.argv[1] + '/x.npz')\n"
        "x = [arrays[name] for name in arrays.files]\n"
        "y = model(x if len(x) > 1 else x[0])\n"
        "assert 'tf_splitting' not in sys.modules\n"
        "numpy.save(sys.argv[1] + '/y.npy', keras.ops.convert_to_numpy(y))\n"
    )
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True)
    found = np.load(tmp_path / "y.npy")
    assert nets.difference(nets.outputs(model, x), found) < 1e-5
