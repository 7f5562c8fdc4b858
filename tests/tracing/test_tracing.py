"""Channel spaces of known networks, ties, and the reasons why spaces are frozen."""

import keras
import nets
import pytest
from keras import layers

from tf_splitting import SplitPlan, split, trace
from tf_splitting.errors import ModelError, PlanError
from tf_splitting.tracing.layout import size


def spaces(model):
    return {space.name: space for space in trace(model).spaces}


def growable(model):
    return [space.name for space in trace(model).growable]


def test_mobilenet():
    graph = trace(keras.applications.MobileNet((32, 32, 3), weights=None))
    names = ["conv1", *(f"conv_pw_{i}" for i in range(1, 14))]
    assert [space.name for space in graph.growable] == names
    assert graph.space("conv1").consumers == ("conv_pw_1",)
    assert "output of the model" in graph.space("conv_preds").frozen
    assert [s.width for s in graph.growable][:4] == [32, 64, 128, 128]


def test_mobilenet_v2_ties_its_residual_streams():
    graph = trace(keras.applications.MobileNetV2((32, 32, 3), weights=None))
    assert len(graph.growable) == 25
    stream = graph.space("block_6_project")
    assert stream.producers == tuple(f"block_{i}_project" for i in (6, 7, 8, 9))
    assert stream.consumers == tuple(f"block_{i}_expand" for i in (7, 8, 9, 10))
    streams = [s for s in graph.growable if s.name.endswith("project")]
    assert [s.width for s in streams] == [16, 24, 32, 64, 96, 160, 320]
    assert [len(s.producers) for s in streams] == [1, 2, 3, 4, 3, 3, 1]


def test_resnet50_ties_a_stage():
    graph = trace(keras.applications.ResNet50(input_shape=(32, 32, 3), weights=None))
    assert len(graph.growable) == 1 + 2 * 16 + 4
    stage = graph.space("conv3_block1_3_conv")
    assert stage.width == 512
    assert set(stage.producers) == {
        "conv3_block1_0_conv",
        *(f"conv3_block{i}_3_conv" for i in (1, 2, 3, 4)),
    }
    assert "conv4_block1_0_conv" in stage.consumers


def test_vgg16():
    graph = trace(keras.applications.VGG16(input_shape=(32, 32, 3), weights=None))
    assert len(graph.growable) == 13 + 2
    assert graph.space("block5_conv3").consumers == ("fc1",)


def test_inputs_and_outputs_are_frozen_with_a_reason():
    found = {name: space.frozen for name, space in spaces(nets.dense()).items()}
    assert found.pop("logits") == "it is an output of the model"
    assert found.pop("first") is None
    assert found.pop("second") is None
    assert list(found.values()) == ["it is an input of the model"]


@pytest.mark.parametrize("name", nets.ALL)
def test_names_are_stable(name):
    model = nets.ALL[name]()
    assert [*spaces(model)] == [*spaces(model)]
    assert [*spaces(split(model, SplitPlan()))] == [*spaces(model)]


def test_a_convolution_that_reads_and_writes_its_space():
    stem = spaces(nets.residual())["stem"]
    assert stem.producers == ("stem", "mix")
    assert stem.consumers == ("mix", "after")
    assert stem.frozen is None


def test_concatenate_joins_without_tying():
    found = spaces(nets.concatenate())
    assert found["left"].width == 3
    assert found["right"].width == 2
    assert found["left"].consumers == found["right"].consumers == ("after",)


def test_concatenate_along_positions_ties():
    inputs = keras.Input((4, 2))
    a = layers.Conv1D(3, 1, name="a")(inputs)
    b = layers.Conv1D(3, 1, name="b")(inputs)
    x = layers.Conv1D(2, 1, name="out")(layers.Concatenate(axis=1)([a, b]))
    assert spaces(keras.Model(inputs, x))["a"].producers == ("a", "b")


def between(*middle, width=4):
    """Dense `before`, the layers under test, Dense `after`."""
    x = inputs = keras.Input((3, 5))
    x = layers.Dense(width, name="before")(x)
    for layer in middle:
        x = layer(x)
    return keras.Model(inputs, layers.Dense(2, name="after")(x))


class Shuffle(layers.Layer):
    """A channel shuffle: nobody has described it, nor can anybody look inside."""

    def build(self, shape):
        self.order = self.add_weight(shape=(shape[-1],), dtype="int32")

    def call(self, x):
        return keras.ops.take(x, self.order, axis=-1)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (Shuffle(name="shuffle"), "nothing is known about 'shuffle' of type Shuffle"),
        (layers.Softmax(name="soft"), "'soft'"),
        (layers.Activation("softmax", name="soft"), "activation 'softmax' of 'soft'"),
        (layers.LayerNormalization(name="norm"), "'norm' normalizes over the channels"),
        (layers.BatchNormalization(axis=1, name="bn"), "'bn' normalizes an axis"),
        (layers.Reshape((4, 3), name="fold"), "'fold' folds channels"),
        (layers.Permute((2, 1), name="turn"), "'after' mixes an axis that is not"),
        (layers.GroupNormalization(2, name="norm"), "'norm' normalizes over the"),
        (layers.Rescaling([1.0, 2.0, 3.0, 4.0], name="own"), "number of its own"),
    ],
)
def test_layers_that_couple_channels_freeze_them_by_name(layer, reason):
    graph = trace(between(layer))
    assert reason in graph.space("before").frozen


def test_a_fused_softmax_freezes_what_it_mixes():
    model = between(layers.Dense(4, activation="softmax", name="mixed"))
    assert "'softmax' of 'mixed'" in spaces(model)["mixed"].frozen
    assert spaces(model)["before"].frozen is None


def test_operations_without_a_layer_freeze():
    x = inputs = keras.Input((5,))
    x = keras.ops.argsort(layers.Dense(4, name="before")(x), 1)
    model = keras.Model(inputs, layers.Dense(2)(x))
    frozen = spaces(model)["before"].frozen
    assert "nothing is known" in frozen
    assert frozen.endswith("of type Argsort")


def test_a_tie_with_a_concatenation_cuts_the_other_side():
    inputs = keras.Input((5,))
    a, b, c = (layers.Dense(n, name=f"of_{n}")(inputs) for n in (2, 3, 5))
    x = layers.Add()([layers.Concatenate()([a, b]), c])
    graph = trace(keras.Model(inputs, layers.Dense(2)(x)))
    assert {s.name: (s.width, s.producers) for s in graph.growable} == {
        "of_2": (2, ("of_2", "of_5")),
        "of_3": (3, ("of_3", "of_5")),
    }


def grouped(*widths, groups):
    """A convolution in groups that reads several layers' outputs end to end."""
    inputs = keras.Input((6, 5))
    made = [layers.Dense(n, name=f"of_{n}")(inputs) for n in widths]
    x = layers.Concatenate()(made)
    x = layers.Conv1D(groups, 1, groups=groups, name="grouped")(x)
    return trace(keras.Model(inputs, layers.Dense(2, name="after")(x)))


def test_a_whole_group_is_a_neuron():
    graph = grouped(6, 3, groups=3)
    assert {s.name: s.width for s in graph.growable} == {"of_6": 2, "of_3": 1}
    assert graph.space("of_6").consumers == ("after",)


def test_groups_that_read_two_spaces_freeze_these_alone():
    graph = grouped(6, 4, 2, groups=4)
    assert [s.name for s in graph.growable] == ["of_6"]
    for name in ("of_4", "of_2"):
        assert "'grouped' ties channels in bundles" in graph.space(name).frozen


def test_groups_of_sizes_that_do_not_divide_freeze():
    inputs = keras.Input((6, 5))
    x = layers.Dense(12, name="first")(inputs)
    for groups in (2, 3):
        x = layers.Conv1D(12, 1, groups=groups, name=f"in_{groups}")(x)
    graph = trace(keras.Model(inputs, layers.Dense(2)(x)))
    assert "'in_3' ties channels that are laid out" in graph.space("first").frozen


def test_halves_that_gate_each_other_are_one_space():
    """Wherever a concatenation is cut in half."""
    inputs = keras.Input((5,))
    made = [layers.Dense(n, name=f"of_{n}")(inputs) for n in (3, 5)]
    gate, value = keras.ops.split(layers.Concatenate()(made), 2, axis=-1)
    graph = trace(keras.Model(inputs, layers.Dense(2, name="after")(gate * value)))
    assert sum(space.width for space in graph.growable) == 4
    for weight in graph.weights:
        for use in weight.axes:
            assert weight.variable.shape[use.axis] == size(use.layout, graph.widths)


def test_channels_padded_with_other_than_zeros_freeze():
    x = inputs = keras.Input((3, 5))
    x = layers.Dense(4, name="before")(x)
    x = keras.ops.pad(x, [[0, 0], [0, 0], [0, 1]], mode="reflect")
    graph = trace(keras.Model(inputs, layers.Dense(2)(x)))
    assert "pads the channels with other" in graph.space("before").frozen


def test_a_tie_of_a_concatenation_with_itself_turned_round():
    inputs = keras.Input((5,))
    a, b = (layers.Dense(n, name=f"of_{n}")(inputs) for n in (2, 3))
    x = layers.Add()([layers.Concatenate()([a, b]), layers.Concatenate()([b, a])])
    graph = trace(keras.Model(inputs, layers.Dense(2)(x)))
    # Channels 0 2 4 1 3 are one cycle: a single neuron, five times.
    assert [(s.width, set(s.producers)) for s in graph.growable] == [
        (1, {"of_2", "of_3"})
    ]


def summed(repeated, other, times):
    """A sum of channels repeated so many times with others, repeated or not."""
    inputs = keras.Input((3, 3, 2))
    a = layers.Conv2D(repeated, 1, name="repeated")(inputs)
    a = layers.DepthwiseConv2D(1, depth_multiplier=times)(a)
    b = layers.Conv2D(other, 1, name="other")(inputs)
    b = layers.DepthwiseConv2D(1, depth_multiplier=repeated * times // other)(b)
    x = layers.GlobalAveragePooling2D()(layers.Add(name="sum")([a, b]))
    return nets.randomized(keras.Model(inputs, layers.Dense(2)(x)))


def test_a_tie_of_repeated_channels_makes_one_of_several():
    model = summed(2, 4, 2)
    (space,) = trace(model).growable
    assert set(space.producers) == {"repeated", "other"}
    assert space.width == 2
    grown = split(model, SplitPlan({space.name: [1]}), epsilon=0.0)
    assert grown.get_layer("other").filters == 6
    x = nets.images(model)
    assert nets.difference(nets.outputs(model, x), nets.outputs(grown, x)) < 1e-5


def test_a_tie_of_channels_repeated_differently_freezes():
    found = spaces(summed(3, 2, 2))
    for name in ("repeated", "other"):
        assert "'sum' ties channels that are laid out" in found[name].frozen


def test_adding_a_model_input_freezes():
    x = inputs = keras.Input((5,))
    x = layers.Add()([layers.Dense(5, name="tied")(x), inputs])
    model = keras.Model(inputs, layers.Dense(2)(x))
    assert "tied" not in growable(model)


def test_a_frozen_neighbour_does_not_freeze_the_rest():
    assert growable(nets.conv_bn()) == ["conv_1", "conv_2"]


def test_shared_layers_tie_their_calls():
    found = spaces(nets.shared())
    assert found["twice"].producers == ("twice", "again")
    assert found["twice"].consumers == ("again", "logits")


def test_the_table_can_be_read():
    lines = str(trace(nets.residual())).splitlines()
    assert lines[0].split("  ")[0] == "space"
    (stem,) = [line for line in lines if line.startswith("stem")]
    assert stem.split() == ["stem", "5", "stem,", "mix", "mix,", "after"]
    assert any("it is an output of the model" in line for line in lines)


def test_unknown_spaces_are_refused_with_the_known_ones():
    with pytest.raises(PlanError, match=r"no channel space 'x'.*'first', 'second'"):
        trace(nets.dense()).space("x")


def test_a_subclassed_model_is_refused():
    class Hidden(keras.Model):
        pass

    with pytest.raises(ModelError, match="Hidden"):
        trace(Hidden())


def shared_layers():
    """Layers called twice in ways that do not fit together."""
    turn = layers.Permute((2, 1))
    nested_in = keras.Input((3, 3))
    nested = keras.Model(nested_in, layers.ReLU()(nested_in))
    slopes = layers.PReLU(shared_axes=[1])
    dense = layers.Dense(3, name="twice")
    soft = layers.Softmax(axis=1)
    return {
        "nested": lambda a: [nested(a), turn(nested(turn(a)))],
        "slopes": lambda a: [slopes(a), turn(slopes(turn(a)))],
        "dense": lambda a: [dense(a), dense(turn(a))],
        "softmax": lambda a: [soft(a), turn(soft(turn(a)))],
    }


@pytest.mark.parametrize("name", shared_layers())
def test_calls_of_one_layer_that_do_not_agree_freeze(name):
    inputs = keras.Input((3, 2))
    a = layers.Dense(3, name="before")(inputs)
    x = layers.Add()(shared_layers()[name](a))
    model = keras.Model(inputs, layers.Dense(2)(x))
    graph = trace(model)
    assert "before" not in {space.name for space in graph.growable}
    split(model, nets.random_plan(graph, share=0.5), verify=nets.images(model))


def test_a_config_of_a_layer_called_twice_ties_both_calls():
    inputs = keras.Input((2,))
    a, b = (layers.Dense(3, name=name)(inputs) for name in "ab")
    reshape = layers.Reshape((1, 3))
    x = layers.Concatenate()([reshape(a), reshape(b)])
    (space,) = trace(keras.Model(inputs, layers.Dense(2)(x))).growable
    assert set(space.producers) == {"a", "b"}
