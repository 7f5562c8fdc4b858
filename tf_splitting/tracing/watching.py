"""What layers were constructed with, seen by making what is around them anew.

A layer that is only ever made by the one around it, or by a model of a class of its
own, need not tell or keep what it was given. Its maker's config makes it again all the
same; watched while that happens, its constructor shows its arguments.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import keras

from tf_splitting.tracing.replacing import replaced, taking_the_same
from tf_splitting.tracing.symbolic_call import layers_in

# What was seen. It never changes, and another rebuild need not look again.
_given: WeakKeyDictionary[keras.layers.Layer, dict[str, Any]] = WeakKeyDictionary()


def given_to(layer: Any) -> dict[str, Any] | None:
    """What a layer's constructor was given, if it was seen."""
    return _given.get(layer)


def watch(layer: Any, around: Any) -> bool:
    """Sees what a layer is constructed with; returns whether it could.

    Args:
        layer: somewhere in `around`.
        around: a model, or a layer that is made of layers.
    """
    held = [(each, layers_in(each)) for each in (around, *layers_in(around))]
    makers = [(len(inner), each) for each, inner in held if layer in inner]
    for _, maker in sorted(makers, key=lambda pair: pair[0]):
        try:
            found = _seen(layer, maker)
        except Exception:
            # Of whatever kind: it is the maker's own code.
            continue
        if found is not None and not holds_layers(found):
            _given[layer] = found
            return True
    return False


def holds_layers(arguments: Any) -> bool:
    """Whether a layer or a variable is among these, which two models would share."""
    kinds = (keras.layers.Layer, keras.Variable)
    return any(isinstance(each, kinds) for each in keras.tree.flatten(arguments))


def _seen(layer: Any, maker: Any) -> dict[str, Any] | None:
    """What the layer's place in a maker made anew is constructed with."""
    with _constructions(type(layer)) as seen, warnings.catch_warnings():
        # Nothing is written to a file here.
        warnings.simplefilter("ignore")
        again = type(maker).from_config(maker.get_config())
        if not again.built:
            again.build_from_config(maker.get_build_config())
    places = list(zip(layers_in(maker), layers_in(again), strict=True))
    if any(type(old) is not type(new) for old, new in places):
        return None
    (new,) = (new for old, new in places if old is layer)
    return next((arguments for each, arguments in seen if each is new), None)


@contextmanager
def _constructions(kind: Any) -> Iterator[list[tuple[Any, dict[str, Any]]]]:
    """Notes every layer of this very class that is made meanwhile, with arguments."""
    seen: list[tuple[Any, dict[str, Any]]] = []
    construct = kind.__init__
    signature = inspect.signature(construct)

    @functools.wraps(construct)
    def watched(self: Any, *args: Any, **kwargs: Any) -> None:
        if type(self) is kind:
            seen.append((self, _by_name(signature.bind(self, *args, **kwargs))))
        construct(self, *args, **kwargs)

    with replaced(kind, __init__=taking_the_same(construct, watched)):
        yield seen


def _by_name(bound: inspect.BoundArguments) -> dict[str, Any]:
    """The arguments of a constructor as it can be given them by name."""
    _, *parameters = bound.signature.parameters.values()
    found: dict[str, Any] = {}
    for each in parameters:
        if each.name in bound.arguments:
            value = bound.arguments[each.name]
            found.update(value if each.kind is each.VAR_KEYWORD else {each.name: value})
    return found
