"""The job of `inspect_model.py`."""

import _estimators
import _images
import _models
import keras
from _program import UsageError

from flags import builtin, inspecting, program, sampling
from flags import data as data_flags
from flags import model as model_flags
from tf_splitting import count_params, estimate, models, trace
from tf_splitting.costs import growable_share, macs_terms, total
from tf_splitting.errors import ModelError
from tf_splitting.models import unknown_name
from tf_splitting.support import format_count, in_a_line
from tf_splitting.tracing import ChannelGraph

SHIPPED_CLASSES = 10


def run() -> None:
    """Prints the spaces of the model that the flags name, and its indices."""
    model = _model()
    graph = trace(model)
    print(graph)
    print(f"\n{_summary(graph, model)}")
    if inspecting.SCORES.value:
        print(f"\n{_scores(model)}")


def _model() -> keras.Model:
    name = model_flags.MODEL.value
    if hasattr(keras.applications, name) and name[:1].isupper():
        return _application(name)
    if not _models.is_builtin() and "." not in name and "/" not in name:
        classes = [n for n in dir(keras.applications) if n[:1].isupper()]
        raise unknown_name("model", name, [*models.names(), *classes])
    _models.check_name()
    if _models.is_builtin():
        return _models.build(SHIPPED_CLASSES)
    return _models.load(name)


def _application(name: str) -> keras.Model:
    given = [f"--{holder.name}" for holder in builtin.ALL if holder.present]
    if given:
        raise UsageError(f"{', '.join(given)}: for built-in models only, not {name}.")
    options = {}
    if model_flags.IMAGE_SIZE.value:
        options["input_shape"] = (model_flags.IMAGE_SIZE.value,) * 2 + (3,)
        options["include_top"] = False
        options["pooling"] = "avg"
    try:
        model = getattr(keras.applications, name)(weights=None, **options)
        if None in model.input_shape[1:]:
            # Some take any size by default, at which MACs are unknown.
            options["input_shape"] = (224, 224, 3)
            model = getattr(keras.applications, name)(weights=None, **options)
    except ValueError as error:
        raise ModelError(
            f"{name} cannot be built at --image_size={model_flags.IMAGE_SIZE.value}: "
            f"{in_a_line(error)}. Give another size."
        ) from error
    return model


def _summary(graph: ChannelGraph, model: keras.Model) -> str:
    """How much of the model may grow."""
    macs = total(macs_terms(graph), graph.widths)
    return (
        f"{graph.name}: {format_count(macs)} MACs, "
        f"{format_count(count_params(model))} params\n"
        f"{len(graph.growable)} of {len(graph.spaces)} spaces may grow; "
        f"{growable_share(graph):.1%} of the MACs are in layers that grow with them"
    )


def _scores(model: keras.Model) -> str:
    images = _images.load(
        _models.image_shape(model), train_limit=data_flags.train_limit()
    )
    _images.check_classes(_models.outputs(model), images)
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=not _models.ends_in_softmax(model)
    )
    scores = estimate(
        model,
        images,
        estimator=_estimators.chosen(),
        loss=loss,
        sample_size=sampling.SAMPLE_SIZE.value,
        seed=program.SEED.value,
    )
    return f"{scores}\n(loss {scores.loss:.4f} on {scores.examples} images)"
