"""Tunes the settings of growth with KerasTuner.

    pip install keras-tuner
    python examples/tune_growth.py --trials=8 --folder=tuning

Every trial grows the same seed to the same budget with as much training compute, and
differs in the learning rate and in how growth goes about it: by which method, how much
of the compute is spent before the last split, how far one round may widen a layer. A
trial that is interrupted goes on where it was when the script is started again. The
best model ends up in `best.keras`.
"""

import argparse
from pathlib import Path

import keras
import keras_tuner

import tf_splitting
from tf_splitting.exporting import write_report


def seed(learning_rate: float) -> keras.Model:
    """A small classifier of 28 x 28 images, badly shaped on purpose."""
    convolution = {"strides": 2, "padding": "same", "activation": "swish"}
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 3, **convolution, name="conv1"),
            keras.layers.Conv2D(8, 3, **convolution, name="conv2"),
            keras.layers.Conv2D(8, 3, **convolution, name="conv3"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(10, name="logits"),
        ],
        name="seed",
    )
    model.compile(
        keras.optimizers.Adam(learning_rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


class GrowthTuner(keras_tuner.RandomSearch):
    """A trial is one call of `grow`; what it is judged by is the model that comes out.

    `RandomSearch` may be any other oracle: `BayesianOptimization`, for one.
    """

    def run_trial(self, trial, images, folder, epochs):
        settings = trial.hyperparameters
        rate = settings.Float("learning_rate", 1e-3, 1e-2, sampling="log")
        keras.utils.clear_session()
        model = seed(rate)
        target = 4 * tf_splitting.count_macs(model)
        history = tf_splitting.GrowthHistory()
        workdir = folder / f"trial-{trial.trial_id}"
        grown = tf_splitting.grow(
            model,
            images,
            target_macs=target,
            training_epochs=epochs,
            growing_share=settings.Float("growing_share", 0.2, 0.8),
            max_growth=settings.Choice("max_growth", [1.5, 2.0, 4.0]),
            method=settings.Choice("method", ["splitting", "candidates", "uniform"]),
            validation_data=images.test,
            checkpoint_dir=workdir / "checkpoints",
            history=history,
            verbose=0,
        )
        grown.save(workdir / "grown.keras")
        write_report(history, workdir / "report.html")
        return {"val_accuracy": history.epochs[-1]["val_accuracy"]}


def tune(folder: Path, *, trials: int, epochs: float) -> keras.Model:
    """Runs the trials that are missing, and returns the best model."""
    images = tf_splitting.data.load("fashion_mnist_small", channels=1)
    tuner = GrowthTuner(
        objective=keras_tuner.Objective("val_accuracy", "max"),
        max_trials=trials,
        seed=0,
        directory=folder,
        project_name="oracle",
    )
    tuner.search(images=images, folder=folder, epochs=epochs)
    tuner.results_summary(num_trials=3)
    (best,) = tuner.oracle.get_best_trials(1)
    return keras.saving.load_model(folder / f"trial-{best.trial_id}" / "grown.keras")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("tuning"))
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--epochs", type=float, default=8, help="compute of each")
    given = parser.parse_args()
    tune(given.folder, trials=given.trials, epochs=given.epochs).save("best.keras")
