"""The job of `inspect_model.py`."""

import _estimators
import _images
import _models
import _weights
import keras

from flags import data as data_flags
from flags import inspecting, program, sampling
from flags import model as model_flags
from tf_splitting import count_params, estimate, trace
from tf_splitting.costs import growable_share, macs_terms, total
from tf_splitting.support import format_count
from tf_splitting.tracing import ChannelGraph

SHIPPED_CLASSES = 10
PUBLISHED_CLASSES = 1000


def run() -> None:
    """Prints the spaces of the model that the flags name, and its indices."""
    model = _model()
    graph = trace(model)
    print(graph)
    print(f"\n{_summary(graph, model)}")
    if inspecting.SCORES.value:
        print(f"\n{_scores(model)}")


def _model() -> keras.Model:
    _models.check_name()
    _weights.check()
    if not _models.is_named():
        return _models.load(model_flags.MODEL.value)
    classes = SHIPPED_CLASSES if _models.is_builtin() else PUBLISHED_CLASSES
    return _weights.build(classes)[0]


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
