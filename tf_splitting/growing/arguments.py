"""What `grow` and `train` take besides a model and data, described once."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import keras

from tf_splitting.costs import Cost
from tf_splitting.data import is_arrays, whole_of
from tf_splitting.errors import DataError, SplittingError
from tf_splitting.estimating import Estimator
from tf_splitting.growing.step_size import check_epsilon
from tf_splitting.methods import METHODS, Method, Splitting
from tf_splitting.rebuilding import (
    FRESH,
    OPTIMIZER_STATES,
    FreshStart,
    OptimizerState,
    Start,
    check_start,
)
from tf_splitting.support import arguments as given
from tf_splitting.training import GrowthHistory

# Examples that losses around a split and batch statistics are measured on.
MEASURED = 1024
# What grew the best networks of all that were tried (README, "Does it pay?").
DEFAULT_EPSILON = FRESH
# Of the estimation sample, if the user does not say how large it may be.
MOST_EXAMPLES = 8192
MOST_BYTES = 2**29
# Where no compute is laid out.
EPOCHS, FINAL_EPOCHS = 1, 4
Decay = Literal["last", "every"]
DECAYS = ("last", "every")
# Of the training compute, before the last split.
GROWING_SHARE = 0.5

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
class GrowArguments(JobArguments):
    """What `grow` takes.

    Args:
        target_macs: multiply-accumulates per example that the result may have.
        rounds: number of splits; default: as many as `growth` asks for. Rounds are
            added if spaces cannot grow fast enough to reach the target in these.
        growth: ratio by which the MACs grow in a round, if `rounds` is not given.
        training_epochs: training compute of the whole job, as epochs of a model of
            `target_macs`; estimates count at what they cost, and beyond a batch take a
            tenth of it at most. Smaller models get more epochs for it.
        growing_share: share of `training_epochs` that is spent before the last split.
        epochs, final_epochs: in place of `training_epochs`, epochs before each split
            (1 if neither is given), and after the last one (4).
        decay: in which phases the learning rate falls to zero along half a cosine: in
            the "last" alone, before which it stays as it is; or in "every" one, each
            from the first rate on.
        epsilon: `"fresh"`: added neurons start at random incoming weights and zero
            outgoing ones; or a number: copies move by this relative step along the
            splitting directions; or `"descent"`: by the largest step of a ladder that
            does not raise the loss on the estimation sample.
        carried_kernels, carried_scales: what else a fresh neuron starts with on the
            way to its consumers: "copy" takes its parent's kernels (depthwise, grouped,
            separable) and scales (normalization, bias, PReLU, LayerScale); "draw"
            makes random kernels of the same norm, and takes scales' initial values.
        optimizer_state: after a split: "reset" it; "carry" it over; or carry that of
            "old" neurons only.
        estimator: of the method `"splitting"`: `Rayleigh(...)` (the default),
            `Exact()`, or one of your own.
        method: `"splitting"` (by splitting indices), `"candidates"` (random fresh
            neurons, scored by the gradient at their outgoing weights), `"gradmax"`,
            `"tiny"`, `"firefly"`, `"signed"`, `"uniform"` (random neurons: the
            baseline), or an object with the protocol of `tf_splitting.methods.Method`.
        cost: what gains are divided by: `"macs"`, `"params"`, or a function
            `cost(graph, widths) -> float`.
        target_cost: what the result may cost at most, in the units of `cost`.
        width_multiple: spaces grow to multiples of this only.
        max_widths: largest width of every space, or of spaces by name.
        max_growth: largest ratio of a space's widths in one round: up to 2 where
            neurons are copied (4 by the method `"signed"`), of any size (up to 64)
            where they are added fresh.
        sample_size: most examples that neurons are measured on; the `"splitting"`
            method takes as many of them as it needs to settle its plan. Default:
            8,192, fewer if they would take more than 512 MB.
        split_untrainable: also split neurons made by layers with `trainable=False`.
        verify: after every rebuild compare the outputs of both models on one batch,
            at ε = 0.
    """

    target_macs: float
    rounds: int | None = None
    growth: float = 2.0
    training_epochs: float | None = None
    growing_share: float = GROWING_SHARE
    epochs: int | None = None
    final_epochs: int | None = None
    decay: Decay = "last"
    epsilon: float | str = DEFAULT_EPSILON
    carried_kernels: Start = "copy"
    carried_scales: Start = "copy"
    optimizer_state: OptimizerState = "reset"
    estimator: Estimator | None = None
    method: str | Method = "splitting"
    cost: str | Cost = "macs"
    target_cost: float = math.inf
    width_multiple: int = 1
    max_widths: int | Mapping[str, int] | None = None
    max_growth: float = 2.0
    sample_size: int | None = None
    split_untrainable: bool = False
    verify: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        given.whole("sample_size", self.sample_size, at_least=1, or_none=True)
        given.number("target_macs", self.target_macs, above=0)
        self._check_length()
        given.truth("split_untrainable", self.split_untrainable)
        given.truth("verify", self.verify)
        check_epsilon(self.epsilon)
        check_start(self.start, self.epsilon)
        self._check_method()
        given.one_of("decay", self.decay, DECAYS)
        given.one_of("optimizer_state", self.optimizer_state, OPTIMIZER_STATES)

    @property
    def start(self) -> FreshStart:
        """What a fresh neuron carries along."""
        return FreshStart(self.carried_kernels, self.carried_scales)

    @property
    def selection(self) -> dict[str, Any]:
        """What `select` takes, but for the budget of a round."""
        names = ("cost", "target_cost", "width_multiple", "max_widths", "max_growth")
        return {name: getattr(self, name) for name in names}

    @property
    def configuration(self) -> dict[str, Any]:
        """What makes a job what it is: compared when it resumes."""
        return {
            **super().configuration,
            **self.lengths,
            "target_macs": float(self.target_macs),
            "method": self.chosen_method(),
        }

    @property
    def sampling(self) -> dict[str, Any]:
        """Size of the fixed sample and most memory it may take, for `draw_sample`."""
        if self.sample_size is not None:
            return {"size": self.sample_size, "most_bytes": None}
        return {"size": MOST_EXAMPLES, "most_bytes": MOST_BYTES}

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
        given.number("growing_share", self.growing_share, at_least=0, below=1)
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

    def _check_method(self) -> None:
        """Raises unless there is a method, and it works with this step.

        Raises:
            SplittingError: there is none, or it scores fresh neurons and others are
                to be added.
        """
        chosen = self.chosen_method()
        if getattr(chosen, "fresh_only", False) and self.epsilon != FRESH:
            raise SplittingError(
                f"Got method {self.method!r} with epsilon={self.epsilon!r}; expected "
                "epsilon='fresh', the default: it scores fresh neurons. Copies are "
                "scored by the method 'splitting'."
            )

    def chosen_method(self) -> Method:
        """The method, with the estimator if one was given.

        Raises:
            UnknownNameError: no method has this name.
            SplittingError: it is no method, or takes no estimator.
        """
        method, estimator = self.method, self.estimator
        if not isinstance(method, str):
            if estimator is not None:
                raise SplittingError(
                    "Got both a method object and an estimator; give the estimator to "
                    "the method, for example methods.Splitting(estimator=...)."
                )
            expected = f"one of {sorted(METHODS)}, or an object with a method propose"
            return given.behaving("method", method, ["propose"], expected)
        given.one_of("method", method, METHODS, ", or a method object")
        if estimator is not None:
            if method != "splitting":
                raise SplittingError(f"Method {method!r} takes no estimator.")
            return Splitting(estimator=estimator)
        return METHODS[method]()


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
