"""Draws a fixed sample from whatever `model.fit` takes, and checks that it fits."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from tf_splitting.data.torch_loader import LoaderEpochs, is_torch_loader
from tf_splitting.errors import DataError
from tf_splitting.support import Placement

tree = keras.tree
# How many examples of a stream are read at most.
REACH = 65_536


@dataclass(frozen=True)
class Batch:
    """One batch: inputs, targets and, if there are any, sample weights."""

    x: Any
    y: Any
    sample_weight: Any = None

    @property
    def size(self) -> int:
        """Number of examples."""
        return int(np.shape(tree.flatten(self.x)[0])[0])


@dataclass(frozen=True)
class Sample:
    """A fixed sample of a dataset, in batches of NumPy arrays."""

    batches: tuple[Batch, ...]

    def __repr__(self) -> str:
        return f"<Sample of {self.size} examples in {len(self.batches)} batches>"

    @property
    def size(self) -> int:
        """Number of examples."""
        return sum(batch.size for batch in self.batches)

    def part(self, start: int, stop: int) -> Sample:
        """The batches that begin within these examples."""
        first = np.cumsum([0, *(batch.size for batch in self.batches[:-1])])
        inside = (first >= start) & (first < stop)
        return Sample(tuple(b for b, i in zip(self.batches, inside, strict=True) if i))


def is_arrays(dataset: Any) -> bool:
    """Whether a dataset is a tuple of arrays: (x, y) or (x, y, sample_weight)."""
    return isinstance(dataset, (tuple, list))


def draw_sample(
    dataset: Any,
    *,
    size: int,
    batch_size: int | None = None,
    seed: int = 0,
    class_weight: Mapping[int, float] | None = None,
    most_bytes: int | None = None,
) -> Sample:
    """Draws a sample, every example read being as likely as any other.

    Arrays are sampled at random. A stream (such as `tf.data`) is read to its end, but
    no further than `REACH` examples: one that is sorted and longer needs shuffling. A
    `PyDataset` is read in random batches, four times as many examples as are drawn.

    Args:
        dataset: `(x, y)` or `(x, y, sample_weight)` arrays, a `keras.utils.PyDataset`,
            an `ImageData` or a PyTorch `DataLoader` (their first epoch), or an iterable
            of such batches.
        size: number of examples; fewer if the dataset is smaller.
        batch_size: examples per batch; default: 32 for arrays, else that of the
            first batch.
        seed: seed of the draw.
        class_weight: weight of every class, by number, as `fit` takes it; others
            weigh 1.
        most_bytes: draw fewer if they would take more memory than this.

    Raises:
        DataError: the dataset is empty, has no targets, or is of another kind;
            `class_weight` is given and there are several outputs.
    """
    if size < 1 or (batch_size is not None and batch_size < 1):
        raise DataError(
            f"Got sample_size={size}, batch_size={batch_size}; expected at least 1."
        )
    generator = np.random.default_rng(seed)
    most: float = most_bytes or math.inf
    batches: Iterator[Batch]
    stream: Iterator[Batch]
    dataset = _first_epoch(dataset, seed)
    if is_arrays(dataset):
        whole = whole_of(dataset)
        size = _within(size, whole, most)
        rows = generator.permutation(whole.size)[:size]
        batches = _batched(whole, rows, batch_size or 32)
    elif isinstance(dataset, keras.utils.PyDataset):
        order = generator.permutation(dataset.num_batches or 0)
        stream = (_unpack(dataset[int(index)]) for index in order)
        size, stream = _peek(size, stream, most)
        batches = _reservoir(stream, size, 4 * size, batch_size, generator)
    elif _is_stream(dataset):
        stream = (_unpack(element) for element in dataset)
        size, stream = _peek(size, stream, most)
        reach = max(size, REACH)
        batches = _reservoir(stream, size, reach, batch_size, generator)
    else:
        raise _of_another_kind(dataset)
    taken = tuple(batches)
    if not taken:
        raise DataError("The dataset is empty: it yielded no batch.")
    sample = Sample(taken)
    return sample if class_weight is None else weighted_by_class(sample, class_weight)


def first_batch(dataset: Any) -> Batch:
    """A batch to see what a dataset holds: the first one, or arrays as a whole.

    Args:
        dataset: as `draw_sample` takes it.

    Raises:
        DataError: the dataset is empty, has no targets, or is of another kind.
    """
    dataset = _first_epoch(dataset, seed=0)
    if is_arrays(dataset):
        return whole_of(dataset)
    if not isinstance(dataset, keras.utils.PyDataset) and not _is_stream(dataset):
        raise _of_another_kind(dataset)
    element = next(iter(_InOrder(dataset)), None)
    if element is None:
        raise DataError("The dataset is empty: it yielded no batch.")
    return _unpack(element)


def _first_epoch(dataset: Any, seed: int) -> Any:
    """Of what has numbered epochs, the first one; anything else as it is."""
    if is_torch_loader(dataset):
        dataset = LoaderEpochs(dataset, seed)
    if not hasattr(dataset, "epoch_dataset"):
        return dataset
    # An epoch is a stream on any backend: the same examples are drawn.
    return _InOrder(dataset.epoch_dataset(0))


def _of_another_kind(dataset: Any) -> DataError:
    return DataError(
        f"Got a dataset of type {type(dataset).__name__}; expected arrays "
        "(x, y), a tf.data.Dataset, a keras.utils.PyDataset or a PyTorch "
        "DataLoader. A generator can be read only once: wrap it in a PyDataset."
    )


class _InOrder:
    """Batches one after the other, of a PyDataset too."""

    def __init__(self, batches: Any) -> None:
        self._batches = batches

    def __iter__(self) -> Iterator[Any]:
        if isinstance(self._batches, keras.utils.PyDataset):
            return map(self._batches.__getitem__, range(len(self._batches)))
        return iter(self._batches)


def _is_stream(dataset: Any) -> bool:
    """Whether a dataset can be iterated, and more than once."""
    if isinstance(dataset, np.ndarray):
        return False
    return hasattr(dataset, "__iter__") and not hasattr(dataset, "__next__")


def weighted_by_class(sample: Sample, class_weight: Mapping[int, float]) -> Sample:
    """The sample with `class_weight`, as `fit` takes it, in its sample weights.

    Args:
        sample: with integer or one-hot targets of a single output.
        class_weight: weight of every class, by number; others weigh 1.

    Raises:
        DataError: there are several outputs.
    """

    def weigh(batch: Batch) -> Batch:
        if not isinstance(batch.y, np.ndarray):
            raise DataError("class_weight is for models with a single output.")
        one_hot = batch.y.ndim > 1 and batch.y.shape[-1] > 1
        classes = batch.y.argmax(-1) if one_hot else batch.y.reshape(batch.size)
        weights = np.array([class_weight.get(int(c), 1.0) for c in classes])
        given = 1.0 if batch.sample_weight is None else batch.sample_weight
        return Batch(batch.x, batch.y, (weights * given).astype(np.float32))

    return Sample(tuple(weigh(batch) for batch in sample.batches))


def _within(size: int, batch: Batch, most_bytes: float) -> int:
    """How many examples like those of a batch take no more memory than that."""
    each = sum(a.nbytes for a in tree.flatten(batch.x)) / max(batch.size, 1)
    return size if each == 0 else max(1, int(min(size, most_bytes // each)))


def _peek(
    size: int, batches: Iterator[Batch], most_bytes: float
) -> tuple[int, Iterator[Batch]]:
    """The size within the memory, and the batches, the first of which it needs."""
    first = next(batches, None)
    if first is None:
        return size, iter(())
    return _within(size, first, most_bytes), itertools.chain([first], batches)


def whole_of(dataset: Any) -> Batch:
    """A tuple of arrays as one batch.

    Raises:
        DataError: they differ in length, or are not (x, y) or (x, y, sample_weight).
    """
    return _unpack(tuple(dataset))


def _reservoir(
    batches: Iterator[Batch],
    size: int,
    reach: int,
    batch_size: int | None,
    generator: np.random.Generator,
) -> Iterator[Batch]:
    """Draws from a stream: every example gets a random key, the lowest keys stay.

    Never holds more than twice the sample and a batch.
    """
    kept: list[Batch] = []
    keys = np.zeros(0)
    read, highest = 0, np.inf
    for batch in batches:
        if batch.size == 0:
            continue
        batch_size = batch_size or batch.size
        batch = take_rows(batch, slice(0, reach - read))
        read += batch.size
        drawn = generator.random(batch.size)
        chosen = np.flatnonzero(drawn < highest)
        if len(chosen):
            kept.append(take_rows(batch, chosen))
            keys = np.append(keys, drawn[chosen])
        if len(keys) >= 2 * size:
            lowest = np.argsort(keys)[:size]
            kept, keys = [take_rows(_concatenate(kept), lowest)], keys[lowest]
            highest = keys[-1]
        if read >= reach:
            break
    if kept:
        yield from _batched(
            _concatenate(kept), np.argsort(keys)[:size], batch_size or 1
        )


def _batched(whole: Batch, rows: np.ndarray, batch_size: int) -> Iterator[Batch]:
    for start in range(0, len(rows), batch_size):
        yield take_rows(whole, rows[start : start + batch_size])


def _unpack(element: Any) -> Batch:
    """A batch of arrays, all of one length.

    Raises:
        DataError: it is something else.
    """
    if not isinstance(element, (tuple, list)) or len(element) not in (2, 3):
        kind = type(element).__name__
        raise DataError(
            f"Got dataset elements of type {kind}"
            + (f" and length {len(element)}" if isinstance(element, tuple) else "")
            + "; expected (x, y) or (x, y, sample_weight)."
        )
    batch = Batch(*(_as_arrays(part) for part in element))
    for what, part in (("inputs", batch.x), ("targets", batch.y)):
        if part is None:
            raise DataError(f"The dataset has no {what}; expected (x, y).")
    shapes = [
        a.shape
        for a in tree.flatten((batch.x, batch.y, batch.sample_weight))
        if a is not None
    ]
    if len({shape[:1] for shape in shapes}) > 1 or () in shapes:
        raise DataError(
            f"Got arrays of different lengths: {shapes}; expected one in all, that "
            "of the batch. Batch the dataset, and give every example its target."
        )
    return batch


def _as_arrays(part: Any) -> Any:
    # Tuples, because tf.data takes a list for an array.
    part = tree.lists_to_tuples(part)
    try:
        return None if part is None else tree.map_structure(np.asarray, part)
    except ValueError as error:
        raise DataError(
            f"The dataset cannot be read as arrays: {error} Give arrays of numbers."
        ) from error


def take_rows(batch: Batch, rows: Any) -> Batch:
    """The examples of a batch with these indices, or in this slice."""
    x, y, weight = tree.map_structure(
        lambda array: array[rows],
        (batch.x, batch.y, batch.sample_weight if _weighted(batch) else ()),
    )
    return Batch(x, y, weight if _weighted(batch) else None)


def _weighted(batch: Batch) -> bool:
    return batch.sample_weight is not None


def _concatenate(batches: list[Batch]) -> Batch:
    def join(*arrays: np.ndarray) -> np.ndarray:
        return np.concatenate(arrays)

    first = batches[0]
    return Batch(
        tree.map_structure(join, *[b.x for b in batches]),
        tree.map_structure(join, *[b.y for b in batches]),
        tree.map_structure(join, *[b.sample_weight for b in batches])
        if _weighted(first)
        else None,
    )


def divided(sample: Sample, placement: Placement) -> Sample:
    """A sample of which every batch can be divided; the whole of it on every process.

    Raises:
        DataError: none can.
    """
    if not placement.divides:
        return sample
    batches = [
        take_rows(batch, slice(0, placement.whole(batch.size)))
        for batch in sample.batches
        if placement.whole(batch.size)
    ]
    if not batches:
        placement.rows(sample.batches[0].size)
    return Sample(tuple(batches))
