"""Which weights a layer's call reads itself, and what stands for them meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import Any

import keras

from tf_splitting.tracing.keras_internals import seed_generators, sublayers
from tf_splitting.tracing.limits import between_limits, tensors_of
from tf_splitting.tracing.products import as_product, product_layer
from tf_splitting.tracing.rewriting import Instead
from tf_splitting.tracing.tables import Weight, table_of, zero


def own_weights(layer: Any) -> list[Any]:
    """The weights of a layer besides those of the layers in it."""
    theirs = {id(v) for each in sublayers(layer) for v in each.variables}
    seeds = {id(generator.state) for generator in seed_generators(layer)}
    return [v for v in layer.variables if id(v) not in theirs | seeds]


class Tables:
    """Tables for those weights of a layer, and of layers in it, that its call reads.

    Which these are shows when it is called: symbolic tensors that come from nowhere
    stand for all weights at first.

    Args:
        layer: the layer.
        inner: all layers in it.
    """

    def __init__(self, layer: Any, inner: Iterable[Any]) -> None:
        self._layer = layer
        self._held = [(each, _holding(each)) for each in (layer, *inner)]
        self._weights: dict[int, Weight] = {}
        for owner, held in self._held:
            for name, variable in _named(held):
                self._weights.setdefault(id(variable), Weight(variable, owner, name))
        self._tables: dict[int, keras.layers.Embedding] = {}
        self._products: dict[tuple[int, str | None], Any] = {}
        # What stands for weights without a table, and for those that have one, by its
        # `id`, and itself, or the next tensor might have the same.
        self._strangers: dict[int, tuple[Any, Weight]] = {}
        self._looked_up: dict[int, tuple[Any, Weight]] = {}

    @property
    def unnamed(self) -> list[Any]:
        """Weights of the layer itself that no attribute holds, nor a list in one."""
        held = {id(variable) for _, variable in _named(self._held[0][1])}
        return [v for v in own_weights(self._layer) if id(v) not in held]

    def take_in(self, tensors: Iterable[Any]) -> bool:
        """Whether tensors stand for weights that had no table yet; they have one then.

        Raises:
            ValueError: a table cannot hold such a weight.
        """
        found = [self._strangers[id(t)] for t in tensors if id(t) in self._strangers]
        for _, weight in found:
            self._tables[id(weight.variable)] = table_of(weight)
        return bool(found)

    def shared(self, operations: Iterable[Any]) -> bool:
        """Whether other layers of a graph hold a weight that is in a table too."""
        ours = {id(each) for each in (*self._tables.values(), *self._products.values())}
        layers = [x for x in operations if isinstance(x, keras.layers.Layer)]
        held = [
            {id(v) for x in layers if (id(x) in ours) is own for v in x.variables}
            for own in (True, False)
        ]
        return not held[0].isdisjoint(held[1])

    def plainly(self, nodes: Sequence[Any]) -> Instead:
        """How to multiply with weights, and to clip between them, in a plain graph.

        Args:
            nodes: all calls; a weight that several of them read in different ways stays
                in its table.
        """
        readers = Counter(id(x) for node in nodes for x in tensors_of(node))
        products = [as_product(node, self._looked_up) for node in nodes]
        ways = Counter((id(each[1]), each[2]) for each in products if each is not None)

        def instead(node: Any, now: Callable[[Any], Any]) -> list[Any] | None:
            found = as_product(node, self._looked_up)
            if found is None:
                return between_limits(node, now)
            x, factor, equation = found
            if readers[id(factor)] > ways[id(factor), equation]:
                return None
            _, weight = self._looked_up[id(factor)]
            key = id(weight.variable), equation
            if key not in self._products:
                shapes = x.shape, node.outputs[0].shape
                self._products[key] = product_layer(weight, equation, *shapes)
            layer = self._products[key]
            return None if layer is None else [layer(now(x))]

        return instead

    @contextmanager
    def in_place(self, x: Any) -> Iterator[None]:
        """Puts what stands for weights in their place for a while.

        Layers that are called meanwhile have their own.

        Args:
            x: a symbolic tensor that the layer is called with.
        """
        row = zero(x) if self._tables else None
        stand_ins: dict[int, Any] = {}
        self._strangers, self._looked_up = {}, {}
        for key, weight in self._weights.items():
            shape = tuple(weight.variable.shape)
            if key not in self._tables:
                tensor = keras.KerasTensor(shape, weight.policy.compute_dtype)
                self._strangers[id(tensor)] = tensor, weight
            else:
                tensor = self._tables[key](row)
                if len(shape) != 1:
                    tensor = keras.ops.reshape(tensor, shape)
                self._looked_up[id(tensor)] = tensor, weight
            stand_ins[key] = tensor
        with ExitStack() as stack:
            stack.enter_context(_symbolic())
            for layer, _ in self._held[1:]:
                stack.enter_context(
                    _instead(layer, "compute_output_spec", self._with_values)
                )
            self._put(stand_ins)
            stack.callback(self._put, {})
            token = _in_place.set((self, stand_ins))
            stack.callback(_in_place.reset, token)
            yield

    def _put(self, stand_ins: dict[int, Any]) -> None:
        """Lets layers hold what stands for their variables, or these themselves."""
        for layer, held in self._held:
            instead = _instead_of(held, stand_ins) if stand_ins else held
            vars(layer).update(instead)

    def _with_values(self, run: Any) -> Any:
        def run_with_values(*args: Any, **kwargs: Any) -> Any:
            with weights_themselves():
                return run(*args, **kwargs)

        return run_with_values


# Whose weights are replaced, and by what.
_in_place: ContextVar[tuple[Tables, dict[int, Any]] | None] = ContextVar(
    "in_place", default=None
)


@contextmanager
def weights_themselves() -> Iterator[None]:
    """Lets layers have their weights again for a while."""
    current = _in_place.get()
    if current is None:
        yield
        return
    tables, stand_ins = current
    token = _in_place.set(None)
    tables._put({})
    try:
        yield
    finally:
        tables._put(stand_ins)
        _in_place.reset(token)


@contextmanager
def _symbolic() -> Iterator[None]:
    """Lets symbolic tensors pass where calls make tensors of weights, for a while.

    Where calls ask for a rank they get a number, of which Keras makes another tensor.
    """
    convert, rank = keras.ops.convert_to_tensor, keras.ops.ndim

    def converted(x: Any, dtype: Any = None, **options: Any) -> Any:
        if not isinstance(x, keras.KerasTensor):
            return convert(x, dtype=dtype, **options)
        return x if dtype is None else keras.ops.cast(x, dtype)

    def ranked(x: Any) -> Any:
        return len(x.shape) if isinstance(x, keras.KerasTensor) else rank(x)

    keras.ops.convert_to_tensor, keras.ops.ndim = converted, ranked
    try:
        yield
    finally:
        keras.ops.convert_to_tensor, keras.ops.ndim = convert, rank


@contextmanager
def _instead(layer: Any, name: str, wrap: Callable[[Any], Any]) -> Iterator[None]:
    """Gives a layer another method for a while, made of the one that it has."""
    own = vars(layer).get(name)
    vars(layer)[name] = wrap(getattr(layer, name))
    try:
        yield
    finally:
        if own is None:
            del vars(layer)[name]
        else:
            vars(layer)[name] = own


def _holding(layer: Any) -> dict[str, Any]:
    """The attributes of a layer that hold weights, themselves or in lists and so on."""
    # TensorFlow keeps account of what a layer holds in attributes of such names.
    mine = {
        name: value
        for name, value in vars(layer).items()
        if name not in _OF_KERAS and not name.startswith("_self_")
    }
    return {name: value for name, value in mine.items() if any(_named({name: value}))}


def _named(held: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The weights in attributes, by names; those of lists are numbered."""
    for name, value in held.items():
        if isinstance(value, keras.Variable):
            yield name, value
        elif isinstance(value, dict):
            yield from _named({f"{name}_{key}": each for key, each in value.items()})
        elif isinstance(value, (list, tuple)):
            yield from _named({f"{name}_{n}": each for n, each in enumerate(value)})


def _instead_of(value: Any, stand_ins: Mapping[int, Any]) -> Any:
    """What a layer holds, with what stands for weights in their place."""
    if isinstance(value, dict):
        return {key: _instead_of(each, stand_ins) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_instead_of(each, stand_ins) for each in value]
    return stand_ins.get(id(value), value)


# Attributes of any layer, some of which are lists of all weights.
_OF_KERAS = frozenset(vars(keras.layers.Layer()))
