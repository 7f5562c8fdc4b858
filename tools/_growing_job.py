"""The job of `grow.py`: from flags to a folder with a grown model."""

from pathlib import Path
from typing import Any

import _compiling
import _estimators
import _images
import _models
import _results
import _workdir
import keras
from _events import EpochEvents

from flags import data as data_flags
from flags import estimating, growing, program, training
from flags import model as model_flags
from tf_splitting import (
    GrowthHistory,
    count_macs,
    count_params,
    grow,
    trace,
)
from tf_splitting.checks import check_budget
from tf_splitting.data import ImageData
from tf_splitting.estimators import Estimator
from tf_splitting.progress import format_count
from tf_splitting.schedule import CosineDecay, Schedule, has_own_schedule
from tf_splitting.training import Recorder, StopOnNonFinite, fit


def run() -> None:
    """Runs the job that the flags describe.

    Raises:
        SplittingError, UsageError: the user's mistakes.
    """
    _models.check_name()
    saved = None if _models.is_builtin() else _models.load(model_flags.MODEL.value)
    # A head of one class costs least: a target below that needs no data to refuse.
    model = _models.build(classes=1) if saved is None else saved
    if growing.GROW.value:
        graph = trace(model, split_untrainable=growing.SPLIT_UNTRAINABLE.value)
        check_budget(model, graph, growing.TARGET_MACS.value, _selection())
    folder = _workdir.create()

    images = _images.load(
        _models.image_shape(model),
        train_limit=data_flags.train_limit(),
        augment=training.AUGMENT.value,
    )
    keras.utils.set_random_seed(program.SEED.value)
    model = _models.build(images.classes) if saved is None else saved
    _images.check_classes(model.output_shape[-1], images)
    _compiling.compile_model(model)
    _print_plan(model, images, folder)

    before = trace(model).layer_widths()
    history = GrowthHistory()
    try:
        grown = _train(model, images, history, EpochEvents(folder / "logs"))
    except KeyboardInterrupt:
        print(f"\nInterrupted; what there is so far is in {folder}.", flush=True)
        raise
    finally:
        # Whatever ends the job, hours of training leave their record.
        history.save(folder / "history.json")
    _results.write(grown, images, history, folder)
    _results.report(grown, images, before, folder)


def _print_plan(model: keras.Model, images: ImageData, folder: Path) -> None:
    height, width = _models.image_shape(model)[:2]
    print(
        f"{model.name}: {format_count(count_macs(model))} MACs, "
        f"{format_count(count_params(model))} params, "
        f"{model.optimizer.name}\n"
        f"{images.name}: {images.train_size} training and {images.test_size} test "
        f"images, {images.classes} classes, at {height} x {width} pixels"
    )
    if data_flags.is_cut():
        print(
            "  (a part of the set, to end soon; all of it with --train_limit=0 "
            "--test_limit=0)"
        )
    if growing.GROW.value:
        print(f"target: {format_count(growing.TARGET_MACS.value)} MACs")
    print(f"results: {folder}", flush=True)


def _train(
    model: keras.Model,
    images: ImageData,
    history: GrowthHistory,
    events: keras.callbacks.Callback,
) -> keras.Model:
    if not growing.GROW.value:
        return _train_only(model, images, history, events)
    options: dict[str, Any] = {}
    if growing.EPSILON.value is not None:
        options["epsilon"] = growing.EPSILON.value
    return grow(
        model,
        images.train,
        rounds=growing.ROUNDS.value or None,
        epochs=training.EPOCHS.value,
        final_epochs=training.FINAL_EPOCHS.value,
        method=growing.METHOD.value,
        estimator=_estimator(),
        sample_size=estimating.SAMPLE_SIZE.value,
        validation_data=images.test,
        callbacks=[events],
        seed=program.SEED.value,
        history=history,
        target_macs=growing.TARGET_MACS.value,
        split_untrainable=growing.SPLIT_UNTRAINABLE.value,
        verify=growing.VERIFY.value,
        **_selection(),
        **options,
    )


def _selection() -> dict[str, Any]:
    return {
        "cost": growing.COST.value,
        "width_multiple": growing.WIDTH_MULTIPLE.value,
        "max_widths": growing.MAX_WIDTH.value,
    }


def _estimator() -> Estimator | None:
    """The estimator asked for; None where the method takes none."""
    if growing.METHOD.value != "splitting" and not estimating.ESTIMATOR.present:
        return None
    return _estimators.chosen()


def _train_only(
    model: keras.Model,
    images: ImageData,
    history: GrowthHistory,
    events: keras.callbacks.Callback,
) -> keras.Model:
    """The final phase of a growing job, on its own: what baselines get."""
    epochs = training.FINAL_EPOCHS.value
    recorder = Recorder(history, Schedule((), 0, epochs), verbose=1)
    recorder.macs = count_macs(model)
    callbacks = [StopOnNonFinite(), recorder, events]
    if not has_own_schedule(model.optimizer):
        callbacks.append(CosineDecay(epochs))
    fit(
        model,
        images.train,
        batch_size=None,
        first_epoch=0,
        epochs=epochs,
        callbacks=callbacks,
        arguments={"validation_data": images.test},
    )
    return model
