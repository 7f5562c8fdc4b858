"""A small preset of KerasHub, where that is installed."""

import warnings

import pytest


def keras_hub():
    """The package; skips the test without it."""
    with warnings.catch_warnings():
        # What it brings along warns of what is deprecated, on import.
        warnings.simplefilter("ignore")
        return pytest.importorskip("keras_hub", reason="KerasHub is not installed")


def backbone(hub):
    return hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[3],
        stackwise_num_filters=[64, 16],
        stackwise_num_blocks=[1, 1],
        stackwise_num_strides=[1, 2],
        block_type="basic_block",
        image_shape=(None, None, 3),
    )
