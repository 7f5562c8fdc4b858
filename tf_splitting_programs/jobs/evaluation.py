"""The job of `evaluate`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from tf_splitting import count_params
from tf_splitting.data import ImageData
from tf_splitting.exporting import load_saved_model
from tf_splitting.support import format_count, format_table
from tf_splitting_programs.flags import data as data_flags
from tf_splitting_programs.flags import model as model_flags
from tf_splitting_programs.jobs import chosen_model, image_set
from tf_splitting_programs.jobs.latency import median_milliseconds
from tf_splitting_programs.jobs.stages import GROWN, stages
from tf_splitting_programs.running import Call, UsageError


class Candidate(NamedTuple):
    """A model of either kind, as far as evaluating it goes."""

    run: Callable[[np.ndarray], np.ndarray]
    image_shape: tuple[int, int, int]
    outputs: int
    cost: str


class Figures(NamedTuple):
    """What there is to say of a model on the test images.

    Attributes:
        accuracy, loss, kind: see `score`.
        latency: median milliseconds per image by batch size.
    """

    accuracy: float
    loss: float
    kind: str
    latency: dict[int, float]


def run(_: Call) -> None:
    """Evaluates the model or the family that the flags name."""
    path = Path(model_flags.MODEL.value)
    if os.path.isdir(path) and (members := stages(path)):
        _evaluate_family(path, members)
        return
    candidate = _load(path)
    images = _images_for(candidate)
    figures = _figures(candidate, images)
    print(f"model     {model_flags.MODEL.value}")
    print(f"data      {images.test_size} test images of {images.name}")
    print(f"accuracy  {figures.accuracy:.4f}")
    print(
        f"loss      {figures.loss:.4f}  (cross-entropy; the outputs are {figures.kind})"
    )
    print(f"cost      {candidate.cost}")
    for size, spent in figures.latency.items():
        print(f"latency   {spent:.2f} ms per image at batch size {size} (median)")


def _evaluate_family(folder: Path, members: list[Path]) -> None:
    candidates = [_load(member / GROWN) for member in members]
    images = _images_for(candidates[0])
    found = [_figures(candidate, images) for candidate in candidates]
    sizes = [f"ms, batch {size}" for size in found[0].latency]
    rows = [("", "cost", "accuracy", "loss", *sizes)]
    for member, candidate, figures in zip(members, candidates, found):
        rows.append(
            (
                member.name,
                candidate.cost,
                f"{figures.accuracy:.4f}",
                f"{figures.loss:.4f}",
                *(f"{spent:.2f}" for spent in figures.latency.values()),
            )
        )
    print(f"{folder}, on {images.test_size} test images of {images.name}")
    print(format_table(rows))


def _images_for(candidate: Candidate) -> ImageData:
    images = image_set.load(candidate.image_shape)
    image_set.check_classes(candidate.outputs, images)
    return images


def _figures(candidate: Candidate, images: ImageData) -> Figures:
    outputs, labels = _predict(candidate, images)
    first = np.asarray(next(iter(images.test))[0])
    batch = np.resize(first, (data_flags.BATCH_SIZE.value, *first.shape[1:]))
    latency = {
        size: median_milliseconds(candidate.run, batch[:size])
        for size in sorted({1, len(batch)})
    }
    return Figures(*score(outputs, labels), latency)


def score(outputs: np.ndarray, labels: np.ndarray) -> tuple[float, float, str]:
    """`(accuracy, cross-entropy, "logits" or "probabilities")`.

    A SavedModel does not say which of the two its outputs are: they are probabilities
    if none is negative and every row sums to 1.

    Args:
        outputs: `[n, classes]`.
        labels: `[n]`.
    """
    sums = outputs.sum(axis=1)
    probable = outputs.min() >= 0 and np.allclose(sums, 1, atol=1e-3)
    losses = keras.losses.sparse_categorical_crossentropy(
        labels, outputs, from_logits=not probable
    )
    accuracy = float(np.mean(outputs.argmax(axis=1) == labels))
    kind = "probabilities" if probable else "logits"
    return accuracy, float(np.mean(losses)), kind


def _load(path: Path) -> Candidate:
    if not os.path.exists(path):
        raise UsageError(f"there is no model at {str(path)!r}: correct --model.")
    if path.is_dir():
        served = load_saved_model(path)
        return Candidate(
            served.run,
            chosen_model.image_shape(served),
            chosen_model.outputs(served),
            "not known of a SavedModel, which has no layers to count",
        )
    model = chosen_model.load(path)
    return Candidate(
        model.predict_on_batch,
        chosen_model.image_shape(model),
        chosen_model.outputs(model),
        f"{format_count(chosen_model.macs(model))} MACs, "
        f"{format_count(count_params(model))} params",
    )


def _predict(candidate: Candidate, images: ImageData) -> tuple[np.ndarray, np.ndarray]:
    outputs, labels = [], []
    for x, y in images.test:
        outputs.append(candidate.run(np.asarray(x)))
        labels.append(np.asarray(y))
    return np.concatenate(outputs), np.concatenate(labels)
