"""What all jobs take besides a model and data, described once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import keras

from tf_splitting.costs import Cost
from tf_splitting.data import is_arrays, whole_of
from tf_splitting.errors import DataError, SplittingError
from tf_splitting.rebuilding import OPTIMIZER_STATES, OptimizerState
from tf_splitting.support import arguments as given
from tf_splitting.training import GrowthHistory

# Examples that losses around a split and batch statistics are measured on.
MEASURED = 1024
# That removals are measured on, if the user does not say how many.
EXAMPLES = 2048
# Where no compute is laid out.
EPOCHS, FINAL_EPOCHS = 1, 4
Decay = Literal["last", "every"]
DECAYS = ("last", "every")

# Passed on to `fit`, which has these defaults.
OF_FIT = {
    "class_weight": None,
    "shuffle": True,
    "steps_per_epoch": None,
    "validation_batch_size": None,
    "validation_freq": 1,
    "validation_split": 0.0,
    "validation_steps": None,
}
# Say how a job is watched and kept, and not what it computes.
_OF_THE_RUN = {
    "validation_data",
    "callbacks",
    "on_member",
    "checkpoint_dir",
    "save_steps",
    "verbose",
    "history",
    "verify",
    "estimator",
}
# What jobs did before there were such settings.
_BEFORE = {"optimizer_state": "carry"}


@dataclass(frozen=True, kw_only=True)
class JobArguments:
    """What any job takes.

    Args:
        batch_size: batch size for arrays, as in `fit`.
        validation_data: passed on to `fit`.
        callbacks: passed on to `fit`, which runs once per round; epochs are numbered
            through.
        seed: seed of samples and directions. For a job that repeats exactly also
            call `keras.utils.set_random_seed`.
        checkpoint_dir: saves the job there after every epoch, estimate and split. The
            same call goes on where the job was when it ended, however it did, with the
            result of one that was never interrupted: bit by bit on a CPU with
            deterministic operations. A stream (`tf.data`) is iterated anew in every
            epoch, so that holds as far as its iterations are alike; what callbacks
            keep to themselves is theirs to save.
        save_steps: saves after every so many training steps of an epoch too.
        verbose: 0 is silent; 1 prints a line per epoch and a table per round.
        history: filled in as the job goes.
        class_weight, shuffle, steps_per_epoch, validation_batch_size,
        validation_freq, validation_split, validation_steps: passed on to `fit`.

    Raises:
        SplittingError: an argument is out of range.
    """

    batch_size: int | None = None
    validation_data: Any = None
    callbacks: Sequence[keras.callbacks.Callback] | None = None
    seed: int = 0
    checkpoint_dir: str | Path | None = None
    save_steps: int | None = None
    verbose: int = 1
    history: GrowthHistory | None = None
    class_weight: Mapping[int, float] | None = None
    shuffle: bool = True
    steps_per_epoch: int | None = None
    validation_batch_size: int | None = None
    validation_freq: int | Collection[int] | None = 1
    validation_split: float = 0.0
    validation_steps: int | None = None

    def __post_init__(self) -> None:
        given.whole("batch_size", self.batch_size, at_least=1, or_none=True)
        given.whole("seed", self.seed, at_least=0)
        given.verbosity(self.verbose)
        hint = "Leave it out to save after epochs only."
        given.whole("save_steps", self.save_steps, at_least=1, or_none=True, hint=hint)
        if self.checkpoint_dir is not None:
            given.path("checkpoint_dir", self.checkpoint_dir)
        if self.history is not None:
            given.instance("history", self.history, GrowthHistory, "a GrowthHistory")
        callbacks = () if self.callbacks is None else self.callbacks
        given.instance(
            "callbacks", callbacks, (list, tuple, set), "a list of Keras callbacks"
        )
        for callback in callbacks:
            given.instance(
                "callbacks", callback, keras.callbacks.Callback, "Keras callbacks only"
            )
        given.truth("shuffle", self.shuffle)
        given.class_weights(self.class_weight)
        for name in ("steps_per_epoch", "validation_steps", "validation_batch_size"):
            given.whole(name, getattr(self, name), at_least=1, or_none=True)
        given.number("validation_split", self.validation_split, at_least=0, below=1)
        epochs = self.validation_freq
        if epochs is not None:
            for each in epochs if isinstance(epochs, (list, tuple, set)) else (epochs,):
                given.whole("validation_freq", each, at_least=1)
        _check_validation(self.validation_data)

    @property
    def fit(self) -> dict[str, Any]:
        """What is passed on to `fit`, as far as it was given."""
        chosen = {name: getattr(self, name) for name in OF_FIT}
        return {
            name: value
            for name, value in chosen.items()
            if value is not None and value != OF_FIT[name]
        }

    @property
    def sampling(self) -> dict[str, Any]:
        """Size of the fixed sample and most memory it may take, for `draw_sample`."""
        return {"size": MEASURED, "most_bytes": None}

    @property
    def configuration(self) -> dict[str, Any]:
        """What makes a job what it is: compared when it resumes."""
        chosen = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in _OF_THE_RUN
        }
        return {**chosen, "sample_size": self.sampling["size"]}

    @classmethod
    def defaults(cls) -> dict[str, Any]:
        """What a job that does not name a setting was started with."""
        now = {
            field.name: field.default
            for field in fields(cls)
            if field.default is not MISSING and field.name not in _OF_THE_RUN
        }
        return {**now, **{name: _BEFORE[name] for name in _BEFORE if name in now}}


@dataclass(frozen=True, kw_only=True)
class TrainArguments(JobArguments):
    """What `train` takes.

    Args:
        epochs: how many, while the learning rate decays to zero.
        training_epochs: the same, but any number above zero: as much compute as a
            `grow` with so many has in all.
    """

    epochs: int | None = None
    training_epochs: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        given.whole("epochs", self.epochs, at_least=1, or_none=True)
        _check_training_epochs(self.training_epochs)
        if (self.epochs is None) == (self.training_epochs is None):
            got = "neither" if self.epochs is None else "both"
            raise SplittingError(
                f"Got {got} of epochs and training_epochs; expected one of them."
            )


@dataclass(frozen=True, kw_only=True)
class RoundsArguments(JobArguments):
    """What a job takes that changes widths in rounds.

    Args:
        epochs, final_epochs: in place of `training_epochs`, epochs before each change
            of widths (1 if neither is given), and after the last one (4).
        decay: in which phases the learning rate falls to zero along half a cosine: in
            the "last" alone, before which it stays as it is; or in "every" one, each
            from the first rate on.
        optimizer_state: after a change of widths: "reset" it, the default but in
            `shrink`; "carry" it over, the default there; or carry that of "old" neurons
            only.
        cost: what gains and losses are divided by: `"macs"`, `"params"`, or a function
            `cost(graph, widths) -> float`.
        width_multiple: spaces that change end at multiples of this only.
        split_untrainable: also change spaces of layers with `trainable=False`.
        verify: after every rebuild compare the outputs of both models on one batch.
    """

    rounds: int | None = None
    training_epochs: float | None = None
    epochs: int | None = None
    final_epochs: int | None = None
    decay: Decay = "last"
    optimizer_state: OptimizerState = "reset"
    cost: str | Cost = "macs"
    width_multiple: int = 1
    sample_size: int | None = None
    split_untrainable: bool = False
    verify: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        given.whole("sample_size", self.sample_size, at_least=1, or_none=True)
        self._check_length()
        given.truth("split_untrainable", self.split_untrainable)
        given.truth("verify", self.verify)
        given.one_of("decay", self.decay, DECAYS)
        given.one_of("optimizer_state", self.optimizer_state, OPTIMIZER_STATES)

    @property
    def sampling(self) -> dict[str, Any]:
        """Size of the fixed sample and most memory it may take, for `draw_sample`."""
        size = EXAMPLES if self.sample_size is None else self.sample_size
        return {"size": size, "most_bytes": None}

    @property
    def configuration(self) -> dict[str, Any]:
        """What makes a job what it is: compared when it resumes."""
        return {**super().configuration, **self.lengths}

    @property
    def lengths(self) -> dict[str, Any]:
        """`epochs` and `final_epochs` as they count: None where compute is laid out."""
        if self.training_epochs is not None:
            return {"epochs": None, "final_epochs": None}
        return {
            "epochs": EPOCHS if self.epochs is None else self.epochs,
            "final_epochs": FINAL_EPOCHS
            if self.final_epochs is None
            else self.final_epochs,
        }

    def _check_length(self) -> None:
        """Raises unless the job's length is said in one way.

        Raises:
            SplittingError: it is said in two, or a number is out of range.
        """
        _check_training_epochs(self.training_epochs)
        for name in ("epochs", "final_epochs"):
            value = getattr(self, name)
            given.whole(name, value, at_least=0, or_none=True)
            if value is not None and self.training_epochs is not None:
                raise SplittingError(
                    f"Got training_epochs={self.training_epochs!r} and {name}={value}; "
                    "expected the one or the other. training_epochs lays out how long "
                    f"to stay at each size; leave {name} out, or give epochs and "
                    "final_epochs only."
                )


def _check_training_epochs(value: float | None) -> None:
    if value is not None:
        given.number("training_epochs", value, above=0)


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
        raise given.refused(
            "validation_data",
            data,
            "arrays (x, y), a tf.data.Dataset or a PyDataset",
            error=DataError,
        )
