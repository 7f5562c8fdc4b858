"""A splitting problem: a model, a fixed sample, and the product S·d for any field d."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

from tf_splitting.data import Batch, Sample
from tf_splitting.errors import DataError, ModelError, NonFiniteLossError
from tf_splitting.estimating.product.product import Point, make_product
from tf_splitting.support import compiled_loss, has_own_loss, refused, shown
from tf_splitting.tracing import ChannelGraph, Field, Neurons, as_numpy, input_name

# Enough for a standard error, few enough to keep their forms for thousands of neurons.
_FOLDS = 16
# Bytes that linearized batches may take between passes.
CACHE_LIMIT = 2**29
_NUMBERS = ("bool", "int", "uint", "float", "bfloat")


class SplittingProblem:
    """What an estimator works on.

    Everything is in relative units (`neurons`): a unit direction changes a neuron's
    weights by their norm.

    Attributes:
        neurons: the model's neurons and their weights.
        sample: the fixed sample.
        on_product: called after every batch.

    Products of one batch share its forward and backward pass: their results are kept
    from pass to pass if those of the whole sample take no more than `cache_limit`
    bytes.
    """

    def __init__(
        self,
        model: keras.Model,
        graph: ChannelGraph,
        sample: Sample,
        *,
        loss: Any = None,
        epsilon: float,
        outgoing: bool,
        jit_compile: bool = False,
        on_product: Callable[[], None] | None = None,
        cache_limit: int = CACHE_LIMIT,
    ) -> None:
        self.neurons = Neurons(graph, outgoing=outgoing)
        self.sample = sample
        self._model = model
        self._norms = self.neurons.norms()
        self._dtypes = [as_numpy(s.variable).dtype for s in self.neurons.slots]
        self.on_product = on_product or (lambda: None)
        self._losses: dict[int, float] = {}
        self._limit = self._cache_limit = cache_limit
        self._points: dict[int, Point] = {}
        self._sign = 1.0
        self._product = make_product(
            graph,
            loss_function(model, loss),
            [(slot.weight, slot.role) for slot in self.neurons.slots],
            epsilon,
            model,
            jit_compile,
        )

    def on(self, sample: Sample) -> SplittingProblem:
        """The same problem on another sample; nothing is compiled again."""
        other = copy.copy(self)
        other.sample = sample
        other._losses, other._points = {}, {}
        other._cache_limit = self._limit
        return other

    def negated(self) -> SplittingProblem:
        """The problem with -S in place of S: its smallest eigenvalues are S's largest.

        Curvatures stay what they are.
        """
        other = copy.copy(self)
        other._losses, other._points = {}, {}
        other._sign = -self._sign
        return other

    @property
    def batches(self) -> int:
        """Number of batches of the sample."""
        return len(self.sample.batches)

    @property
    def loss(self) -> float:
        """Loss on the sample, as far as products have been taken of it (else NaN)."""
        done = self._losses
        if not done:
            return float("nan")
        sizes = {i: self.sample.batches[i].size for i in done}
        return sum(done[i] * sizes[i] for i in done) / sum(sizes.values())

    def product(self, field: Field, batches: Sequence[int] | None = None) -> Field:
        """S·d for every neuron, averaged over the sample or some of its batches.

        Args:
            field: the direction d of every neuron.
            batches: numbers of the batches to use; default: all.

        Raises:
            NonFiniteLossError: the loss of a batch is NaN or infinite.
        """
        return self.forms(field, (), batches)[0]

    def forms(
        self,
        field: Field,
        onto: Sequence[Field],
        batches: Sequence[int] | None = None,
    ) -> tuple[Field, np.ndarray]:
        """S·d as `product`, and how oᵀSd varies over the sample for some fields o.

        Args:
            field: the direction d of every neuron.
            onto: the fields o.
            batches: numbers of the batches to use; default: all.

        Returns:
            S·d, and the forms of every fold of the sample, `[folds, neurons, onto]`.
            Folds are runs of batches, at most 16; their means, weighted by
            `fold_shares`, are oᵀSd.
        """
        batches = range(self.batches) if batches is None else batches
        tangents = self._rescaled(field)
        sides = [self._rescaled(side) for side in onto]
        folds = self._folds(len(batches))
        forms = np.zeros((max(folds) + 1, self.neurons.count, len(onto)))
        sizes = np.zeros(len(forms))
        examples = sum(self.sample.batches[i].size for i in batches)
        totals: Field = [np.zeros_like(tangent) for tangent in tangents]
        for index, fold in zip(batches, folds, strict=True):
            batch = self.sample.batches[index]
            products = [self._sign * part for part in self._of(index, tangents)]
            for total, part in zip(totals, products, strict=True):
                total += part * (batch.size / examples)
            for column, side in enumerate(sides):
                forms[fold, :, column] += batch.size * self.neurons.inner(
                    side, products
                )
            sizes[fold] += batch.size
            self.on_product()
        return self._rescaled(totals), forms / sizes[:, None, None]

    @property
    def fold_shares(self) -> np.ndarray:
        """Share of the sample's examples in each fold, `[folds]`."""
        folds = self._folds(self.batches)
        sizes = [batch.size for batch in self.sample.batches]
        return np.bincount(folds, sizes) / sum(sizes)

    @staticmethod
    def _folds(batches: int) -> list[int]:
        folds = min(batches, _FOLDS)
        return [index * folds // batches for index in range(batches)]

    def curvatures(self, field: Field) -> np.ndarray:
        """What each neuron's direction is worth when it is split by ε for real.

        Returns:
            2 / ε² times the change of the loss, linear in the outputs of the neuron's
            consumers, `[folds, neurons]`. For smooth networks it tends to dᵀSd as ε
            tends to 0.
        """
        tangents = self._rescaled(field)
        folds = self._folds(self.batches)
        values = np.zeros((max(folds) + 1, self.neurons.count))
        sizes = np.zeros(len(values))
        for batch, fold in zip(self.sample.batches, folds, strict=True):
            sums = self._product.curvatures(self._given(batch), tangents)
            for weight, parts in sums.items():
                ids = self.neurons.consumed[weight]
                values[fold] += batch.size * self.neurons.add_up(ids, parts)
            sizes[fold] += batch.size
            self.on_product()
        return values / sizes[:, None]

    def _given(self, batch: Batch) -> tuple[Any, ...]:
        inputs = flat_inputs(self._model, batch.x)
        return batch.x, inputs, batch.y, batch.sample_weight

    def _of(self, index: int, tangents: Field) -> list[Any]:
        """Products of one batch, linearized once if all batches fit the cache."""
        if index in self._points:
            return self._product.at(self._points[index], tangents)
        batch = self.sample.batches[index]
        given = self._given(batch)
        if self._cache_limit:
            loss, point, size = self._product.linearize(given)
            if size * self.batches <= self._cache_limit:
                self._points[index] = point
            else:
                self._cache_limit = 0
            products = self._product.at(point, tangents)
        else:
            loss, products = self._product.whole(given, tangents)
        self._losses[index] = self._finite(loss, index)
        return products

    def _rescaled(self, field: Field) -> Field:
        return [
            (x * slot.broadcast(norm)).astype(dtype)
            for slot, x, norm, dtype in zip(
                self.neurons.slots, field, self._norms, self._dtypes, strict=True
            )
        ]

    def _finite(self, loss: float, batch: int) -> float:
        if not np.isfinite(loss):
            raise NonFiniteLossError(
                f"The loss of batch {batch} of the estimation sample is {loss}. Check "
                "the data for NaN, or train with a smaller learning rate."
            )
        return loss


def flat_inputs(model: keras.Model, x: Any) -> list[Any]:
    """A batch's inputs in the order of the model's inputs.

    Raises:
        DataError: there are more or fewer, or their shapes do not fit.
    """
    names = [input_name(tensor) for tensor in model.inputs]
    if isinstance(x, dict):
        missing = [name for name in names if name not in x]
        if missing:
            raise DataError(
                f"The dataset's inputs are named {sorted(x)}; the model also needs "
                f"{missing}."
            )
        arrays = [x[name] for name in names]
    else:
        arrays = keras.tree.flatten(x)
    if len(arrays) != len(names):
        raise DataError(
            f"The dataset has {len(arrays)} inputs, the model {len(names)}: {names}."
        )
    for array, tensor in zip(arrays, model.inputs, strict=True):
        shape = np.shape(array)
        fits = len(shape) == len(tensor.shape) and all(
            b is None or a == b for a, b in zip(shape[1:], tensor.shape[1:])
        )
        if not fits:
            raise DataError(
                f"The dataset yields inputs of shape {shape}; the model's input "
                f"{input_name(tensor)!r} takes {tuple(tensor.shape)}. Resize the "
                "data, or build the model for this shape."
            )
        kind = getattr(array, "dtype", np.dtype(type(array))).name
        if not kind.startswith(_NUMBERS) and tensor.dtype != "string":
            raise DataError(
                f"The dataset's inputs are of type {kind}; the model's input "
                f"{input_name(tensor)!r} takes {tensor.dtype}. Convert the data to "
                "numbers."
            )
    return [
        keras.ops.convert_to_tensor(array, dtype=tensor.dtype)
        for array, tensor in zip(arrays, model.inputs, strict=True)
    ]


def loss_function(model: keras.Model, loss: Any = None) -> Callable[..., Any]:
    """A function `(x, y, outputs, sample_weight) -> loss` of a batch.

    Args:
        model: compiled, unless `loss` is given.
        loss: a Keras loss or its name, for a model with one output; None for the loss
            that the model is compiled with.

    Raises:
        ModelError: the model is not compiled with a loss, or has several outputs.
        SplittingError: there is no such loss.
    """
    if loss is not None:
        function = _named_loss(loss)
        if len(model.outputs) != 1:
            raise ModelError(
                f"Got loss={shown(loss)} for model {model.name!r}, which has "
                f"{len(model.outputs)} outputs; expected one. Compile the model with "
                "the losses of all of them, and leave `loss` out."
            )

        def given(x: Any, y: Any, outputs: list[Any], sample_weight: Any) -> Any:
            (output,) = outputs
            return function(y, output, sample_weight)

        return given
    if not model.compiled or (model.loss is None and not has_own_loss(model)):
        raise ModelError(
            f"Model {model.name!r} is not compiled with a loss. Call "
            "model.compile(optimizer, loss) first, or pass loss=..."
        )
    # A Sequential has no `output` until it is called as a layer.
    sequential = isinstance(model, keras.Sequential)
    structure = model.outputs[0] if sequential else model.output

    def compiled(x: Any, y: Any, outputs: list[Any], sample_weight: Any) -> Any:
        y_pred = keras.tree.pack_sequence_as(structure, outputs)
        return compiled_loss(model, x, y, y_pred, sample_weight)

    return compiled


class _MeanOf(keras.losses.Loss):
    """The mean of a function of (y_true, y_pred), taken as Keras takes it."""

    def __init__(self, function: Callable[[Any, Any], Any]) -> None:
        super().__init__(name="given")
        self.call = function


def _named_loss(loss: Any) -> keras.losses.Loss:
    try:
        found = keras.losses.get(loss)
    except ValueError as error:
        expected = "a Keras loss, its name, or a function of (y_true, y_pred)"
        raise refused("loss", loss, expected) from error
    return found if isinstance(found, keras.losses.Loss) else _MeanOf(found)
