"""The MobileNets, against hand counts and against keras.applications."""

import math

import keras
import numpy as np
import pytest

from tf_splitting import models
from tf_splitting.errors import ModelError, UnknownNameError
from tf_splitting.models import v1, v2
from tf_splitting.models.widths import make_divisible

# Keras 3.15 copies arrays by NumPy 1's protocol when it saves, and NumPy 2 warns.
pytestmark = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning"
)

APPLICATIONS = {
    "mobilenet_v1": keras.applications.MobileNet,
    "mobilenet_v2": keras.applications.MobileNetV2,
}


def count_macs(model: keras.Model) -> int:
    """Kernel size times output positions, summed over the weight layers."""
    macs = 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            macs += math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
        elif isinstance(layer, keras.layers.Dense):
            macs += math.prod(layer.kernel.shape)
    return macs


def described(model: keras.Model) -> list[tuple]:
    """Name, type and shape of all layers but those whose names Keras numbers."""
    made_up = ("input_layer", "image", "global_average_pooling2d")
    return [
        (layer.name, type(layer), layer.output.shape)
        for layer in model.layers
        if not layer.name.startswith(made_up)
    ]


def outputs(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Predictions without the graph that `predict` would compile for one call."""
    return keras.ops.convert_to_numpy(model(images, training=False))


def randomize(model: keras.Model, seed: int = 0) -> None:
    """Random BN statistics and scales: fresh ones would hide a wrong epsilon."""
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights(
                [rng.uniform(0.5, 1.5, weight.shape) for weight in layer.weights]
            )


@pytest.mark.parametrize(
    ("name", "options", "macs"),
    [
        ("mobilenet_v1", {"widths": "full"}, 0.569),
        pytest.param(
            *("mobilenet_v1", {"widths": "full", "width_multiplier": 0.5}, 0.149),
            marks=pytest.mark.slow,
        ),
        ("mobilenet_v1", {"widths": "seed"}, 0.059),
        ("mobilenet_v2", {"widths": "full"}, 0.301),
        pytest.param(
            *("mobilenet_v2", {"widths": "full", "width_multiplier": 0.5}, 0.097),
            marks=pytest.mark.slow,
        ),
        ("mobilenet_v2", {"widths": "seed"}, 0.038),
        pytest.param(
            *("mobilenet_v2", {"widths": "seed", "shortcut": "conv"}, 0.039),
            marks=pytest.mark.slow,
        ),
    ],
)
def test_macs_are_the_published_ones(name, options, macs):
    assert round(count_macs(models.build(name, **options)) / 1e9, 3) == macs


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "multiplier", "side"),
    [
        ("mobilenet_v1", 0.75, 48),
        ("mobilenet_v1", 1.0, 33),
        ("mobilenet_v2", 0.75, 33),
        ("mobilenet_v2", 1.0, 32),
    ],
)
def test_full_networks_are_those_of_keras_applications(name, multiplier, side):
    shape = (side, side, 3)
    source = APPLICATIONS[name](
        input_shape=shape, alpha=multiplier, weights=None, classes=7
    )
    randomize(source)
    model = models.build(
        name,
        input_shape=shape,
        classes=7,
        widths="full",
        width_multiplier=multiplier,
        activation="relu6",
        rescale=False,
        classifier_activation="softmax",
        output_stride=32,
    )
    assert described(model) == described(source)
    report = models.load_application_weights(model, source)
    assert report.skipped == {}
    images = np.random.default_rng(1).uniform(-1, 1, (2, *shape)).astype("float32")
    np.testing.assert_allclose(
        outputs(model, images), outputs(source, images), atol=1e-5
    )


@pytest.mark.exhaustive
def test_raw_pixels_give_what_scaled_pixels_give_without_rescaling():
    options = {"input_shape": (32, 32, 3), "classes": 4, "widths": "cifar_seed"}
    raw = models.mobilenet_v1(**options)
    scaled = models.mobilenet_v1(**options, rescale=False)
    scaled.set_weights(raw.get_weights())
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3))
    pixels = pixels.astype("float32")
    expected = keras.applications.mobilenet.preprocess_input(pixels.copy())
    np.testing.assert_allclose(
        outputs(raw, pixels), outputs(scaled, expected), atol=1e-6
    )


def test_the_cifar_seed_is_the_papers():
    model = models.mobilenet_v1((32, 32, 3), 100, widths="cifar_seed")
    assert count_macs(model) == 552_672
    assert model.get_layer("conv1").strides == (1, 1)
    assert model.get_layer("conv_pw_13").output.shape == (None, 2, 2, 32)


@pytest.mark.parametrize(
    ("name", "side", "output_stride", "last"),
    [
        ("mobilenet_v1", 224, None, 7),
        ("mobilenet_v1", 32, None, 2),
        ("mobilenet_v1", 32, 8, 4),
        pytest.param("mobilenet_v2", 96, None, 3, marks=pytest.mark.slow),
        ("mobilenet_v2", 32, None, 4),
        pytest.param("mobilenet_v2", 32, 1, 32, marks=pytest.mark.slow),
    ],
)
def test_small_images_keep_resolution(name, side, output_stride, last):
    model = models.build(
        name, input_shape=(side, side, 3), classes=5, output_stride=output_stride
    )
    pooling = model.get_layer("global_average_pooling2d")
    assert pooling.input.shape[1:3] == (last, last)


def test_defaults_are_swish_and_logits():
    model = models.mobilenet_v2((32, 32, 1), classes=3)
    assert model.get_layer("Conv1_relu").activation is keras.activations.silu
    assert model.get_layer("predictions").activation is keras.activations.linear


@pytest.mark.exhaustive
def test_dropout_is_a_layer_only_where_asked_for():
    def dropouts(**options):
        model = models.mobilenet_v2((32, 32, 3), classes=3, **options)
        found = [x for x in model.layers if isinstance(x, keras.layers.Dropout)]
        return [layer.rate for layer in found]

    assert dropouts() == []
    assert dropouts(dropout=0.2) == [0.2]


def test_weight_decay_has_the_gradient_of_sgds_option():
    model = models.mobilenet_v1(
        (32, 32, 3), classes=3, widths="cifar_seed", weight_decay=0.1
    )
    kernel = model.get_layer("conv_pw_1").kernel
    penalty = model.get_layer("conv_pw_1").losses[0]
    # d/dw (0.1 / 2 * w^2) = 0.1 * w
    np.testing.assert_allclose(penalty, 0.05 * np.sum(np.square(kernel)), rtol=1e-5)
    assert len(model.losses) == 15
    assert not model.get_layer("conv_dw_1").losses


@pytest.mark.slow
def test_conv_shortcuts_leave_widths_free_and_identity_ones_do_not():
    widths = list(v2.WIDTHS["seed"])
    widths[v2.WIDTH_LAYERS.index("block_5_project")] = 13
    model = models.mobilenet_v2((32, 32, 3), 3, widths=widths, shortcut="conv")
    assert model.get_layer("block_5_shortcut").output.shape[-1] == 13
    with pytest.raises(ModelError, match=r"block_5_project has width 13.*has 11"):
        models.mobilenet_v2((32, 32, 3), 3, widths=widths)


def test_widths_are_used_in_the_documented_order():
    widths = list(range(3, 17))
    model = models.mobilenet_v1((32, 32, 3), 3, widths=widths)
    assert [model.get_layer(name).filters for name in v1.WIDTH_LAYERS] == widths


def test_a_divisor_rounds_the_seed_as_well():
    model = models.mobilenet_v2((32, 32, 3), 3, divisor=8)
    assert [model.get_layer(n).filters for n in v2.WIDTH_LAYERS[:4]] == [16, 8, 40, 8]
    assert make_divisible(90, 8) == 88


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": [8] * 13}, "13 entries; expected 14"),
        ({"widths": [8] * 13 + [0]}, r"widths\[13\]=0.*'conv_pw_13'"),
        ({"width_multiplier": 0}, "width_multiplier=0"),
        ({"divisor": 0}, "divisor=0"),
        ({"output_stride": 3}, r"one of \[1, 2, 4, 8, 16, 32\]"),
        ({"input_shape": (None, None, 3)}, "must be fixed"),
        ({"classes": 0}, "classes=0"),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"weight_decay": -1}, "weight_decay=-1"),
    ],
)
def test_arguments_that_make_no_network_are_refused(options, message):
    with pytest.raises(ModelError, match=message):
        models.mobilenet_v1(**{"input_shape": (32, 32, 3), **options})


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: models.build("mobilnet_v2"), "did you mean 'mobilenet_v2'"),
        (lambda: models.mobilenet_v1(widths="sed"), "did you mean 'seed'"),
        (lambda: models.mobilenet_v2(shortcut="convolution"), "did you mean 'conv'"),
    ],
)
def test_unknown_names_name_the_nearest(build, message):
    with pytest.raises(UnknownNameError, match=message):
        build()


@pytest.mark.exhaustive
def test_saved_models_load_without_custom_objects(tmp_path):
    model = models.mobilenet_v1((32, 32, 3), classes=3, widths="cifar_seed")
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3))
    np.testing.assert_allclose(
        outputs(model, pixels), outputs(loaded, pixels), atol=1e-6
    )
