"""Where training batches come from, epoch by epoch, so that a job can begin anywhere.

`fit` takes data and starts at its beginning. A job that resumes needs epoch 7 from
batch 120 on, with what it would have held in the job that was killed: for arrays, and
for data sets that hand out epochs by number, that is a function of the seed.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Iterator, Mapping
from typing import Any, Protocol, cast, runtime_checkable

import keras

from tf_splitting.data import (
    Epochs,
    LoaderEpochs,
    is_arrays,
    is_torch_loader,
    take_rows,
    whole_of,
)
from tf_splitting.errors import DataError
from tf_splitting.training.joining import joined
from tf_splitting.training.sequences import (
    ArrayBatches,
    Batches,
    Layout,
    Reordered,
    as_tuple,
)


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
        """What `fit` takes; its k-th iteration is epoch `first + k`.

        None if epochs have to be asked for one by one.
        """


class Feed(Protocol):
    """Training data as a job asks for it.

    Attributes:
        total: batches in the data, None where nobody knows.
        steps: batches in an epoch, None where nobody knows.
        description: what it is, the same for the same data.
        last_batch: examples in the smallest batch, None where nobody knows.
        rows: examples in a batch, on average; None where nobody knows.
    """

    @property
    def total(self) -> int | None: ...

    @property
    def steps(self) -> int | None: ...

    @property
    def description(self) -> str: ...

    @property
    def last_batch(self) -> int | None: ...

    @property
    def rows(self) -> float | None: ...

    def lay(self, epoch: int, position: int, steps: int) -> None:
        """Makes epochs from one on hold `steps` batches.

        Where nobody knows how many batches the data has that cannot be.

        Args:
            epoch: the first of them.
            position: batches that come before it.
            steps: no more than an epoch held at first.
        """

    def position(self, epoch: int) -> int | None:
        """Batches that come before an epoch, None where nobody knows."""

    def begin(self, epoch: int) -> None:
        """Epoch `epoch` is about to be iterated."""

    def rest(self, epoch: int, first_batch: int) -> Any:
        """What `fit` takes for the rest of one epoch; None if nothing is left."""

    def epochs(self, first: int) -> dict[str, Any] | None:
        """Arguments of `fit` for whole epochs from `first` on; None if one by one."""


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
        dataset: arrays, an `EpochSource`, a `PyDataset`, a PyTorch `DataLoader`, a
            stream.
        batch_size: of arrays; 32 by default.
        seed: epoch k of arrays, PyDatasets and DataLoaders is a function of
            `(seed, k)`.
        shuffle: whether to shuffle arrays and PyDatasets.
        steps: batches that make an epoch, if not all do.

    Raises:
        DataError: the dataset never ends and `steps` is not given; it hands out whole
            epochs and `steps` is given.
    """
    if is_arrays(dataset):
        return _Sequenced(ArrayBatches(dataset, batch_size or 32, seed, shuffle, steps))
    if is_torch_loader(dataset):
        return _of_loader(LoaderEpochs(dataset, seed), steps)
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
            return _Sequenced(Reordered(dataset, seed, shuffle, steps))
        _check_ends(steps, "The PyDataset has no length")
        return _Stream(dataset, steps, None)
    length = getattr(dataset, "cardinality", lambda: None)()
    # tf.data says -1 for an endless set and -2 for one whose length is not known.
    if length is not None and int(length) == -1:
        _check_ends(steps, "The dataset never ends")
    known = None if length is None or int(length) < 0 else int(length)
    return _Stream(dataset, steps, known)


def _of_loader(source: LoaderEpochs, steps: int | None) -> Feed:
    if source.steps is None:
        return _Unsized(source, steps, None)
    feed = _Numbered(cast(EpochSource, source))
    if steps is not None:
        feed.lay(0, 0, steps)
    return feed


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
        self._layout: Layout | None = None
        self.total = source.steps
        name = getattr(source, "name", type(source).__name__)
        self.description = f"{name}, {source.steps} batches"
        self.last_batch = getattr(source, "last_batch", None)
        size = getattr(source, "train_size", None)
        self.rows = None if size is None else size / source.steps

    @property
    def steps(self) -> int:
        return self.total if self._layout is None else self._layout.steps

    def lay(self, epoch: int, position: int, steps: int) -> None:
        self._layout = Layout(epoch, position, steps)

    def position(self, epoch: int) -> int:
        layout = self._layout or Layout(0, 0, self.total)
        return layout.start(epoch)

    def begin(self, epoch: int) -> None:
        # Keras may look at a batch before it trains, which passes for an epoch of one.
        if isinstance(self._whole, Epochs):
            self._whole.begin(epoch)

    def rest(self, epoch: int, first_batch: int) -> Any:
        left = self.steps - first_batch
        if not left:
            return None
        if self._layout is None:
            return self._source.epoch_dataset(epoch, first_batch)
        start = self.position(epoch) + first_batch
        number, batch = divmod(start, self.total)
        parts = [self._source.epoch_dataset(number, batch)]
        lengths = [self.total - batch]
        while sum(lengths) < left:
            number += 1
            parts.append(self._source.epoch_dataset(number))
            lengths.append(self.total)
        return joined(parts, lengths, left)

    def epochs(self, first: int) -> dict[str, Any] | None:
        if self._layout is not None:
            self._whole = None
            return None
        self._whole = self._source.epochs(first)
        return None if self._whole is None else {"x": self._whole}


class _Sequenced:
    """A sequence of batches that is told before each epoch which one it is."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self.total = batches.total
        self.description = batches.description
        self.last_batch = batches.last_batch
        self.rows = batches.rows

    @property
    def steps(self) -> int:
        return self._batches.steps

    def lay(self, epoch: int, position: int, steps: int) -> None:
        self._batches.lay(epoch, position, steps)

    def position(self, epoch: int) -> int:
        return self._batches.position(epoch)

    def begin(self, epoch: int) -> None:
        self._batches.epoch = epoch

    def rest(self, epoch: int, first_batch: int) -> Any:
        self._batches.epoch, self._batches.first_batch = epoch, first_batch
        return self._batches if len(self._batches) else None

    def epochs(self, first: int) -> dict[str, Any]:
        self._batches.epoch, self._batches.first_batch = first, 0
        return {"x": self._batches}


class _Stream:
    """A stream, iterated anew for every epoch: repeatable as far as it is itself."""

    def __init__(self, dataset: Any, given: int | None, known: int | None) -> None:
        self._dataset = dataset
        self._given = given
        self._layout: Layout | None = None
        self.total = given or known
        self.description = f"{type(dataset).__name__}, {self.total or 'some'} batches"
        self.last_batch = None
        self.rows = None

    @property
    def steps(self) -> int | None:
        return self.total if self._layout is None else self._layout.steps

    def lay(self, epoch: int, position: int, steps: int) -> None:
        self._layout = Layout(epoch, position, steps)

    def position(self, epoch: int) -> int | None:
        if self._layout is not None:
            return self._layout.start(epoch)
        return epoch * self.total if self.total else (None if epoch else 0)

    def begin(self, epoch: int) -> None:
        """Nothing to do."""

    def rest(self, epoch: int, first_batch: int) -> Any:
        layout = self._layout
        if layout is not None and self.total and not self._given:
            return self._laid(layout, self.total, epoch, first_batch)
        length = self.steps if self._given else None
        begun = _begun(itertools.islice(self._dataset, first_batch, length))
        if begun is None or not hasattr(self._dataset, "skip"):
            return begun
        left = self._dataset.skip(first_batch)
        return left if length is None else left.take(length - first_batch)

    def _laid(self, layout: Layout, total: int, epoch: int, first_batch: int) -> Any:
        """The rest of an epoch as laid, of `tf.data` that ends."""
        left = layout.steps - first_batch
        if not left:
            return None
        start = (layout.start(epoch) + first_batch) % total
        # An epoch is no longer than the data, so that it ends in the next pass.
        return self._dataset.skip(start).concatenate(self._dataset).take(left)

    def epochs(self, first: int) -> dict[str, Any] | None:
        if self._given:
            return {"x": self._dataset, "steps_per_epoch": self.steps}
        return {"x": self._dataset} if self._layout is None else None


class _Unsized(_Stream):
    """A numbered stream of which nobody knows the length."""

    def rest(self, epoch: int, first_batch: int) -> Any:
        batches = self._dataset.epoch_dataset(epoch, first_batch)
        if self._given:
            batches = itertools.islice(batches, (self.steps or 0) - first_batch)
        return _begun(batches)

    def epochs(self, first: int) -> None:
        """None: its epochs are asked for by number."""


def _begun(batches: Iterator[Any]) -> Generator[Any, None, None] | None:
    """The batches for `fit`, or None if there are none, which it takes for an error.

    Keras knows generators, but not other iterators.
    """
    first = next(batches, None)
    if first is None:
        return None
    return (batch for batch in itertools.chain([first], batches))


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
