"""Carries a model's compile settings over to its grown version.

Keras' public way, `get_compile_config` and `compile_from_config`, cannot carry a loss
or metric that is a plain Python function. The arguments that `compile` received are
kept in the private `_compile_config`, and the loss made of them in `_compile_loss`;
this is the one place that reads them, and `tests/support/test_compile_settings.py`
fails when Keras changes them.
"""

from __future__ import annotations

import inspect
from typing import Any

import keras


def copy_compile_settings(old: keras.Model, new: keras.Model) -> None:
    """Compiles `new` as `old` is: same loss and metrics, an optimizer of its own.

    Metrics hold state, so those given as objects are made anew from their config.
    """
    settings = dict(old._compile_config.config)
    settings["optimizer"] = fresh_optimizer(old.optimizer)
    for key in ("metrics", "weighted_metrics"):
        settings[key] = _fresh_metrics(settings[key])
    # An optimizer that compile has wrapped for loss scaling is wrapped already.
    new.compile(**settings, auto_scale_loss=False)


def compiled_loss(
    model: keras.Model, x: Any, y: Any, y_pred: Any, sample_weight: Any
) -> Any:
    """Loss of the targets, without regularizers, unless the model has its own way.

    `compute_loss` adds `model.losses`; what an activity regularizer left there belongs
    to the model's last call, which may have been in a graph that is gone.
    """
    if has_own_loss(model):
        parameters = inspect.signature(model.compute_loss).parameters
        kinds = {each.kind for each in parameters.values()}
        told = "training" in parameters or inspect.Parameter.VAR_KEYWORD in kinds
        # As Keras does: those that people wrote for an older one do not take it.
        training = {"training": False} if told else {}
        return model.compute_loss(x, y, y_pred, sample_weight, **training)
    return model._compile_loss(y, y_pred, sample_weight)


def has_own_loss(model: keras.Model) -> bool:
    """Whether a model computes its loss in a way of its own."""
    return type(model).compute_loss is not keras.Model.compute_loss


def fresh_optimizer(optimizer: keras.Optimizer) -> keras.Optimizer:
    """An unbuilt optimizer with the same settings, current learning rate included."""
    return type(optimizer).from_config(optimizer.get_config())


def has_own_schedule(optimizer: keras.Optimizer) -> bool:
    """Whether the optimizer follows a `LearningRateSchedule` of its user's."""
    config = optimizer.get_config()["learning_rate"]
    return not isinstance(config, (int, float))


def _fresh_metrics(metrics: Any) -> Any:
    if isinstance(metrics, dict):
        return {key: _fresh_metrics(value) for key, value in metrics.items()}
    if isinstance(metrics, (list, tuple)):
        return [_fresh_metrics(value) for value in metrics]
    if isinstance(metrics, keras.Metric):
        return type(metrics).from_config(metrics.get_config())
    return metrics
