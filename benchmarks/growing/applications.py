"""Which networks of keras.applications can grow and shrink, and what does that cost?

Builds each in a process of its own, at its default size with random weights, traces it,
splits one neuron of every space that may grow, removes a third of each, and compares
the seconds with those of Keras' own `clone_model` and copying the weights. Results go
to a JSON-lines file as soon as they are there, and what is in the file is not repeated,
so the script can be stopped and started again; the page is made from the file.

    python benchmarks/growing/applications.py [--models ResNet50 VGG16] [--again]
"""

from __future__ import annotations

import argparse
import gc
import inspect
import json
import logging
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import keras
from shared import RESULTS, Runs, in_a_process, markdown_table, measured

import tf_splitting
from tf_splitting.costs import growable_share
from tf_splitting.support import write_text_atomically
from tf_splitting.tracing import ChannelGraph

# ConvNeXt's convolutions are compiled anew for every shape, which TensorFlow warns of.
logging.getLogger("tensorflow").setLevel(logging.ERROR)

PAGE = Path(__file__).resolve().parents[2] / "docs" / "architectures.md"
BUILDERS = dict(inspect.getmembers(keras.applications, inspect.isfunction))
COLUMNS = (
    "network",
    "params (M)",
    "GMACs",
    "spaces that grow",
    "MACs that grow",
    "the rest is frozen because",
    "trace (s)",
    "split (s)",
    "remove (s)",
    "clone (s)",
    "split ratio",
    "remove ratio",
    "memory",
)
MOSTLY_FROZEN = 0.03
INTRODUCTION = """\
# Networks of keras.applications

Made by `python benchmarks/growing/applications.py`: every network at its default input
size, with its classifier but for the softmax. A *space* is a set of channel axes that
keep one width; inputs and outputs of a network are spaces that never grow. *MACs that
grow* is the share of multiply-accumulates in layers that get wider with a growable
space. Backbones of KerasHub have [a table of their own](keras_hub.md).

`trace`, `split` and `remove` are seconds for finding the spaces, for splitting one
neuron in each that may grow, and for removing a third of each; `clone` those of
`keras.models.clone_model` and copying the weights. Ratios are (trace + split) / clone
and remove / clone, each the best of {repeats} runs in one process, on {cores} CPU cores
without a GPU. Memory is what the process takes at most while it removes, above what it
took before, in units of the network's weights; the smaller network is in it.
"""


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=BUILDERS, choices=BUILDERS)
    parser.add_argument("--again", action="store_true", help="also what is known")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--results", default=RESULTS / "applications.jsonl")
    parser.add_argument("--page", default=PAGE)
    return parser.parse_args()


def seconds(run: Callable[[], Any]) -> float:
    """Wall time; what `run` yields is freed before the next measurement."""
    gc.collect()
    start = time.perf_counter()
    result = run()
    spent = time.perf_counter() - start
    del result
    return spent


def peak_memory(run: Callable[[], Any]) -> float:
    """Most bytes that the process takes while something runs, above those before."""
    gc.collect()
    # Sets the peak back to what is taken now: see proc(5).
    Path("/proc/self/clear_refs").write_text("5")
    before = resident("VmRSS")
    run()
    return resident("VmHWM") - before


def resident(field: str) -> float:
    """A field of the process' status, in bytes."""
    status = Path("/proc/self/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    if found is None:
        raise RuntimeError(f"/proc/self/status has no {field}; this needs Linux.")
    return 1024 * float(found[1])


def build(name: str) -> keras.Model:
    options = {"weights": None, "classifier_activation": None}
    model = BUILDERS[name](**options)
    if None in model.input_shape[1:]:
        # MobileNetV3 takes any size by default; its weights are for this one.
        model = BUILDERS[name](input_shape=(224, 224, 3), **options)
    return model


def measure(name: str, repeats: int) -> dict:
    model = build(name)
    graph = tf_splitting.trace(model)
    plan = tf_splitting.SplitPlan({space.name: [0] for space in graph.growable})
    third = {s.name: range(min(s.width // 3, s.width - 2)) for s in graph.growable}
    removals = tf_splitting.RemovalPlan(third)

    def copy() -> keras.Model:
        clone = keras.models.clone_model(model)
        clone.set_weights(model.get_weights())
        return clone

    jobs = {
        "trace": lambda: tf_splitting.trace(model),
        "split": lambda: tf_splitting.split(model, plan, epsilon=0.0),
        "remove": lambda: tf_splitting.remove(model, removals),
        "clone": copy,
    }
    weights = sum(w.size * w.itemsize for w in model.get_weights())
    memory = peak_memory(jobs["remove"]) / weights
    # Round by round, so that a busy spell of the machine hits all of them.
    rounds = [{job: seconds(run) for job, run in jobs.items()} for _ in range(repeats)]
    return {
        "model": name,
        "params": model.count_params(),
        "macs": tf_splitting.count_macs(model),
        "growable": len(graph.growable),
        "spaces": len(graph.spaces),
        "share": growable_share(graph),
        "frozen": dict(reasons(graph)),
        "repeats": repeats,
        "cores": len(os.sched_getaffinity(0)),
        "memory": memory,
        "seconds": {job: min(taken[job] for taken in rounds) for job in jobs},
    }


def reasons(graph: ChannelGraph) -> list[tuple[str, int]]:
    """Why spaces between input and output are frozen, the most frequent first."""
    counts = Counter(
        re.sub(r"'[^']*'", "a layer", space.frozen)
        for space in graph.spaces
        if space.frozen is not None and " of the model" not in space.frozen
    )
    return counts.most_common()


def ratio(result: dict) -> float:
    taken = result["seconds"]
    return (taken["trace"] + taken["split"]) / taken["clone"]


def removal_ratio(result: dict) -> float:
    return result["seconds"]["remove"] / result["seconds"]["clone"]


def row(result: dict) -> tuple[str, ...]:
    taken = result["seconds"]
    return (
        result["model"],
        f"{result['params'] / 1e6:.1f}",
        f"{result['macs'] / 1e9:.2f}",
        f"{result['growable']} / {result['spaces']}",
        f"{result['share']:.1%}",
        "; ".join(f"{why} ({n})" for why, n in result["frozen"].items()) or "–",
        f"{taken['trace']:.2f}",
        f"{taken['split']:.1f}",
        f"{taken['remove']:.1f}",
        f"{taken['clone']:.1f}",
        f"{ratio(result):.2f}",
        f"{removal_ratio(result):.2f}",
        f"{result['memory']:.1f}",
    )


def page(results: list[dict]) -> str:
    """The results as Markdown."""
    table = markdown_table(COLUMNS, map(row, results))
    slowest, removal = max(results, key=ratio), max(results, key=removal_ratio)
    frozen = [
        f"{r['model']} ({', '.join(r['frozen']) or 'one layer alone'})"
        for r in results
        if r["share"] < MOSTLY_FROZEN
    ]
    introduction = INTRODUCTION.format(
        repeats=min(r["repeats"] for r in results),
        cores=max(r["cores"] for r in results),
    )
    return (
        f"{introduction}\n{table}\n\n"
        f"The highest ratio of splitting is {ratio(slowest):.2f}, of "
        f"{slowest['model']}; of removing, {removal_ratio(removal):.2f}, of "
        f"{removal['model']}. Networks "
        f"of which less than {MOSTLY_FROZEN:.0%} of the MACs can grow: "
        f"{', '.join(frozen) or 'none'}.\n"
    )


def call_child(name: str, repeats: int) -> dict:
    """`measure` in a process of its own, whose memory is known."""
    flags = ("--child", "--models", name, "--repeats", str(repeats))
    return in_a_process(__file__, *flags)


def main() -> None:
    arguments = parse()
    if arguments.child:
        (name,) = arguments.models
        print(json.dumps(measure(name, arguments.repeats)))
        return
    runs = Runs(arguments.results)
    known = measured(
        runs,
        arguments.models,
        arguments.again,
        lambda name: call_child(name, arguments.repeats),
        row,
    )
    results = [known[name] for name in BUILDERS if name in known]
    write_text_atomically(arguments.page, page(results))
    print(f"\n{arguments.page}: {len(results)} of {len(BUILDERS)} networks")


if __name__ == "__main__":
    main()
