"""What is public says what it is, in a line; summaries are those of Keras."""

import importlib
import inspect

import nets
import numpy as np
import pytest
from interrupted import examples

import tf_splitting
from tf_splitting import ExchangePlan, RemovalPlan, SplitPlan, estimate, trace

# Rooms that users import from.
ROOMS = ("costs", "data", "exporting", "layers", "methods", "models", "selecting")


def public_classes():
    modules = [importlib.import_module(f"tf_splitting.{room}") for room in ROOMS]
    for module in (tf_splitting, *modules):
        for name in module.__all__:
            found = getattr(module, name)
            # Protocols have no objects; a mixin's are the layers it is mixed into.
            if (
                inspect.isclass(found)
                and not getattr(found, "_is_protocol", False)
                and name not in ("LoaderEpochs", "Splittable", "Tracer")
            ):
                yield pytest.param(found, id=f"{module.__name__}.{name}")


@pytest.mark.parametrize("kind", list(public_classes()))
def test_every_public_class_says_what_its_objects_are(kind):
    assert kind.__repr__ is not object.__repr__


def test_objects_say_so_in_a_line():
    model = nets.compiled(nets.dense())
    x = examples()[0]
    y = np.eye(3)[examples()[1]]
    graph = trace(model)
    scores = estimate(model, (x, y), verbose=0)
    history = tf_splitting.GrowthHistory()
    expected = [
        (graph, "<ChannelGraph of model 'dense': 4 spaces, 2 of which may grow>"),
        (scores, "<SplittingScores of 2 spaces on 72 examples, by "),
        (scores["first"], "<SpaceScores of 4 neurons, lowest splitting index "),
        (history, "<GrowthHistory of 0 rounds, 0 epochs>"),
        (tf_splitting.GrowthLogger(history), "GrowthLogger(0 rounds, 0 epochs)"),
        (tf_splitting.costs.MACS, "<TermCost 'macs'>"),
    ]
    for found, words in expected:
        assert repr(found).startswith(words)
        assert len(repr(found)) < 120


def test_summaries_are_printed_as_those_of_keras(capsys):
    graph = trace(nets.dense())
    graph.summary()
    told = capsys.readouterr().out
    assert told.startswith('Channels of model "dense"\nChannel space')
    assert "2 of 4 spaces may grow, with 10 neurons" in told
    lines = []
    graph.summary(print_fn=lines.append)
    assert "\n".join(lines) + "\n" == told

    SplitPlan({"first": [0, 3]}, made_for={"first": 4, "second": 6}).summary()
    assert capsys.readouterr().out.splitlines() == [
        "SplitPlan",
        "Channel space  Width  Change  New width",
        "---------------------------------------",
        "first          4      +2      6",
        "2 neurons more",
    ]
    plan = ExchangePlan(RemovalPlan({"second": [1]}), SplitPlan({"first": [0]}))
    plan.summary()
    told = capsys.readouterr().out
    assert "1 neurons more, 1 neurons less" in told
    assert "-1" in told
