"""Layer widths as plain lists of integers: presets, explicit lists, multipliers."""

from collections.abc import Mapping, Sequence

from tf_splitting.errors import ModelError
from tf_splitting.models.lookup import unknown_name
from tf_splitting.support import number, refused, whole


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
        ModelError: `widths` is something else, has the wrong length, or an entry that
            is no whole number of at least 1.
    """
    if isinstance(widths, str):
        if widths not in presets:
            raise unknown_name("widths", widths, presets)
        return list(presets[widths])
    try:
        widths = list(widths)
    except TypeError as error:
        expected = f"{len(layer_names)} widths, or one of {sorted(presets)}"
        raise refused("widths", widths, expected, error=ModelError) from error
    if len(widths) != len(layer_names):
        raise ModelError(
            f"widths has {len(widths)} entries; expected {len(layer_names)}, one for "
            f"each of {', '.join(layer_names)}. Pass that many, or one of the names "
            f"{', '.join(sorted(presets))}."
        )
    found = []
    for index, (layer, width) in enumerate(zip(layer_names, widths, strict=True)):
        hint = f"Pass one for layer {layer!r}."
        name = f"widths[{index}]"
        found.append(whole(name, width, at_least=1, hint=hint, error=ModelError))
    return found


def check_scaling(multiplier: float, divisor: int | None) -> None:
    """Refuses a multiplier or a divisor that cannot scale a width.

    Raises:
        ModelError: `multiplier` is not above 0 and at most 1,000, or `divisor` is
            neither None nor at least 1.
    """
    hint = "Pass one, such as 0.5 for half the channels."
    number(
        "width_multiplier",
        multiplier,
        above=0,
        at_most=1000,
        hint=hint,
        error=ModelError,
    )
    hint = "Pass one, such as 8."
    whole("divisor", divisor, at_least=1, or_none=True, hint=hint, error=ModelError)
