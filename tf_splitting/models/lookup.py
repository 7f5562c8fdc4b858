"""One wording for names that nothing is registered under."""

import difflib
from collections.abc import Iterable

from tf_splitting.errors import UnknownNameError


def unknown_name(kind: str, name: object, valid: Iterable[str]) -> UnknownNameError:
    """The error for `name`, with the nearest valid one and the whole list.

    Example:

        >>> str(unknown_name("model", "vgg1", ["mobilenet", "vgg16"]))
        "unknown model 'vgg1': did you mean 'vgg16'? Valid: mobilenet, vgg16"
    """
    valid = sorted(valid)
    near = difflib.get_close_matches(str(name), valid, n=1, cutoff=0.4)
    hint = f" did you mean {near[0]!r}?" if near else ""
    return UnknownNameError(f"unknown {kind} {name!r}:{hint} Valid: {', '.join(valid)}")
