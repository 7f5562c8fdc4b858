"""A job whose batches are divided over two devices, in a process of its own.

    python tests/backends/divided.py MODE RESULTS.npz

Modes: `one` device; `mirrored` over two logical CPUs (TensorFlow); `data_parallel` over
all devices, which XLA_FLAGS can simulate (JAX).
"""

import sys
from contextlib import nullcontext

import keras
import nets
import numpy as np
import scenarios

import tf_splitting
from tf_splitting.support.placement import placement_of

MODE, FILE = sys.argv[1:]


def devices():
    """What models are made in."""
    if MODE == "mirrored":
        import tensorflow as tf

        (cpu,) = tf.config.list_physical_devices("CPU")
        logical = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, logical)
        return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope()
    if MODE != "one":
        keras.distribution.set_distribution(
            keras.distribution.DataParallel(
                devices=keras.distribution.list_devices(), auto_shard_dataset=False
            )
        )
    return nullcontext()


def model():
    made = scenarios.model_of(nets.conv_bn)
    if keras.backend.backend() == "tensorflow":
        for layer in made.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.synchronized = True
    return made


def main():
    keras.utils.set_random_seed(0)
    with devices():
        seed = model()
    x, y = scenarios.examples(seed)
    scores = scenarios.estimated(seed, estimator=tf_splitting.Exact())
    found = {f"exact/{s}": np.linalg.eigvalsh(scores[s].matrices) for s in scores}
    costs = tf_splitting.estimate_removals(
        seed, (x, y), batch_size=24, sample_size=96, verbose=0
    )
    found |= {f"removal/{s}": costs[s] for s in costs}
    history = tf_splitting.GrowthHistory()
    smaller, grown = tf_splitting.grow(
        seed,
        (x, y),
        target_macs=[4_500, 6_000],
        rounds=1,
        epochs=1,
        final_epochs=2,
        batch_size=24,
        sample_size=64,
        validation_data=(x, y),
        history=history,
        verbose=0,
    )
    found["devices"] = np.array(placement_of(grown).devices)
    found["macs"] = np.array(tf_splitting.count_macs(grown))
    found["val_loss"] = np.array([e["val_loss"] for e in history.epochs])
    found |= scenarios.weights(grown)
    found |= {f"smaller/{k}": v for k, v in scenarios.weights(smaller).items()}
    np.savez(FILE, **found)


if __name__ == "__main__":
    main()
