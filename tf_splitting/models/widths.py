"""Layer widths as plain lists of integers: presets, explicit lists, multipliers."""

from collections.abc import Mapping, Sequence
from numbers import Integral

from tf_splitting.errors import ModelError
from tf_splitting.models.lookup import unknown_name


def make_divisible(width: float, divisor: int) -> int:
    """The multiple of `divisor` nearest to `width`, at least 0.9 of it.

    Never less than `divisor` itself.

    Source: Howard et al. (arXiv 1704.04861), the reference code's rounding rule.

    Example:

        >>> make_divisible(18, 8), make_divisible(11.2, 8)
        (24, 16)
    """
    rounded = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * width else rounded


def resolve(
    widths: str | Sequence[int],
    presets: Mapping[str, Sequence[int]],
    layer_names: Sequence[str],
) -> list[int]:
    """Looks up a preset, or checks an explicit list: one width per layer name.

    Raises:
        UnknownNameError: `widths` is a string and no preset has that name.
        ModelError: `widths` has the wrong length or an entry below 1.
    """
    if isinstance(widths, str):
        if widths not in presets:
            raise unknown_name("widths", widths, presets)
        return list(presets[widths])
    widths = list(widths)
    if len(widths) != len(layer_names):
        raise ModelError(
            f"widths has {len(widths)} entries; expected {len(layer_names)}, one for "
            f"each of {', '.join(layer_names)}. Pass that many, or one of the names "
            f"{', '.join(sorted(presets))}."
        )
    for layer, width in zip(layer_names, widths, strict=True):
        if not isinstance(width, Integral) or width < 1:
            raise ModelError(
                f"widths gives layer {layer!r} the width {width!r}; expected a whole "
                "number of at least 1. Correct that entry."
            )
    return [int(width) for width in widths]


def check_scaling(multiplier: float, divisor: int | None) -> None:
    """Refuses a multiplier or a divisor that cannot scale a width.

    Raises:
        ModelError: `multiplier <= 0`, or `divisor` is neither None nor at least 1.
    """
    if not multiplier > 0:
        raise ModelError(
            f"width_multiplier is {multiplier!r}; expected a number above 0, such as "
            "0.5 for half the channels."
        )
    if divisor is not None and (not isinstance(divisor, Integral) or divisor < 1):
        raise ModelError(
            f"divisor is {divisor!r}; expected None or a whole number of at least 1, "
            "such as 8."
        )
