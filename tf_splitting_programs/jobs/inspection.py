"""The job of `inspect`."""

import keras

from tf_splitting import count_params, estimate, trace
from tf_splitting.costs import growable_share, macs_terms, total
from tf_splitting.support import format_count
from tf_splitting.tracing import ChannelGraph
from tf_splitting_programs.flags import data as data_flags
from tf_splitting_programs.flags import inspecting, program, sampling
from tf_splitting_programs.flags import model as model_flags
from tf_splitting_programs.jobs import (
    chosen_model,
    estimators,
    image_set,
    starting_weights,
)
from tf_splitting_programs.running import Call

SHIPPED_CLASSES = 10
PUBLISHED_CLASSES = 1000


def run(_: Call) -> None:
    """Prints the spaces of the model that the flags name, and its indices."""
    model = _model()
    images = chosen_model.takes_images(model)
    shape = chosen_model.image_shape(model) if images else None
    graph = trace(model, input_shape=shape)
    print(graph)
    print(f"\n{_summary(graph, model)}")
    if inspecting.SCORES.value:
        print(f"\n{_scores(model)}")


def _model() -> keras.Model:
    chosen_model.check_name()
    starting_weights.check()
    if not chosen_model.is_named():
        return chosen_model.load(model_flags.MODEL.value)
    classes = SHIPPED_CLASSES if chosen_model.is_builtin() else PUBLISHED_CLASSES
    return starting_weights.build(classes)[0]


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
    images = image_set.load(
        chosen_model.image_shape(model), train_limit=data_flags.train_limit()
    )
    image_set.check_classes(chosen_model.outputs(model), images)
    loss = keras.losses.SparseCategoricalCrossentropy(
        from_logits=not chosen_model.ends_in_softmax(model)
    )
    scores = estimate(
        model,
        images,
        estimator=estimators.chosen(),
        loss=loss,
        sample_size=sampling.SAMPLE_SIZE.value,
        seed=program.SEED.value,
    )
    return f"{scores}\n(loss {scores.loss:.4f} on {scores.examples} images)"
