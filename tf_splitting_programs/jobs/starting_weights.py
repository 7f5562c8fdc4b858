"""A model by name with the weights that `--weights` asks for."""

import os

import keras

from tf_splitting import models
from tf_splitting_programs.flags import model as model_flags
from tf_splitting_programs.flags import weights as weight_flags
from tf_splitting_programs.jobs import chosen_model
from tf_splitting_programs.running import UsageError


def check() -> None:
    """Raises unless `--weights` goes with `--model`.

    Raises:
        UsageError: it does not, or there is no such file.
    """
    given, name = weight_flags.WEIGHTS.value, model_flags.MODEL.value
    if given is None:
        return
    if not chosen_model.is_named():
        raise UsageError(
            f"--weights: for models by name only; {name!r} holds weights of its own. "
            "Leave the flag out."
        )
    if given == weight_flags.NONE or given in weight_flags.PUBLISHED:
        return
    if _is_preset():
        raise UsageError(
            f"--weights={given}: for the preset {name!r} give none or published. To "
            "start from others, save them with save_to_preset, and give that folder as "
            "--model."
        )
    if not os.path.isfile(given):
        raise UsageError(
            f"--weights={given}: there is no such file. Give none, published, or the "
            "path of a .keras, .weights.h5 or .h5 file."
        )


def build(classes: int) -> tuple[keras.Model, str]:
    """The model by name that the flags describe, and where its weights are from.

    Raises:
        ModelError: the weights cannot be had, or are another network's.
    """
    given = weight_flags.WEIGHTS.value
    published = given in weight_flags.PUBLISHED
    if _is_preset():
        local = models.is_preset_folder(model_flags.MODEL.value)
        taken = published or (given is None and local)
        model = chosen_model.build(classes, preset_weights=taken)
        if taken:
            return model, "the preset's; random in the classifier"
        return model, f"random; the preset's with {_flag('published')}"
    model = chosen_model.build(classes)
    if given is None or given == weight_flags.NONE:
        return model, f"random; published ones with {_flag('published')}"
    source = "imagenet" if published else given
    network = chosen_model.application()
    if network is None:
        report = models.load_application_weights(model, source)
    else:
        report = models.load_published(model, network, source)
    fresh = ", ".join(report.skipped)
    told = f"{given}, in {len(report.loaded)} layers"
    return model, f"{told}; random in {fresh}" if fresh else told


def _is_preset() -> bool:
    return not chosen_model.is_builtin() and chosen_model.application() is None


def _flag(value: str) -> str:
    return f"--{weight_flags.WEIGHTS.name}={value}"
