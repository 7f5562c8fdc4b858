"""What a growing job leaves behind: files, and the last lines on the terminal."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import numpy as np

from tf_splitting import GrowthHistory, count_params, trace
from tf_splitting.data import ImageData
from tf_splitting.exporting import (
    Curve,
    export_litert,
    export_saved_model,
    is_available,
    plot_growth,
    width_table,
    write_report,
)
from tf_splitting.models import read_model
from tf_splitting.support import (
    alone,
    appearing,
    format_count,
    format_seconds,
    placement_of,
)
from tf_splitting.training import divide
from tf_splitting_programs.flags import job
from tf_splitting_programs.jobs import chosen_model, devices
from tf_splitting_programs.running import stderr_held_back

# Images that a SavedModel is compared on with the Keras model.
COMPARED = 8
HISTORY = "history.json"
PICTURE = "growth.png"
REPORT = "report.html"
SAVED_MODEL = "saved_model"
LITERT = "model.tflite"
LOGS = "logs"


def write(
    result: keras.Model,
    images: ImageData,
    history: GrowthHistory,
    folder: Path,
    name: str,
    command: str,
    *,
    exports: bool = True,
) -> None:
    """Writes the history, the model, the picture and, if asked for, exports.

    One process does, alone. What is there is whole, and this job's: a run before this
    one got so far.

    Args:
        result: the model.
        images: that it was trained on.
        history: of the job.
        folder: where everything goes.
        name: of the model's file.
        command: that the job goes on with.
        exports: whether other formats are written that were asked for.

    Raises:
        OSError: the disk does not take one of them; those before it are there.
    """
    history.save(folder / HISTORY)
    if not (folder / name).exists():
        with alone(), appearing(folder / name) as temporary:
            result.save(temporary)
    if history.epochs and not (folder / PICTURE).exists():
        title = f"{result.name} on {images.name}"
        plot_growth(history.epochs, folder / PICTURE, title=title)
    if not (folder / REPORT).exists():
        write_page(result, images, history, folder, command)
    wanted = {
        SAVED_MODEL: (job.EXPORT, export_saved_model),
        LITERT: (job.LITERT, export_litert),
    }
    missing = [
        (folder / file, export)
        for file, (flag, export) in wanted.items()
        if exports and flag.value and is_available() and not (folder / file).exists()
    ]
    if not missing:
        return
    inputs = np.asarray(next(iter(images.test))[0])[:COMPARED]
    with alone():
        if placement_of(result).processes > 1:
            # What all processes hold together cannot compute in one.
            result = read_model(folder / name)
        for path, export in missing:
            # Converters report their progress there.
            with stderr_held_back():
                export(result, path, inputs=inputs)


def write_page(
    model: keras.Model,
    images: ImageData,
    history: GrowthHistory,
    folder: Path,
    command: str,
    curves: Sequence[Curve] = (),
    quantity: str = "",
) -> None:
    """Writes the report of a job.

    Args:
        model, images, history, folder, command: as for `write`.
        curves, quantity: of a family, see `write_report`.
    """
    write_report(
        history,
        folder / REPORT,
        title=f"{model.name} on {images.name}",
        command=command,
        facts={
            "Training images": f"{images.train_size}",
            "Test images": f"{images.test_size}",
            "Classes": f"{images.classes}",
        },
        curves=curves,
        quantity=quantity,
    )


def report(
    result: keras.Model,
    images: ImageData,
    before: Mapping[str, int],
    history: GrowthHistory,
    folder: Path,
) -> None:
    """Prints the widths, the test result, what it costs and has cost, and the files.

    Every process takes part in the test, and the first one prints.
    """
    measured = tested(result, images)
    if not devices.is_chief():
        return
    print(f"\n{width_table(before, trace(result).layer_widths())}\n")
    macs, params = chosen_model.macs(result), count_params(result)
    print(f"test: {in_words(measured)} on {images.test_size} images")
    print(f"cost: {format_count(macs)} MACs, {format_count(params)} params")
    print(f"training: {spent(history.compute, history.seconds, macs, images)}")
    print(listing(folder))


def tested(model: keras.Model, images: ImageData) -> dict[str, float]:
    """Loss and metrics on the test images; every process takes part."""
    test = divide(images.test, placement_of(model))
    return model.evaluate(test, verbose=0, return_dict=True)


def in_words(metrics: Mapping[str, float]) -> str:
    """Loss and metrics as they are printed."""
    return ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())


def listing(folder: Path) -> str:
    """What a job has left in its folder."""
    names = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    return f"in {folder}: {', '.join(names)}"


def spent(compute: float, seconds: float, macs: int, images: ImageData) -> str:
    """What training has cost, in words."""
    epochs = compute / macs / images.train_size
    return (
        f"{format_count(compute)} MACs x images, as {epochs:.2f} epochs of this model; "
        f"{format_seconds(seconds)}"
    )
