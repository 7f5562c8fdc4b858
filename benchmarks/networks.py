"""The small networks that the estimator benchmarks measure, trained on CIFAR-100.

Between them they have what makes neurons differ: smooth activations and ReLUs,
depthwise convolutions, linear bottlenecks, residual streams, pooling.

    python benchmarks/networks.py --data_dir=DIR [--networks v1_swish vgg]

trains them all and keeps them; `DIR` holds CIFAR-100 in TFDS format.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
from keras import layers
from shared import add_data_flags, cifar100

from tf_splitting import data, models
from tf_splitting.support import appearing
from tf_splitting.training import CosineDecay

CACHE = Path(__file__).parent / "cache"
EPOCHS = 8
SHAPE = (32, 32, 3)
STAGES = (8, 16, 32)
BLOCKS = 3
VGG_WIDTHS = (12, 12, 24, 24, 48, 48)


def mobilenet_v1(classes: int, activation: str) -> keras.Model:
    """MobileNetV1 of the paper's CIFAR-100 seed."""
    return models.build(
        "mobilenet_v1",
        input_shape=SHAPE,
        classes=classes,
        widths="cifar_seed",
        activation=activation,
    )


def mobilenet_v2(classes: int) -> keras.Model:
    """MobileNetV2: bottlenecks without activation, tied by residual Adds."""
    return models.build(
        "mobilenet_v2",
        input_shape=SHAPE,
        classes=classes,
        widths="seed",
        width_multiplier=0.35,
        divisor=4,
        output_stride=16,
    )


def resnet20(classes: int) -> keras.Model:
    """ResNet-20 (He et al., arXiv 1512.03385), half as wide, its stem of stride 2."""
    inputs = keras.Input(SHAPE)
    x = _convolution(_rescaled(inputs), STAGES[0], strides=2)
    for width in STAGES:
        for block in range(BLOCKS):
            strides = 2 if width != STAGES[0] and block == 0 else 1
            entry = x
            x = _convolution(x, width, strides=strides)
            x = _convolution(x, width, activation=None)
            if entry.shape[-1] != width:
                entry = _convolution(entry, width, 1, strides, activation=None)
            x = layers.ReLU()(layers.Add()([entry, x]))
    return _classifier(inputs, x, classes, "resnet20")


def vgg(classes: int) -> keras.Model:
    """Pairs of 3x3 convolutions between poolings, as Simonyan and Zisserman's VGG."""
    inputs = keras.Input(SHAPE)
    x = _rescaled(inputs)
    for number, width in enumerate(VGG_WIDTHS):
        if number and number % 2 == 0:
            x = layers.MaxPooling2D()(x)
        x = _convolution(x, width)
    return _classifier(inputs, x, classes, "vgg")


def _rescaled(inputs: keras.KerasTensor) -> keras.KerasTensor:
    return layers.Rescaling(1 / 127.5, -1)(inputs)


def _convolution(
    x: keras.KerasTensor,
    width: int,
    size: int = 3,
    strides: int = 1,
    activation: str | None = "relu",
) -> keras.KerasTensor:
    x = layers.Conv2D(width, size, strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.Activation(activation)(x) if activation else x


def _classifier(
    inputs: keras.KerasTensor, x: keras.KerasTensor, classes: int, name: str
) -> keras.Model:
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(classes)(x), name=name)


NETWORKS: dict[str, Callable[[int], keras.Model]] = {
    "v1_swish": lambda classes: mobilenet_v1(classes, "swish"),
    "v1_relu6": lambda classes: mobilenet_v1(classes, "relu6"),
    "v2": mobilenet_v2,
    "resnet20": resnet20,
    "vgg": vgg,
}


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Those that say which networks, and how they are trained."""
    add_data_flags(parser)
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--cache", default=CACHE, help="keeps trained networks")
    parser.add_argument("--seed", type=int, default=0)


def trained(
    name: str, arguments: argparse.Namespace
) -> tuple[keras.Model, data.ImageData]:
    """A trained network, compiled, and the images that it was trained on.

    Trained by Adam at 3e-3, decaying along a cosine; taken from the cache, which keeps
    a `.keras` file for each set of flags, if it was trained before.

    Args:
        name: one of `NETWORKS`.
        arguments: values of the flags of `add_flags`.
    """
    images = cifar100(arguments, arguments.seed)
    path = Path(arguments.cache) / (
        f"{name}_images{arguments.images}_epochs{arguments.epochs}"
        f"_seed{arguments.seed}.keras"
    )
    if not path.exists():
        keras.utils.set_random_seed(arguments.seed)
        model = NETWORKS[name](images.classes)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(3e-3), loss, metrics=["accuracy"])
        train(model, images, arguments.epochs)
        with appearing(path) as temporary:
            model.save(temporary)
    return keras.models.load_model(path), images


def train(model: keras.Model, images: data.ImageData, epochs: int) -> None:
    """Trains while the learning rate decays along a cosine."""
    model.fit(
        images.train,
        epochs=epochs,
        callbacks=[CosineDecay(epochs)],
        shuffle=False,
        verbose=2,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_flags(parser)
    arguments = parser.parse_args()
    for name in arguments.networks:
        start = time.perf_counter()
        model, images = trained(name, arguments)
        taken = time.perf_counter() - start
        measured = model.evaluate(images.test, verbose=0, return_dict=True)
        print(
            f"{name}: {model.count_params()} parameters, test accuracy "
            f"{measured['accuracy']:.3f}, {taken:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
