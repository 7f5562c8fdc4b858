"""From the arguments of `grow`, `shrink` and the like to what a job is made of."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from tf_splitting.data import (
    LoaderEpochs,
    Sample,
    divided,
    draw_sample,
    is_arrays,
    is_torch_loader,
    whole_of,
)
from tf_splitting.errors import DataError
from tf_splitting.growing.arguments import JobArguments
from tf_splitting.growing.grow_and_reallocate import GrowAndReallocate
from tf_splitting.growing.grow_arguments import GrowArguments
from tf_splitting.growing.grower import Grower
from tf_splitting.growing.reallocate_arguments import ReallocateArguments
from tf_splitting.growing.reallocator import Reallocator
from tf_splitting.growing.recording import Rounds
from tf_splitting.growing.resizer import Resizer
from tf_splitting.growing.shrink_arguments import ShrinkArguments
from tf_splitting.growing.shrinker import Shrinker
from tf_splitting.jobs import Keeper, describe_model, describe_training, lock, plain
from tf_splitting.support import Placement, placement_of
from tf_splitting.training import (
    ComputeSchedule,
    Feed,
    GrowthHistory,
    Schedule,
    as_feed,
    check_batch,
    check_data,
    divide,
    set_validation_aside,
)


@dataclass(frozen=True)
class Parts:
    """What jobs on the same model and data have in common.

    Attributes:
        model: what they start from.
        feed, sample, fit_arguments, placement: as a `Job`'s.
        directory: where they are kept, if anywhere.
    """

    model: keras.Model
    feed: Feed
    sample: Sample
    fit_arguments: dict[str, Any]
    placement: Placement
    directory: Path | None

    def of(
        self, arguments: JobArguments, schedule: Schedule, folder: str = ""
    ) -> dict[str, Any]:
        """What a `Job` is made of.

        Args:
            arguments: its own.
            schedule: its rounds and epochs.
            folder: where it is kept in the directory.
        """
        history = GrowthHistory() if arguments.history is None else arguments.history
        resizer = _resizer(arguments, self.sample, schedule, history)
        keeper = None
        if self.directory is not None:
            keeper = Keeper(
                self.directory / folder,
                _configuration(self.model, self.feed, arguments),
                defaults=plain(arguments.defaults()),
                split_untrainable=resizer is not None
                and resizer.arguments.split_untrainable,
                writes=self.placement.is_chief,
            )
        return {
            "feed": self.feed,
            "schedule": schedule,
            "sample": self.sample,
            "arguments": arguments,
            "resizer": resizer,
            "history": history,
            "fit_arguments": self.fit_arguments,
            "placement": self.placement,
            "keeper": keeper,
        }


@contextmanager
def opened_job(
    model: keras.Model, dataset: Any, arguments: JobArguments, schedule: Schedule
) -> Iterator[Parts]:
    """What a job is made of, from its arguments; nobody else may keep one there.

    Args:
        model: what it starts from.
        dataset: what it is trained on.
        arguments: of the job.
        schedule: of the job.
    """
    placement = placement_of(model)
    dataset, fit = set_validation_aside(
        dataset, {"validation_data": arguments.validation_data, **arguments.fit}
    )
    feed = as_feed(
        dataset,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        shuffle=fit.pop("shuffle", True),
        steps=fit.pop("steps_per_epoch", None),
    )
    if isinstance(schedule, ComputeSchedule) and feed.total is None:
        raise DataError(
            f"Got training_epochs={schedule.training_epochs:g} with a "
            f"{type(dataset).__name__} of which nobody knows how many batches an epoch "
            "has. Give steps_per_epoch, or epochs and final_epochs in place of "
            "training_epochs."
        )
    if feed.last_batch is not None:
        placement.rows(feed.last_batch)
    fit["validation_data"] = divide(
        _in_turn(fit["validation_data"], arguments.seed),
        placement,
        fit.get("validation_batch_size"),
    )
    sample = _draw(model, dataset, arguments, placement)
    with ExitStack() as stack:
        directory = None
        if arguments.checkpoint_dir is not None:
            directory = Path(arguments.checkpoint_dir).expanduser()
            if placement.is_chief:
                stack.enter_context(lock(directory))
        yield Parts(model, feed, sample, fit, placement, directory)


def _in_turn(validation_data: Any, seed: int) -> Any:
    """Validation data of which every pass is the same, a PyTorch `DataLoader`'s too."""
    if not is_torch_loader(validation_data):
        return validation_data
    source = LoaderEpochs(validation_data, seed)
    if source.steps is None:
        raise DataError(
            "Got a DataLoader without a length as validation_data. Give its dataset a "
            "__len__, or validation_data of another kind."
        )
    return source.epoch_dataset(0)


def _resizer(
    arguments: JobArguments, sample: Sample, schedule: Schedule, history: GrowthHistory
) -> Resizer | None:
    """What changes the job's model between its phases, if anything does."""
    rounds = Rounds(sample, schedule, history, arguments.verbose)
    if isinstance(arguments, ShrinkArguments):
        return Shrinker(arguments, rounds)
    if isinstance(arguments, ReallocateArguments):
        count = len(schedule.targets)
        return Reallocator(arguments, arguments.exchanges, count, rounds)
    if not isinstance(arguments, GrowArguments):
        return None
    grower, count = Grower(arguments, rounds), arguments.reallocations
    if not count:
        return grower
    return GrowAndReallocate(
        grower, Reallocator(arguments, arguments.exchanges, count, rounds)
    )


def _draw(
    model: keras.Model, dataset: Any, arguments: JobArguments, placement: Placement
) -> Sample:
    """The job's fixed sample, once it is known to fit the model."""
    class_weight = arguments.class_weight
    sample = draw_sample(
        dataset,
        batch_size=arguments.batch_size,
        seed=arguments.seed,
        class_weight=class_weight,
        **arguments.sampling,
    )
    sample = divided(sample, placement)
    if class_weight is not None and is_arrays(dataset) and len(dataset) == 3:
        raise DataError(
            "Got both class_weight and sample weights, of which Keras takes one. "
            "Multiply them into the sample weights."
        )
    check_data(model, sample)
    if is_arrays(dataset):
        check_batch(model, whole_of(dataset), "the arrays")
    return sample


def _configuration(
    model: keras.Model, feed: Feed, arguments: JobArguments
) -> dict[str, Any]:
    """What makes the job what it is, as plain data."""
    return plain(
        {
            **arguments.configuration,
            **describe_training(model),
            "model": describe_model(model),
            "dataset": feed.description,
        }
    )
