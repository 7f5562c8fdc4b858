"""What a job saves as it goes, and how it comes back.

Widths change, so a checkpoint cannot be a list of weights for the model that the user
has in hand, and a saved model would need all of its code to be found by name again.
A checkpoint holds the widths, which layers are still made of layers, and arrays in the
model that have a number for each neuron: the model is brought to them from the user's
own, by the same path as in the job, and every variable is set.
"""

from __future__ import annotations

import json
import platform
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tf_splitting.errors import (
    CheckpointError,
    NonFiniteLossError,
    SplittingWarning,
)
from tf_splitting.jobs.checkpoints.checkpoint import Checkpoint
from tf_splitting.jobs.checkpoints.store import CheckpointStore
from tf_splitting.jobs.job_state import JobState
from tf_splitting.jobs.proposals import documents_of, proposal_of
from tf_splitting.jobs.random_state import random_state, set_random_state
from tf_splitting.methods import Change
from tf_splitting.rebuilding import resized
from tf_splitting.support import VERSION, scope_of
from tf_splitting.tracing import trace
from tf_splitting.training import GrowthHistory, set_values


@dataclass(frozen=True)
class Resumed:
    """A job as it was saved.

    Attributes:
        model: as wide as it was, weights and optimizer state as they were.
        state: how far it is.
        proposal: the plan, and its scores, where the job was about to apply it.
        metrics: values of the metrics variables within an epoch.
        path: the checkpoint.
    """

    model: keras.Model
    state: JobState
    proposal: Change | None
    metrics: list[np.ndarray]
    path: Path


class Keeper:
    """Saves a job to a directory, and finds what is there.

    Args:
        directory: where checkpoints are kept.
        configuration: what makes the job what it is, JSON data by name.
        defaults: settings of a checkpoint that does not name them: it was written
            when there was no other.
        split_untrainable: as the job's.
        writes: False in all but one of the processes that share a job: they read.
    """

    def __init__(
        self,
        directory: str | Path,
        configuration: Mapping[str, Any],
        *,
        defaults: Mapping[str, Any] | None = None,
        split_untrainable: bool,
        writes: bool = True,
    ) -> None:
        self._writes = writes
        self._saved_elsewhere = False
        self._store = CheckpointStore(directory)
        self._configuration = json.loads(json.dumps(configuration))
        self._defaults = json.loads(json.dumps(defaults or {}))
        self._split_untrainable = split_untrainable
        # Of the model saved last: it stays the same from epoch to epoch.
        self._architecture: tuple[keras.Model, dict[str, Any]] | None = None
        if writes:
            self._store.open()

    @property
    def last(self) -> Path | None:
        """The newest checkpoint that is known to be good.

        Which one another process has written is not known: then, where they are.
        """
        return self._store.directory if self._saved_elsewhere else self._store.last

    def save(
        self,
        model: keras.Model,
        history: GrowthHistory,
        state: JobState,
        proposal: Change | None = None,
    ) -> None:
        """Saves a job. If the disk does not take it the job goes on, with a warning.

        Raises:
            NonFiniteLossError: a weight is NaN or infinite.
        """
        if not self._writes:
            self._saved_elsewhere = True
            return
        documents = self._documents(model, history, state, proposal)
        try:
            self._store.save(documents)
        except OSError as error:
            warnings.warn(
                f"The job could not be saved: {error}. It goes on; "
                + (
                    f"{self.last} is what it would resume from."
                    if self.last
                    else "nothing is there to resume from."
                ),
                SplittingWarning,
                stacklevel=2,
            )

    def _documents(
        self,
        model: keras.Model,
        history: GrowthHistory,
        state: JobState,
        proposal: Change | None,
    ) -> dict[str, Any]:
        weights = _values(model.variables)
        for variable, value in zip(model.variables, weights.values(), strict=True):
            if not np.isfinite(value.astype(np.float32, copy=False)).all():
                raise NonFiniteLossError(
                    f"Weight {variable.path!r} became NaN or infinite. Lower the "
                    "learning rate, or clip gradients (clipnorm=...)."
                )
        documents: dict[str, Any] = {
            "state.json": {
                "state": asdict(state),
                "configuration": self._configuration,
                "versions": versions(),
            },
            **self._architecture_of(model),
            "history.json": history.to_dict(),
            "random.json": random_state(),
            "weights.npz": weights,
            "optimizer.npz": _values(model.optimizer.variables),
        }
        if state.batch:
            documents["metrics.npz"] = _values(model.metrics_variables)
        return {**documents, **documents_of(proposal)}

    def _architecture_of(self, model: keras.Model) -> dict[str, Any]:
        if self._architecture is None or self._architecture[0] is not model:
            graph = trace(model, split_untrainable=self._split_untrainable)
            documents: dict[str, Any] = {
                "architecture.json": {
                    "widths": graph.widths,
                    "insides": sorted(graph.insides),
                    "config": config(model),
                }
            }
            if graph.constants:
                documents["constants.npz"] = _numbered(graph.arrays)
            self._architecture = model, documents
        return self._architecture[1]

    def resume(self, seed: keras.Model, history: GrowthHistory) -> Resumed | None:
        """The job as it was saved last; None if nothing was.

        Args:
            seed: the model that the job started from. A job that has not split yet
                gets its weights set.
            history: filled in.

        Raises:
            CheckpointError: the checkpoints are broken, or another job's.
        """
        checkpoint = self._store.load()
        if checkpoint is None:
            return None
        about = checkpoint.json("state.json")
        self._check_configuration(about["configuration"], checkpoint.path)
        _warn_of_versions(about["versions"])
        model = self._become(checkpoint, seed)
        optimizer = checkpoint.arrays("optimizer.npz")
        if len(optimizer) > len(model.optimizer.variables):
            # Before its first step it had no more than these itself.
            with scope_of(model):
                model.optimizer.build(model.trainable_variables)
        for variables, arrays in (
            (model.variables, checkpoint.arrays("weights.npz")),
            (model.optimizer.variables, optimizer),
        ):
            _restore(variables, arrays, checkpoint.path)
        history.fill(checkpoint.json("history.json"))
        proposal = proposal_of(checkpoint)
        metrics = []
        if checkpoint.has("metrics.npz"):
            metrics = _in_order(checkpoint.arrays("metrics.npz"))
        # Last, because making layers draws seeds.
        set_random_state(checkpoint.json("random.json"))
        state = JobState(**about["state"])
        return Resumed(model, state, proposal, metrics, checkpoint.path)

    def _check_configuration(self, saved: Mapping[str, Any], path: Path) -> None:
        mine = self._configuration
        saved = {**self._defaults, **saved}
        differ = [
            f"{name} was {saved.get(name)!r}, is {mine.get(name)!r}"
            for name in sorted({*saved, *mine})
            if saved.get(name) != mine.get(name)
        ]
        if differ:
            raise CheckpointError(
                f"{path.parent} holds a job of another configuration: "
                f"{'; '.join(differ)}. Give it the same arguments to go on with that "
                "job, or another directory to start this one."
            )

    def _become(self, checkpoint: Checkpoint, seed: keras.Model) -> keras.Model:
        """The seed at the widths that were saved, with the variables that it had."""
        graph = trace(seed, split_untrainable=self._split_untrainable)
        architecture = checkpoint.json("architecture.json")
        widths = architecture["widths"]
        if widths.keys() != graph.widths.keys():
            raise CheckpointError(
                f"The checkpoint has the spaces {sorted(widths)}, model {seed.name!r} "
                f"has {sorted(graph.widths)}. Layers made twice in one process get "
                "new names: name them, or call keras.utils.clear_session() first."
            )
        # Older jobs do not name them.
        insides = architecture.get("insides", graph.insides)
        unfolded = graph.insides.keys() - set(insides)
        arrays = before = graph.arrays
        if checkpoint.has("constants.npz"):
            saved = _in_order(checkpoint.arrays("constants.npz"))
            arrays = [_typed(a, b.dtype) for a, b in zip(saved, before, strict=True)]
        same = all(map(np.array_equal, arrays, before))
        if widths == graph.widths and same and not unfolded:
            return seed
        return resized(seed, graph, widths, arrays, unfolded)


def versions() -> dict[str, str]:
    """Versions of what a job's numbers depend on."""
    names = ("tf_splitting", "keras", "numpy", keras.backend.backend())
    return {"python": platform.python_version(), **{n: _version(n) for n in names}}


def _version(name: str) -> str:
    # Of the sources themselves, which may lie on the path without being installed.
    return VERSION if name == "tf_splitting" else version(name)


def config(model: keras.Model) -> Any:
    """A model's config as JSON data, or why it has none.

    Models hold things that cannot be written down, such as functions without a name;
    resuming does not need to.
    """
    try:
        return json.loads(model.to_json())
    except (TypeError, ValueError, NotImplementedError) as error:
        return f"cannot be written: {error}"


def _warn_of_versions(saved: Mapping[str, str]) -> None:
    mine = versions()
    differ = [
        f"{name} {saved.get(name)} then, {mine.get(name)} now"
        for name in sorted({*saved, *mine})
        if saved.get(name) != mine.get(name)
    ]
    if differ:
        warnings.warn(
            f"The job was saved with other versions: {'; '.join(differ)}. Its result "
            "may differ from that of an uninterrupted one.",
            SplittingWarning,
            stacklevel=3,
        )


def _values(variables: Sequence[Any]) -> dict[str, np.ndarray]:
    """Values by number, in the type they have."""
    return _numbered(v.numpy() for v in variables)


def _numbered(arrays: Iterable[np.ndarray]) -> dict[str, np.ndarray]:
    return {f"{number:05d}": array for number, array in enumerate(arrays)}


def _typed(array: np.ndarray, dtype: Any) -> np.ndarray:
    """An array that was read in the type that it had."""
    # NumPy's files do not know bfloat16.
    return array.view(dtype) if array.dtype.kind == "V" else array


def _in_order(arrays: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    return [arrays[name] for name in sorted(arrays)]


def _restore(
    variables: Sequence[Any], arrays: Mapping[str, np.ndarray], path: Path
) -> None:
    values = _in_order(arrays)
    shapes = [tuple(v.shape) for v in variables]
    if [v.shape for v in values] != shapes:
        raise CheckpointError(
            f"{path} holds {len(values)} variables of another model than the one "
            f"given, which has {len(shapes)}. Resume with the model that the job "
            "started from."
        )
    typed = (_typed(v, x.numpy().dtype) for v, x in zip(values, variables, strict=True))
    set_values(variables, list(typed))
