"""From the arguments of `grow` and `train` to a job, and the job to its end."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from tf_splitting.data import divided, draw_sample, is_arrays, whole_of
from tf_splitting.errors import DataError
from tf_splitting.growing import checks
from tf_splitting.growing.rounds import Job
from tf_splitting.jobs import Keeper, describe_model, describe_training, lock, plain
from tf_splitting.support import arguments, placement_of
from tf_splitting.training import GrowthHistory, as_feed, divide, set_validation_aside

# What `fit` takes that the rounds do not set themselves.
FIT_ARGUMENTS = (
    "class_weight",
    "shuffle",
    "steps_per_epoch",
    "validation_batch_size",
    "validation_freq",
    "validation_split",
    "validation_steps",
)


@dataclass(frozen=True)
class Options:
    """What any job needs to be told; see `grow`.

    Raises:
        SplittingError: an argument is out of range.
    """

    dataset: Any
    batch_size: int | None
    validation_data: Any
    callbacks: Sequence[keras.callbacks.Callback] | None
    seed: int
    checkpoint_dir: str | Path | None
    save_steps: int | None
    verbose: int
    history: GrowthHistory | None
    fit_arguments: dict[str, Any]

    def __post_init__(self) -> None:
        arguments.whole("batch_size", self.batch_size, at_least=1, or_none=True)
        arguments.whole("seed", self.seed, at_least=0)
        arguments.verbosity(self.verbose)
        hint = "Leave it out to save after epochs only."
        arguments.whole(
            "save_steps", self.save_steps, at_least=1, or_none=True, hint=hint
        )
        if self.checkpoint_dir is not None:
            arguments.path("checkpoint_dir", self.checkpoint_dir)
        if self.history is not None:
            arguments.instance(
                "history", self.history, GrowthHistory, "a GrowthHistory"
            )
        callbacks = () if self.callbacks is None else self.callbacks
        arguments.instance(
            "callbacks", callbacks, (list, tuple, set), "a list of Keras callbacks"
        )
        for callback in callbacks:
            arguments.instance(
                "callbacks", callback, keras.callbacks.Callback, "Keras callbacks only"
            )
        fit = self.fit_arguments
        for name in fit:
            arguments.one_of("argument", name, FIT_ARGUMENTS, ", or one of its own")
        arguments.truth("shuffle", fit.get("shuffle", True))
        arguments.class_weights(fit.get("class_weight"))
        for name in ("steps_per_epoch", "validation_steps", "validation_batch_size"):
            arguments.whole(name, fit.get(name), at_least=1, or_none=True)
        share = fit.get("validation_split", 0.0)
        arguments.number("validation_split", share, at_least=0, below=1)
        frequency = fit.get("validation_freq", 1)
        if frequency is not None and not isinstance(frequency, (list, tuple, set)):
            arguments.whole("validation_freq", frequency, at_least=1)
        for epoch in frequency if isinstance(frequency, (list, tuple, set)) else ():
            arguments.whole("validation_freq", epoch, at_least=1)
        _check_validation(self.validation_data)

    def run(
        self,
        model: keras.Model,
        settings: dict[str, Any],
        *,
        sample_size: int,
        most_bytes: int | None = None,
        **job: Any,
    ) -> keras.Model:
        """Runs a job, from where it was saved if it was.

        Args:
            model: what it starts from.
            settings: what makes the job what it is, besides what is known here.
            sample_size, most_bytes: of the estimation sample, as in `draw_sample`.
            **job: what else a `Job` needs.
        """
        placement = placement_of(model)
        given = {k: v for k, v in self.fit_arguments.items() if v is not None}
        dataset, fit = set_validation_aside(
            self.dataset,
            {"validation_data": self.validation_data, **given},
        )
        class_weight = fit.get("class_weight")
        feed = as_feed(
            dataset,
            batch_size=self.batch_size,
            seed=self.seed,
            shuffle=fit.pop("shuffle", True),
            steps=fit.pop("steps_per_epoch", None),
        )
        if feed.last_batch is not None:
            placement.rows(feed.last_batch)
        fit["validation_data"] = divide(
            fit["validation_data"], placement, fit.get("validation_batch_size")
        )
        sample = draw_sample(
            dataset,
            size=sample_size,
            batch_size=self.batch_size,
            seed=self.seed,
            class_weight=class_weight,
            most_bytes=most_bytes,
        )
        sample = divided(sample, placement)
        if class_weight is not None and is_arrays(dataset) and len(dataset) == 3:
            raise DataError(
                "Got both class_weight and sample weights, of which Keras takes one. "
                "Multiply them into the sample weights."
            )
        checks.check_data(model, sample)
        if is_arrays(dataset):
            checks.check_batch(model, whole_of(dataset), "the arrays")
        with ExitStack() as stack:
            keeper = None
            if self.checkpoint_dir is not None:
                directory = Path(self.checkpoint_dir).expanduser()
                if placement.is_chief:
                    stack.enter_context(lock(directory))
                configuration = {
                    **settings,
                    **describe_training(model),
                    "model": describe_model(model),
                    "dataset": feed.description,
                    "batch_size": self.batch_size,
                    "seed": self.seed,
                    "sample_size": sample_size,
                    **self.fit_arguments,
                }
                keeper = Keeper(
                    directory,
                    plain(configuration),
                    split_untrainable=job["split_untrainable"],
                    writes=placement.is_chief,
                )
            return Job(
                feed=feed,
                sample=sample,
                placement=placement,
                history=GrowthHistory() if self.history is None else self.history,
                callbacks=list(self.callbacks or []),
                fit_arguments=fit,
                seed=self.seed,
                verbose=self.verbose,
                keeper=keeper,
                save_steps=self.save_steps,
                **job,
            ).run(model)


def _check_validation(data: Any) -> None:
    """Raises unless `validation_data` is something that `fit` takes.

    Raises:
        DataError: it is something else.
    """
    # tf.data has a cardinality, PyTorch's loaders a dataset.
    streams = ("cardinality", "dataset")
    if data is None or isinstance(data, keras.utils.PyDataset):
        return
    if is_arrays(data):
        whole_of(data)
    elif not any(hasattr(data, each) for each in streams):
        raise arguments.refused(
            "validation_data",
            data,
            "arrays (x, y), a tf.data.Dataset or a PyDataset",
            error=DataError,
        )
