"""Compiles the model that a job trains."""

import keras

from tf_splitting_programs.flags import training
from tf_splitting_programs.jobs import chosen_model

_OPTIMIZERS = {
    "sgd": lambda **o: keras.optimizers.SGD(momentum=0.9, nesterov=True, **o),
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "rmsprop": keras.optimizers.RMSprop,
}


def compile_model(model: keras.Model) -> None:
    """Compiles a model for classification with the optimizer that the flags describe.

    A model that is compiled already, and no flag of the optimizer's given, is left as
    it is.
    """
    given = any(holder.present for holder in training.OF_OPTIMIZER)
    if model.compiled and not given:
        return
    model.compile(
        _OPTIMIZERS[training.OPTIMIZER.value](
            learning_rate=training.learning_rate(),
            weight_decay=training.WEIGHT_DECAY.value or None,
        ),
        keras.losses.SparseCategoricalCrossentropy(
            from_logits=not chosen_model.ends_in_softmax(model)
        ),
        metrics=["accuracy"],
    )
