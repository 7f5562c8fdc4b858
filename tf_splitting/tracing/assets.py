"""What layers keep besides their weights and their config: vocabularies."""

from __future__ import annotations

import tempfile
from typing import Any

from tf_splitting.tracing.symbolic_call import layers_in


def copy_assets(old: Any, new: Any) -> None:
    """Gives a layer made anew, and those in it, the assets of the old one.

    A vocabulary that a layer was adapted to is neither a weight nor in its config;
    Keras writes it beside them in a saved model.
    """
    pairs = zip((old, *layers_in(old)), (new, *layers_in(new)), strict=False)
    for theirs, ours in pairs:
        if not hasattr(theirs, "save_assets"):
            continue
        with tempfile.TemporaryDirectory() as folder:
            theirs.save_assets(folder)
            ours.load_assets(folder)
