"""What somebody may have meant who misspelt a name."""

import difflib
from collections.abc import Iterable


def nearest(name: str, valid: Iterable[str]) -> str:
    """A sentence with the most similar valid names, if any are, and all of them."""
    names = list(valid)
    near = difflib.get_close_matches(name, names, 1)
    hint = f"Did you mean {near[0]!r}? " if near else ""
    return f"{hint}Valid: {', '.join(names)}."
