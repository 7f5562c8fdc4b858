"""What the result may cost."""

from tf_splitting_programs.flags.parsers import define_numbers

TARGET_MACS = define_numbers(
    "target_macs",
    "Multiply-accumulates per image that the result may have, such as 0.2e9. When "
    "growing several too, rising, such as 0.1e9,0.2e9: one job makes a model of each.",
    above=0,
)


def targets() -> tuple[float, ...]:
    """The target, all of them, or none."""
    value = TARGET_MACS.value
    if value is None:
        return ()
    return value if isinstance(value, tuple) else (value,)
