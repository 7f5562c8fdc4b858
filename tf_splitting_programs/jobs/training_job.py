"""A job that trains: from flags to a folder with a model of other widths."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import keras
from absl.flags import FLAGS

from tf_splitting import (
    GrowthHistory,
    Interrupted,
    count_params,
    stop_on_signals,
    trace,
)
from tf_splitting.data import ImageData
from tf_splitting.exporting import is_available
from tf_splitting.support import format_count, placement_of
from tf_splitting_programs.flags import data as data_flags
from tf_splitting_programs.flags import job, program, sampling, training
from tf_splitting_programs.flags import model as model_flags
from tf_splitting_programs.jobs import (
    chosen_model,
    compiling,
    determinism,
    devices,
    image_set,
    results,
    starting_weights,
    workdir,
)
from tf_splitting_programs.jobs.events import EpochEvents
from tf_splitting_programs.running import Call, UsageError


@dataclass(frozen=True)
class Setting:
    """What a job works with.

    Attributes:
        model: what it starts from, compiled.
        images: the data.
        history: filled in.
        folder: where results go.
        again: the command that goes on with the job.
        members: folders in there, of the members of a family but the last.
        begins: whether nothing of the job was saved before.
        part: of what is trained beside the job itself, a name for its checkpoints and
            events.
    """

    model: keras.Model
    images: ImageData
    history: GrowthHistory
    folder: Path
    again: str
    members: Sequence[str] = ()
    begins: bool = True
    part: str = ""

    @property
    def common(self) -> dict[str, Any]:
        """What every job is told besides its own arguments."""
        chief = devices.is_chief()
        logs = self.folder / results.LOGS / self.part
        events = EpochEvents(logs, self.history, self.members)
        return {
            "validation_data": self.images.test,
            "callbacks": [events] if chief else [],
            "verbose": 1 if chief else 0,
            "checkpoint_dir": self.folder / workdir.CHECKPOINTS / self.part,
            "history": self.history,
        }


@dataclass(frozen=True)
class Kind:
    """What is a tool's own of a job.

    Attributes:
        result: name of the file that it ends with.
        check: raises unless a model can be brought to the target, before there is data.
        target: what the plan says of the target, if anything.
        train: runs the job.
        report: writes and says what has come out, in place of the usual; called in
            all processes.
        members: see `Setting`.
    """

    result: str
    check: Callable[[keras.Model], None]
    target: Callable[[], str | None]
    train: Callable[[Setting], Any]
    report: Callable[[Any, Setting], None] | None = None
    members: Sequence[str] = ()


def run(kind: Kind, call: Call) -> None:
    """Runs the job that the flags describe, or goes on with it.

    Raises:
        SplittingError, UsageError: the user's mistakes.
        Interrupted: it was asked to stop.
    """
    chosen_model.check_name()
    starting_weights.check()
    if job.DETERMINISTIC.value:
        determinism.enable()
    with devices.chosen():
        _run_there(kind, call)


def given(arguments: type, *, own_sample: bool = False) -> dict[str, Any]:
    """The arguments that have a flag of their name, but for those left to the library.

    Args:
        arguments: the class that describes them.
        own_sample: whether the library's default takes another sample than the flag's,
            which is that of splitting.
    """
    values = FLAGS.flag_values_dict()
    # Images come in batches already.
    values.pop(data_flags.BATCH_SIZE.name)
    if own_sample and not sampling.SAMPLE_SIZE.present:
        values.pop(sampling.SAMPLE_SIZE.name)
    if training.TRAINING_EPOCHS.value is not None:
        # Of these two the flags have defaults; both given is one too many.
        for flag in (training.EPOCHS, training.FINAL_EPOCHS):
            if not flag.present:
                values.pop(flag.name)
    names = [field.name for field in fields(arguments)]
    return {name: values[name] for name in names if values.get(name) is not None}


def _check_export() -> None:
    """Says at once, and not at the end, what cannot be written.

    Raises:
        UsageError: it was asked for by name.
    """
    if is_available():
        return
    asked = [
        name
        for name, flag in {"export": job.EXPORT, "litert": job.LITERT}.items()
        if flag.present and flag.value
    ]
    if asked:
        raise UsageError(
            f"--{asked[0]}: it takes TensorFlow, which is not installed. Install it "
            'with `pip install "tf_splitting[tensorflow]"`, or leave the flag out.'
        )
    if job.EXPORT.value:
        print("no SavedModel will be written: TensorFlow is not installed", flush=True)


def _run_there(kind: Kind, call: Call) -> None:
    _check_export()
    # Before a model is loaded: layers such as dropout draw a seed when they are made.
    keras.utils.set_random_seed(program.SEED.value)
    saved = (
        None if chosen_model.is_named() else chosen_model.load(model_flags.MODEL.value)
    )
    # A head of one class costs least: a target below that needs no data to refuse.
    model = chosen_model.build(classes=1) if saved is None else saved
    kind.check(chosen_model.sized(model))
    with workdir.opened(call, kind.result) as folder, stop_on_signals():
        again = _again(call, folder)
        try:
            _run_in(kind, folder, again, saved, chosen_model.image_shape(model))
        except Interrupted as stop:
            if devices.is_chief():
                _say_how_to_go_on(stop, again)
            raise


def _run_in(
    kind: Kind,
    folder: Path,
    again: str,
    saved: keras.Model | None,
    shape: tuple[int, int, int],
) -> None:
    images = image_set.load(
        shape,
        train_limit=data_flags.train_limit(),
        augment=training.AUGMENT.value,
    )
    keras.utils.set_random_seed(program.SEED.value)
    origin = None
    if saved is None:
        model, origin = starting_weights.build(images.classes)
    else:
        model = saved
    image_set.check_classes(chosen_model.outputs(model), images)
    compiling.compile_model(model)
    chief = devices.is_chief()
    if chief:
        _print_plan(kind, model, images, folder, origin)

    widths = trace(model).layer_widths()
    begins = not (folder / workdir.CHECKPOINTS).exists()
    setting = Setting(
        model, images, GrowthHistory(), folder, again, kind.members, begins
    )
    try:
        result = kind.train(setting)
    except BaseException:
        # Whatever ends the job, hours of training leave their record. If the disk does
        # not take it, that is not what ended the job.
        if chief:
            with suppress(OSError):
                setting.history.save(folder / results.HISTORY)
        raise
    if kind.report is not None:
        kind.report(result, setting)
        return
    if chief:
        with told_of_a_full_disk(folder, again):
            results.write(result, images, setting.history, folder, kind.result, again)
    results.report(result, images, widths, setting.history, folder)


@contextmanager
def told_of_a_full_disk(folder: Path, again: str) -> Iterator[None]:
    """Says how to go on if results cannot be written."""
    try:
        yield
    except OSError:
        print(
            "not all results could be written; the job stays saved in "
            f"{folder / workdir.CHECKPOINTS}. Make room, and go on:\n"
            f"  {again}",
            flush=True,
        )
        raise


def _say_how_to_go_on(stop: Interrupted, again: str) -> None:
    if stop.checkpoint is None:
        print(f"stopped ({stop.reason}) before there was anything to save", flush=True)
        return
    print(
        f"stopped ({stop.reason}), saved in {stop.checkpoint}. To go on:\n  {again}",
        flush=True,
    )


def _again(call: Call, folder: Path) -> str:
    """The command that goes on with the job in this folder."""
    return call.command(*(() if job.WORKDIR.value else (f"--workdir={folder}",)))


def _print_plan(
    kind: Kind,
    model: keras.Model,
    images: ImageData,
    folder: Path,
    origin: str | None,
) -> None:
    height, width = chosen_model.image_shape(model)[:2]
    print(
        f"{model.name}: {format_count(chosen_model.macs(model))} MACs, "
        f"{format_count(count_params(model))} params, "
        f"{model.optimizer.name}\n"
        f"{images.name}: {images.train_size} training and {images.test_size} test "
        f"images, {images.classes} classes, at {height} x {width} pixels"
    )
    if origin is not None:
        print(f"weights: {origin}")
    if data_flags.is_cut():
        print(
            "  (a part of the set, to end soon; all of it with --train_limit=0 "
            "--test_limit=0)"
        )
    if (target := kind.target()) is not None:
        print(f"target: {target}")
    placement = placement_of(model)
    if placement.divides:
        shared = f" of {placement.processes} processes" * (placement.processes > 1)
        print(f"devices: {placement.devices}{shared} share each batch")
    print(f"results: {folder}", flush=True)
