"""Where training batches come from, epoch by epoch, so that a job can begin anywhere.

`fit` takes data and starts at its beginning. A job that resumes needs epoch 7 from
batch 120 on, with what it would have held in the job that was killed: for arrays, and
for data sets that hand out epochs by number, that is a function of the seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import keras
import numpy as np

from tf_splitting.data import Batch, Epochs, is_arrays, take_rows, whole_of
from tf_splitting.errors import DataError

tree = keras.tree


@runtime_checkable
class EpochSource(Protocol):
    """A data set that knows its epochs by number; `ImageData` is one.

    Attributes:
        steps: batches in an epoch.
    """

    steps: int

    def epoch_dataset(self, epoch: int, first_batch: int = 0) -> Iterable[Any]:
        """One epoch from a batch on, the same whenever it is asked for."""

    def epochs(self, first: int = 0) -> Any:
        """What `fit` takes; its k-th iteration is epoch `first + k`."""


class Feed(Protocol):
    """Training data as a job asks for it.

    Attributes:
        steps: batches in an epoch, None where nobody knows.
        description: what it is, the same for the same data.
        last_batch: examples in the smallest batch, None where nobody knows.
    """

    @property
    def steps(self) -> int | None: ...

    @property
    def description(self) -> str: ...

    @property
    def last_batch(self) -> int | None: ...

    def begin(self, epoch: int) -> None:
        """Epoch `epoch` is about to be iterated."""

    def rest(self, epoch: int, first_batch: int) -> Any:
        """What `fit` takes for the rest of one epoch; None if nothing is left."""

    def epochs(self, first: int) -> dict[str, Any]:
        """Arguments of `fit` for whole epochs from `first` on."""


def as_feed(
    dataset: Any,
    *,
    batch_size: int | None = None,
    seed: int = 0,
    shuffle: bool = True,
    steps: int | None = None,
) -> Feed:
    """The feed of whatever `grow` takes.

    Args:
        dataset: arrays, an `EpochSource`, a `PyDataset`, a stream.
        batch_size: of arrays; 32 by default.
        seed: epoch k of arrays and PyDatasets is a function of `(seed, k)`.
        shuffle: whether to shuffle these.
        steps: batches that make an epoch, if not all do.

    Raises:
        DataError: the dataset never ends and `steps` is not given; it hands out whole
            epochs and `steps` is given.
    """
    if is_arrays(dataset):
        return _Sequenced(
            _ArrayBatches(dataset, batch_size or 32, seed, shuffle, steps)
        )
    if isinstance(dataset, EpochSource):
        if steps is not None:
            raise DataError(
                f"Got steps_per_epoch={steps} with a {type(dataset).__name__}, which "
                "hands out whole epochs. Leave it out; load with train_limit for fewer "
                "images."
            )
        return _Numbered(dataset)
    if isinstance(dataset, keras.utils.PyDataset):
        if dataset.num_batches is not None:
            return _Sequenced(_Reordered(dataset, seed, shuffle, steps))
        _check_ends(steps, "The PyDataset has no length")
        return _Stream(dataset, steps, steps)
    length = getattr(dataset, "cardinality", lambda: None)()
    # tf.data says -1 for an endless set and -2 for one whose length is not known.
    if length is not None and int(length) == -1:
        _check_ends(steps, "The dataset never ends")
    known = None if length is None or int(length) < 0 else int(length)
    return _Stream(dataset, steps, steps or known)


def _check_ends(steps: int | None, what: str) -> None:
    if steps is None:
        raise DataError(
            f"{what}, so that no epoch would. Give steps_per_epoch, or take(n) what an "
            "epoch should hold."
        )


class _Numbered:
    """An `EpochSource`."""

    def __init__(self, source: EpochSource) -> None:
        self._source = source
        self._whole: Any = None
        self.steps = source.steps
        name = getattr(source, "name", type(source).__name__)
        self.description = f"{name}, {source.steps} batches"
        self.last_batch = getattr(source, "last_batch", None)

    def begin(self, epoch: int) -> None:
        # Keras may look at a batch before it trains, which passes for an epoch of one.
        if isinstance(self._whole, Epochs):
            self._whole.begin(epoch)

    def rest(self, epoch: int, first_batch: int) -> Any:
        left = self.steps - first_batch
        return self._source.epoch_dataset(epoch, first_batch) if left else None

    def epochs(self, first: int) -> dict[str, Any]:
        self._whole = self._source.epochs(first)
        return {"x": self._whole}


class _Sequenced:
    """A sequence of batches that is told before each epoch which one it is."""

    def __init__(self, batches: _Sequence) -> None:
        self._batches = batches
        self.steps = batches.steps
        self.description = batches.description
        self.last_batch = batches.last_batch

    def begin(self, epoch: int) -> None:
        self._batches.epoch = epoch

    def rest(self, epoch: int, first_batch: int) -> Any:
        self._batches.epoch, self._batches.first_batch = epoch, first_batch
        return self._batches if len(self._batches) else None

    def epochs(self, first: int) -> dict[str, Any]:
        self._batches.epoch, self._batches.first_batch = first, 0
        return {"x": self._batches}


class _Sequence(keras.utils.PyDataset):
    """Batches by number. Epochs of fewer batches than there are go on through them.

    Attributes:
        steps: batches in an epoch.
        epoch: the one that is iterated.
        first_batch: where in it.
    """

    def __init__(
        self, total: int, seed: int, shuffle: bool, steps: int | None, **workers: Any
    ) -> None:
        super().__init__(**workers)
        self.steps = steps or total
        self.epoch = 0
        self.first_batch = 0
        self.last_batch: int | None = None
        self._total = total
        self._seed = seed if shuffle else None
        self._known: tuple[int, np.ndarray] | None = None

    def __len__(self) -> int:
        return self.steps - self.first_batch

    def _place(self, index: int) -> tuple[int, int]:
        """Number of the pass over the data, and of the batch in that pass."""
        position = self.epoch * self.steps + self.first_batch + index
        return divmod(position, self._total)

    def _order(self, passed: int, size: int) -> np.ndarray:
        """The order of `size` things in one pass, `[size]`."""
        # Read once: batches may be asked for by several threads.
        known = self._known
        if known is not None and known[0] == passed:
            return known[1]
        order = np.arange(size)
        if self._seed is not None:
            order = np.random.default_rng([self._seed, passed]).permutation(size)
        self._known = passed, order
        return order


class _ArrayBatches(_Sequence):
    """Arrays in an order that is a function of the seed and the epoch."""

    def __init__(
        self,
        arrays: Any,
        batch_size: int,
        seed: int,
        shuffle: bool,
        steps: int | None,
    ) -> None:
        self._whole = whole_of(arrays)
        self._batch_size = batch_size
        super().__init__(-(-self._whole.size // batch_size), seed, shuffle, steps)
        shapes = tree.flatten(tree.map_structure(np.shape, self._whole.x))
        self.description = f"arrays of {self._whole.size} examples, {shapes}"
        self.last_batch = self._whole.size - (self._total - 1) * batch_size

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        passed, batch = self._place(index)
        start = batch * self._batch_size
        order = self._order(passed, self._whole.size)
        return as_tuple(take_rows(self._whole, order[start : start + self._batch_size]))


class _Reordered(_Sequence):
    """A user's PyDataset, its batches in an order that is a function of the epoch."""

    def __init__(
        self,
        inner: keras.utils.PyDataset,
        seed: int,
        shuffle: bool,
        steps: int | None,
    ) -> None:
        super().__init__(
            inner.num_batches,
            seed,
            shuffle,
            steps,
            workers=inner.workers,
            use_multiprocessing=inner.use_multiprocessing,
            max_queue_size=inner.max_queue_size,
        )
        self._inner = inner
        self.description = f"{type(inner).__name__} of {inner.num_batches} batches"

    def __getitem__(self, index: int) -> Any:
        passed, batch = self._place(index)
        return self._inner[int(self._order(passed, self._total)[batch])]

    def on_epoch_begin(self) -> None:
        self._inner.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._inner.on_epoch_end()


class _Stream:
    """A stream, iterated anew for every epoch: repeatable as far as it is itself."""

    def __init__(self, dataset: Any, given: int | None, steps: int | None) -> None:
        self._dataset = dataset
        self._given = given
        self.steps = steps
        self.description = f"{type(dataset).__name__}, {steps or 'some'} batches"
        self.last_batch = None

    def begin(self, epoch: int) -> None:
        """Nothing to do."""

    def rest(self, epoch: int, first_batch: int) -> Any:
        left = itertools.islice(self._dataset, first_batch, self._given)
        first = next(left, None)
        if first is None:
            return None
        if not hasattr(self._dataset, "skip"):
            # Keras knows generators, but not other iterators.
            return (batch for batch in itertools.chain([first], left))
        left = self._dataset.skip(first_batch)
        return left.take(self._given - first_batch) if self._given else left

    def epochs(self, first: int) -> dict[str, Any]:
        return {"x": self._dataset, "steps_per_epoch": self._given}


def as_tuple(batch: Batch) -> tuple[Any, ...]:
    if batch.sample_weight is None:
        return batch.x, batch.y
    return batch.x, batch.y, batch.sample_weight


def set_validation_aside(
    dataset: Any, arguments: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """Sets the share of arrays that `validation_split` asks for aside, as `fit` does.

    Raises:
        DataError: the dataset is not arrays, or the share leaves nothing.
    """
    arguments = dict(arguments)
    share = arguments.pop("validation_split", 0.0)
    if not share or arguments.get("validation_data") is not None:
        return dataset, arguments
    if not is_arrays(dataset):
        raise DataError(
            f"Got validation_split={share!r} with a {type(dataset).__name__}; it is "
            "for arrays only. Give validation_data."
        )
    whole = whole_of(dataset)
    first = int(whole.size * (1 - share))
    if not 0 < first < whole.size:
        raise DataError(
            f"Got validation_split={share!r} of {whole.size} examples, which leaves "
            "none on one side. Give a share between 0 and 1."
        )
    parts = [take_rows(whole, slice(None, first)), take_rows(whole, slice(first, None))]
    training, validation = map(as_tuple, parts)
    return training, {**arguments, "validation_data": validation}
