"""Which backbones of KerasHub grow, and do they compute the same afterwards?

Builds a small instance of each with random weights, in a process of its own, fixes the
sizes that its input leaves open, splits one neuron of every space that may grow and
compares what comes out with what came out before, then saves the grown model and loads
it again. Results go to a JSON-lines file as soon as they are there, and what is in the
file is not repeated; the page is made from the file.

    python benchmarks/growing/keras_hub_backbones.py [--models BertBackbone] [--again]
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
import numpy as np
from keras_hub_instances import BUILDERS, SKIPPED, example
from shared import RESULTS, Runs, in_a_process, markdown_table, measured

import tf_splitting
from tf_splitting.costs import growable_share
from tf_splitting.errors import SplittingError
from tf_splitting.support import write_text_atomically
from tf_splitting.tracing import ChannelGraph

PAGE = Path(__file__).resolve().parents[2] / "docs" / "keras_hub.md"
TOLERANCE = 1e-4
COLUMNS = (
    "backbone",
    "spaces that grow",
    "of heads",
    "MACs that grow",
    "error",
    "loads again",
    "what stays closed, or why not",
)
INTRODUCTION = f"""\
# Backbones of KerasHub

Made by `python benchmarks/growing/keras_hub_backbones.py`: a small instance with random
weights of every backbone that KerasHub exports, and of the encoders in them that are
models of their own. Sizes that an input leaves open, such as the length of a text, are
fixed by `to_functional` first, where that can be done.

A *space* is a set of channel axes that keep one width; *of heads* are those whose
neurons are heads of attention. *MACs that grow* is the share of multiply-accumulates in
layers that get wider with a growable space. *Error* is the largest difference of an
output after one neuron of every growable space was split at ε = 0, in units of the
largest output; up to {TOLERANCE:g} counts as the same. The grown model *loads again* if
it was saved to a file, loaded, and computes the same.
"""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=BUILDERS, choices=BUILDERS)
    parser.add_argument("--again", action="store_true", help="also what is known")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--results", default=RESULTS / "keras_hub_backbones.jsonl")
    parser.add_argument("--page", default=PAGE)
    return parser.parse_args()


def arrays(outputs: Any) -> list[np.ndarray]:
    """Whatever a model returns as plain arrays."""
    return [
        np.asarray(keras.ops.convert_to_numpy(each), "float64")
        for each in keras.tree.flatten(outputs)
    ]


def difference(before: list[np.ndarray], after: list[np.ndarray]) -> float:
    """The largest, in units of the largest value of that output."""
    return max(
        float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30))
        for a, b in zip(before, after, strict=True)
    )


def reloaded(model: keras.Model) -> keras.Model:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return keras.saving.load_model(path)


def loads_again(model: keras.Model, x: Any, expected: list[np.ndarray]) -> str | None:
    """None, or why the model does not compute the same after being loaded."""
    try:
        error = difference(expected, arrays(reloaded(model)(x)))
    except Exception as caught:
        # Of whatever kind: layers of others are saved.
        return in_a_line(caught)
    return None if error <= TOLERANCE else f"error {error:.0e}"


def in_a_line(error: Exception) -> str:
    """The kind of an error and the end of what it says, which is its cause."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", " ".join(str(error).split()))
    return f"{type(error).__name__}: {text if len(text) < 200 else '… ' + text[-200:]}"


def heads(graph: ChannelGraph) -> int:
    """How many growable spaces are of heads.

    They are made along an axis before the last, or are several channels of a dense
    layer in a row.
    """
    spaces = {space.name for space in graph.growable}
    return len(
        spaces
        & {
            block.space
            for weight in graph.weights
            for use in weight.axes
            for block in use.layout
            if use.role == "produced"
            and (
                use.axis < len(weight.variable.shape) - 1
                or (len(weight.variable.shape) == 2 and block.repeat > 1)
            )
        }
    )


def measure(name: str) -> dict[str, Any]:
    """One row; errors of this library are results, others are told as such."""
    model = BUILDERS[name]()
    x = example(model)
    found: dict[str, Any] = {"model": name, "fixed": None, "failed": None}
    before = arrays(model(x))
    try:
        try:
            fixed = tf_splitting.to_functional(model, x)
        except SplittingError as error:
            found["fixed"], fixed = in_a_line(error), model
        graph = tf_splitting.trace(fixed)
        found |= {
            "growable": len(graph.growable),
            "spaces": len(graph.spaces),
            "heads": heads(graph),
            "closed": closed(graph),
            "share": share(graph),
        }
        if graph.growable:
            plan = tf_splitting.SplitPlan({s.name: [0] for s in graph.growable})
            grown = tf_splitting.split(fixed, plan, epsilon=0.0)
            found["error"] = difference(before, arrays(grown(x)))
            found["reload"] = loads_again(grown, x, before)
            if found["reload"] and loads_again(model, x, before):
                found["reload"] += " (nor does the model itself)"
    except Exception as error:
        # Of whatever kind: the table says so.
        found["failed"] = in_a_line(error)
        found["ours"] = isinstance(error, SplittingError)
    return found


def share(graph: ChannelGraph) -> float | None:
    """Of the MACs in layers that grow; None where sizes stay open."""
    try:
        return growable_share(graph)
    except SplittingError:
        return None


def closed(graph: ChannelGraph) -> dict[str, int]:
    """Kinds of layers that nothing is known about, and how many spaces they freeze."""
    pattern = r"nothing is known about '.*' of type (\w+)"
    reasons = [re.search(pattern, space.frozen or "") for space in graph.spaces]
    found = Counter(match[1] for match in reasons if match is not None)
    return dict(found.most_common())


def row(result: dict[str, Any]) -> tuple[str, ...]:
    if result["failed"]:
        foreign = "" if result["ours"] else "an error of others: "
        return (
            result["model"],
            *["–"] * 5,
            foreign + result["failed"].replace("|", "/"),
        )
    grows, error = result["share"], result.get("error")
    notes = [f"{kind} ({count})" for kind, count in result["closed"].items()]
    if result["fixed"]:
        notes.append(f"sizes stay open: {result['fixed']}")
    if result.get("reload"):
        notes.append(f"loading: {result['reload']}")
    return (
        result["model"],
        f"{result['growable']} / {result['spaces']}",
        str(result["heads"]),
        "–" if grows is None else f"{grows:.0%}",
        "–" if error is None else f"{error:.0e}",
        "–" if error is None else "no" if result.get("reload") else "yes",
        "; ".join(notes).replace("|", "/") or "–",
    )


def same(result: dict[str, Any]) -> bool:
    """Whether the function was kept; of one that does not grow, it is not touched."""
    return not result["failed"] and result.get("error", 0.0) <= TOLERANCE


def page(results: list[dict[str, Any]]) -> str:
    """The results as Markdown."""
    table = markdown_table(COLUMNS, map(row, results))
    grow = [each for each in results if each.get("growable") and not each["failed"]]
    skipped = "; ".join(f"{name} ({why})" for name, why in SKIPPED.items())
    return (
        f"{INTRODUCTION}\n{table}\n\n"
        f"{sum(map(same, results))} of {len(results)} keep their function, "
        f"{len(grow)} have something that grows, "
        f"{sum(bool(result['heads']) for result in grow)} of them heads; "
        f"{sum(bool(r['failed'] and not r['ours']) for r in results)} end in an error "
        f"of others. Not in the table: {skipped}.\n"
    )


def main() -> None:
    arguments = parse()
    if arguments.child:
        warnings.simplefilter("ignore")
        (name,) = arguments.models
        print(json.dumps(measure(name)))
        return
    runs = Runs(arguments.results)
    known = measured(
        runs,
        arguments.models,
        arguments.again,
        lambda name: in_a_process(__file__, "--child", "--models", name),
        row,
    )
    results = [known[name] for name in BUILDERS if name in known]
    write_text_atomically(arguments.page, page(results))
    print(f"\n{arguments.page}: {len(results)} of {len(BUILDERS)} backbones")


if __name__ == "__main__":
    main()
