"""The folders of a family's members, and what is written to them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np

from tf_splitting import GrowthHistory, Member, count_params
from tf_splitting.exporting import load_litert, load_saved_model
from tf_splitting.models import read_model
from tf_splitting.support import (
    format_count,
    make_directory,
    placement_of,
    write_text_atomically,
)
from tf_splitting_programs.jobs import chosen_model, devices, results, training_job
from tf_splitting_programs.jobs.events import Events
from tf_splitting_programs.jobs.latency import median_milliseconds
from tf_splitting_programs.jobs.stages import GROWN, stage

ROW, SEED = "report.json", "seed.json"


@dataclass(frozen=True)
class Row:
    """What there is to say of a model.

    Attributes:
        name: what it is.
        macs, params: of the model.
        metrics: loss and metrics on the test images.
        latency: milliseconds for one image, by runtime.
        compute: training, in MACs times images.
        seconds: training.
    """

    name: str
    macs: int
    params: int
    metrics: dict[str, float]
    latency: dict[str, float]
    compute: float
    seconds: float


def write_member(model: keras.Model, member: Member, job: training_job.Setting) -> None:
    """Writes a member, as soon as it is finished; all processes are to call it."""
    if member is job.history.members[0]:
        _write_seed(job)
    folder = job.folder / stage(member.target_macs)
    name = f"grown to {format_count(member.target_macs)}"
    path = job.history.path_to(member)
    row = written(model, name, path, folder, GROWN, job)
    if row is not None:
        curve = {f"family/{name}": value for name, value in row.metrics.items()}
        Events(job.folder / results.LOGS / "family").add(row.macs, curve)


def written(
    model: keras.Model,
    name: str,
    history: GrowthHistory,
    folder: Path,
    file: str,
    job: training_job.Setting,
    *,
    exports: bool = True,
) -> Row | None:
    """Tests a model, writes it with its row, and says so; unless it is there already.

    Args:
        model: finished.
        name: of its row.
        history: what led to it.
        folder: where everything goes.
        file: name of the model's file.
        job: that it comes from.
        exports: whether other formats are written that were asked for.

    Returns:
        The row, if it is new.
    """
    # All processes look before any has tested, so that they see the same: what earlier
    # runs have written.
    new = not (folder / ROW).exists()
    metrics = results.tested(model, job.images) if new else {}
    if not devices.is_chief():
        return None
    with training_job.told_of_a_full_disk(job.folder, job.again):
        make_directory(folder)
        results.write(
            model, job.images, history, folder, file, job.again, exports=exports
        )
        if not new:
            return None
        row = Row(
            name,
            chosen_model.macs(model),
            count_params(model),
            metrics,
            _latency(model, folder, file, job),
            history.compute,
            history.seconds,
        )
        _write_row(row, folder / ROW)
    words = results.in_words(metrics)
    print(f"{name} MACs: {words} on the test images; in {folder}", flush=True)
    return row


def _write_row(row: Row, path: Path) -> None:
    write_text_atomically(path, json.dumps(asdict(row), indent=1))


def row_in(path: Path) -> Row:
    """The row of a model that was written."""
    return Row(**json.loads(path.read_text()))


def _write_seed(job: training_job.Setting) -> None:
    """Writes the seed's row, as it was before its first split."""
    path = job.folder / SEED
    if path.exists():
        return
    metrics = results.tested(job.model, job.images)
    if not devices.is_chief():
        return
    epochs = [epoch for epoch in job.history.epochs if epoch["round"] == 0]
    if epochs and (not job.begins or None in job.model.input_shape[1:]):
        # This process may not have trained it, nor does a job that fixes its sizes.
        # Then what was measured after its last epoch has to do, with moving statistics
        # that lag where steps are few.
        last = epochs[-1]
        metrics = {k.removeprefix("val_"): last[k] for k in last if k[:4] == "val_"}
    spent = GrowthHistory(epochs=epochs)
    macs, params = chosen_model.macs(job.model), count_params(job.model)
    row = Row("the seed", macs, params, metrics, {}, spent.compute, spent.seconds)
    with training_job.told_of_a_full_disk(job.folder, job.again):
        _write_row(row, path)


def _latency(
    model: keras.Model, folder: Path, file: str, job: training_job.Setting
) -> dict[str, float]:
    """Milliseconds for one image, in each runtime there is a file for."""
    image = np.asarray(next(iter(job.images.test))[0])[:1]
    if placement_of(model).processes > 1:
        # What all processes hold together cannot compute in one.
        model = read_model(folder / file)
    runtimes = {"Keras": model.predict_on_batch}
    if (folder / results.SAVED_MODEL).exists():
        runtimes["SavedModel"] = load_saved_model(folder / results.SAVED_MODEL).run
    if (folder / results.LITERT).exists():
        runtimes["LiteRT"] = load_litert(folder / results.LITERT)
    return {name: median_milliseconds(run, image) for name, run in runtimes.items()}
