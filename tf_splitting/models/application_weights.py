"""Copies weights from `keras.applications` networks, layer by layer name."""

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import keras

from tf_splitting.errors import ModelError
from tf_splitting.models import v1, v2
from tf_splitting.models.saved_models import UNREADABLE, read_model
from tf_splitting.support import in_a_line, instance
from tf_splitting.support import path as as_path

IMAGENET_CLASSES = 1000


@dataclass(frozen=True)
class WeightReport:
    """What `load_application_weights` did.

    Attributes:
        loaded: names of the layers whose weights were replaced, in model order.
        skipped: layer name -> why its weights stayed as they were.
    """

    loaded: tuple[str, ...]
    skipped: Mapping[str, str]


@dataclass(frozen=True)
class _Family:
    """A `keras.applications` network and the module here that mirrors it."""

    module: ModuleType
    application: Callable[..., keras.Model]
    multipliers: tuple[float, ...]

    def multiplier(self, model: keras.Model) -> float | None:
        """The published width multiplier that `model`'s widths are, or None."""
        widths = [model.get_layer(name).filters for name in self.module.WIDTH_LAYERS]
        for multiplier in self.multipliers:
            if widths == self.module.scale_widths(
                self.module.WIDTHS["full"], multiplier
            ):
                return multiplier
        return None


_FAMILIES = (
    _Family(v1, keras.applications.MobileNet, (1.0, 0.75, 0.5, 0.25)),
    _Family(v2, keras.applications.MobileNetV2, (1.0, 0.75, 0.5, 0.35, 1.3, 1.4)),
)


def load_application_weights(
    model: keras.Model, source: keras.Model | str | Path
) -> WeightReport:
    """Copies the weights of every layer that has the same name and shapes.

    The published weights belong to ReLU6 networks, so build `model` with
    `activation="relu6"` to get the published function.

    Args:
        model: a MobileNet of this package; changed in place.
        source: a `keras.applications` model; or a path, to a saved model (`.keras`)
            or to a weights file (`.h5`) of the `keras.applications` network with
            `model`'s widths; or "imagenet", which downloads the weights that
            `keras.applications` publishes for those widths.

    Returns:
        The names loaded, and the names skipped with the reason.

    Raises:
        ModelError: `model` is none, the source cannot be had or read, `model`'s widths
            are not published, or no layer agreed and nothing was copied.

    Example:

        >>> from tf_splitting.models import mobilenet_v1
        >>> source = keras.applications.MobileNet(
        ...     input_shape=(96, 96, 3), weights=None, classes=10
        ... )
        >>> model = mobilenet_v1(
        ...     (96, 96, 3), classes=5, widths="full", activation="relu6"
        ... )
        >>> load_application_weights(model, source).skipped
        {'conv_preds': 'source (1, 1, 1024, 10) (10,), model (1, 1, 1024, 5) (5,)'}
    """
    instance("model", model, keras.Model, "a keras.Model", error=ModelError)
    if isinstance(source, str) and source == "imagenet":
        source = _download(model)
    elif not isinstance(source, keras.Model):
        source = _read(model, as_path("source", source, error=ModelError))
    report = _copy(model, source)
    if not report.loaded:
        raise ModelError(
            f"no weights of {source.name!r} fit {model.name!r}: no layer has the same "
            f"name and the same shapes ({_first(report.skipped)}). Build the model "
            'with widths="full" and the width_multiplier of the source.'
        )
    return report


def _copy(model: keras.Model, source: keras.Model) -> WeightReport:
    """Copies what agrees; layers without weights are neither loaded nor skipped."""
    sources = {layer.name: layer for layer in source.layers if layer.weights}
    layers = [layer for layer in model.layers if layer.weights]
    report = copy_pairs((layer, sources.pop(layer.name, None)) for layer in layers)
    more = dict.fromkeys(sources, "not in the model")
    return WeightReport(report.loaded, {**report.skipped, **more})


def copy_pairs(
    pairs: Iterable[tuple[keras.Layer, keras.Layer | None]],
) -> WeightReport:
    """Copies the weights of each layer's twin, where it has one of the same shapes."""
    loaded: list[str] = []
    skipped: dict[str, str] = {}
    for layer, twin in pairs:
        if twin is None:
            skipped[layer.name] = "not in the source"
        elif _shapes(twin) != _shapes(layer):
            skipped[layer.name] = f"source {_shapes(twin)}, model {_shapes(layer)}"
        else:
            layer.set_weights(twin.get_weights())
            loaded.append(layer.name)
    return WeightReport(tuple(loaded), skipped)


def _shapes(layer: keras.Layer) -> str:
    return " ".join(str(tuple(weight.shape)) for weight in layer.weights)


def _first(skipped: Mapping[str, str]) -> str:
    """One line of a report, as an example."""
    return next((f"{name}: {why}" for name, why in skipped.items()), "no layers")


def _application(model: keras.Model, weights: str | None, classes: int) -> keras.Model:
    """The `keras.applications` network of `model`'s family and widths."""
    names = {layer.name for layer in model.layers}
    for family in _FAMILIES:
        if not names.issuperset(family.module.WIDTH_LAYERS):
            continue
        multiplier = family.multiplier(model)
        if multiplier is None:
            raise ModelError(
                f"{model.name!r} does not have the widths of a published network. "
                'Build it with widths="full" and a width_multiplier of '
                f"{', '.join(map(str, sorted(family.multipliers)))}, or pass a model "
                "as source."
            )
        # The weights are the same for every image size; this one is always published.
        return family.application(
            input_shape=(224, 224, 3),
            alpha=multiplier,
            weights=weights,
            classes=classes,
        )
    raise ModelError(
        f"{model.name!r} is not a MobileNet V1 or V2 by its layer names, so there is "
        "no published network to match. Pass a model as source."
    )


def _download(model: keras.Model) -> keras.Model:
    try:
        return _application(model, "imagenet", IMAGENET_CLASSES)
    except ModelError:
        raise
    # Keras reports a failed download as a bare Exception.
    except Exception as error:
        raise ModelError(
            f"the ImageNet weights could not be downloaded ({error}). Check the "
            "network, or pass the path of a weights file fetched elsewhere."
        ) from error


def _read(model: keras.Model, path: Path) -> keras.Model:
    if not path.is_file():
        raise ModelError(
            f"there is no file {str(path)!r}. Pass a keras.applications model, a path "
            'to a .keras or .h5 file, or "imagenet".'
        )
    if path.suffix == ".keras":
        return read_model(path, compile=False)
    classes = model.output_shape[-1]
    failures = []
    # A file of the published network has its classifier, not necessarily `model`'s.
    for count in dict.fromkeys((classes, IMAGENET_CLASSES)):
        source = _application(model, None, count)
        try:
            with warnings.catch_warnings():
                # Keras only warns where a file lacks layers, and leaves them random.
                warnings.filterwarnings("error", "Skipping nested container")
                source.load_weights(path)
        except (UserWarning, *UNREADABLE) as error:
            failures.append(f"{count} classes: {in_a_line(error)}")
        else:
            return source
    raise ModelError(
        f"{str(path)!r} is not a weights file of {source.name!r}: "
        f"{'; '.join(failures)}. Save the whole source model as .keras instead."
    )
