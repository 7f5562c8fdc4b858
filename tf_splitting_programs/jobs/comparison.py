"""A family next to each other, to its seed, and to the seed scaled by width."""

import json
from collections.abc import Sequence
from dataclasses import asdict, replace

import keras

from tf_splitting import (
    GrowthHistory,
    Member,
    scale,
    train,
)
from tf_splitting.exporting import Curve, metric_name, plot_family
from tf_splitting.support import (
    format_count,
    format_seconds,
    format_table,
    write_text_atomically,
)
from tf_splitting_programs.flags import growing, program, widths
from tf_splitting_programs.jobs import chosen_model, devices, results, training_job
from tf_splitting_programs.jobs.family import ROW, SEED, Row, row_in, written
from tf_splitting_programs.jobs.stages import stage

FAMILY, PICTURE = "family.json", "family.png"
SCALED, SCALED_FILE = "scaled", "scaled.keras"


def report(job: training_job.Setting) -> None:
    """Makes the baselines asked for, writes the comparison, and prints it."""
    members = job.history.members
    if growing.BASELINES.value:
        for member in members:
            _make_baseline(member, job)
    if not devices.is_chief():
        return
    folders = [job.folder / stage(member.target_macs) for member in members]
    seed = row_in(job.folder / SEED)
    grown = [row_in(folder / ROW) for folder in folders]
    scaled = [row_in(f / SCALED / ROW) for f in folders if growing.BASELINES.value]
    _write(job, seed, grown, scaled)
    print(f"\n{table([seed, *grown, *scaled])}\n")
    history, largest = job.history, grown[-1].macs
    whole = results.spent(history.compute, history.seconds, largest, job.images)
    alone = format_count(sum(row.compute for row in grown))
    print(f"training of the whole job: {whole}")
    print(f"each member by itself would have taken {alone} MACs x images in all")
    print(results.listing(job.folder))


def table(rows: Sequence[Row]) -> str:
    """The rows as text: cost, metrics, milliseconds for an image, training."""
    metrics = list(dict.fromkeys(name for row in rows for name in row.metrics))
    runtimes = list(dict.fromkeys(name for row in rows for name in row.latency))
    lines = [
        (
            "",
            "MACs",
            "params",
            *metrics,
            *(f"{name} ms" for name in runtimes),
            "compute",
            "time",
        )
    ]
    for row in rows:
        lines.append(
            (
                row.name,
                format_count(row.macs),
                format_count(row.params),
                *(_number(row.metrics.get(name), 4) for name in metrics),
                *(_number(row.latency.get(name), 2) for name in runtimes),
                format_count(row.compute),
                format_seconds(row.seconds),
            )
        )
    return format_table(lines)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


def _make_baseline(member: Member, job: training_job.Setting) -> None:
    """Trains the seed, scaled by width, with what has gone into a member."""
    target = member.target_macs
    keras.utils.set_random_seed(program.SEED.value)
    multiple = widths.WIDTH_MULTIPLE.value
    shape = chosen_model.image_shape(job.model)
    model = scale(
        job.model, target_macs=target, width_multiple=multiple, input_shape=shape
    )
    passes = member.compute / chosen_model.macs(model) / job.images.train_size
    own = replace(
        job, history=GrowthHistory(), members=(), part=f"{SCALED}-{target:.15g}"
    )
    if devices.is_chief():
        print(f"scaled to {format_count(target)} MACs, to compare with:", flush=True)
    model = train(model, job.images, training_epochs=passes, **own.common)
    folder = job.folder / stage(target) / SCALED
    name = f"scaled to {format_count(target)}"
    written(model, name, own.history, folder, SCALED_FILE, job, exports=False)


def _write(
    job: training_job.Setting, seed: Row, grown: Sequence[Row], scaled: Sequence[Row]
) -> None:
    about = {
        "seed": asdict(seed),
        "grown": [asdict(row) for row in grown],
        "scaled": [asdict(row) for row in scaled],
        "compute": job.history.compute,
        "seconds": job.history.seconds,
    }
    metric = metric_name([dict.fromkeys(seed.metrics, 0.0)]) or "loss"
    rows = {"grown": grown, "scaled, with as much training": scaled, "seed": [seed]}
    curves = [
        Curve(label, [r.macs for r in its], [r.metrics[metric] for r in its])
        for label, its in rows.items()
        if its
    ]
    with training_job.told_of_a_full_disk(job.folder, job.again):
        job.history.save(job.folder / results.HISTORY)
        write_text_atomically(job.folder / FAMILY, json.dumps(about, indent=1))
        title = f"{job.model.name} on {job.images.name}"
        plot_family(
            curves, job.folder / PICTURE, quantity=f"test {metric}", title=title
        )
        results.write_page(
            job.model,
            job.images,
            job.history,
            job.folder,
            job.again,
            curves,
            f"test {metric}",
        )
