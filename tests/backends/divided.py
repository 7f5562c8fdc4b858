"""A job whose batches are divided over two devices, in a process of its own.

    python tests/backends/divided.py MODE RESULTS.npz [ADDRESS PROCESS_ID FOLDER]

Modes: `one` device; `mirrored` over two logical CPUs (TensorFlow); `data_parallel` over
all devices, which XLA_FLAGS can simulate; `processes`, over two of them (JAX).
"""

import os
import sys
from contextlib import nullcontext
from pathlib import Path

import keras
import nets
import numpy as np
import scenarios

import tf_splitting
from tf_splitting.errors import PeerError
from tf_splitting.placement import placement_of

MODE, FILE, *SHARED = sys.argv[1:]


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


class Dies(keras.callbacks.Callback):
    """Ends the process without a word, as a machine that is gone."""

    def on_epoch_end(self, epoch, logs=None):
        if epoch == 1:
            os._exit(9)


def main():
    if MODE == "processes":
        import jax

        address, number = SHARED[:2]
        jax.distributed.initialize(address, num_processes=2, process_id=int(number))
    # JAX refuses initial weights that differ from process to process.
    keras.utils.set_random_seed(0)
    with devices():
        seed = model()
    x, y = scenarios.examples(seed)
    scores = scenarios.estimated(seed, estimator=tf_splitting.Exact())
    found = {f"exact/{s}": np.linalg.eigvalsh(scores[s].matrices) for s in scores}
    folder = Path(SHARED[2]) if len(SHARED) > 2 else None
    dies = len(SHARED) > 3 and SHARED[3] == SHARED[1]
    history = tf_splitting.GrowthHistory()
    grown = tf_splitting.grow(
        seed,
        (x, y),
        target_macs=6_000,
        rounds=1,
        epochs=1,
        final_epochs=2,
        batch_size=24,
        sample_size=64,
        validation_data=(x, y),
        checkpoint_dir=folder,
        callbacks=[Dies()] if dies else [],
        history=history,
        verbose=0,
    )
    found["devices"] = np.array(placement_of(grown).devices)
    found["macs"] = np.array(tf_splitting.count_macs(grown))
    found["val_loss"] = np.array([e["val_loss"] for e in history.epochs])
    found |= scenarios.weights(grown)
    np.savez(FILE, **found)


if __name__ == "__main__":
    try:
        main()
    except PeerError as error:
        print(error, file=sys.stderr, flush=True)
        # Leaving as usual would wait a minute and a half for the others.
        os._exit(5)
