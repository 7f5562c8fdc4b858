"""Every network of keras.applications can be traced, grown and made smaller."""

import gc

import keras
import nets
import numpy as np
import pytest
import stock
import tiers

from tf_splitting import count_macs, remove, split, trace
from tf_splitting.costs.base import total
from tf_splitting.costs.macs import growable_share, macs_terms

TOLERANCE = 1e-4
LEAST_GROWABLE_SHARE = 0.03
# Networks of which less of the MACs can grow, and why.
EXPECTED_FROZEN: dict[str, str] = {}

# Some run by default, a few of other layers with --slow, and all with --exhaustive.
# The quick ones are saved too.
SLOW = ("ResNet50",)
QUICK = ("ConvNeXtTiny", "EfficientNetB0", "MobileNetV2", "MobileNetV3Small")

DEFAULT = ("MobileNetV3Small",)


def cases():
    """Every network once, ending in logits and in features by turns."""
    return [case(n, top=i % 2 == 0) for i, n in enumerate(stock.BUILDERS)]


def case(name, top):
    label = f"{name}-{'logits' if top else 'features'}"
    marks = tiers.marks(name, DEFAULT, SLOW + QUICK)
    return pytest.param(name, top, marks=marks, id=label)


@pytest.fixture(autouse=True)
def freed():
    """The models of one test are gone before the next builds its own.

    Looking for garbage while hundreds of layers come into being takes a third of the
    time, and there is none before the test ends.
    """
    gc.disable()
    yield
    gc.enable()
    keras.utils.clear_session()
    gc.collect()


def relative(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(a)


def assert_preserved(model, grown, images, alive=0.01):
    """Same outputs, which differ from image to image; yields those of the new network.

    A hundred random layers and more (ResNet152 most of all) may turn a change of the
    images by one rounding of float32 into more than TOLERANCE. Twice that is allowed
    then: a split that forgets the shares of one kernel of ResNet152 is off by 7 %.
    """
    before, after = nets.outputs(model, images), nets.outputs(grown, images)
    assert relative(before, np.roll(before, 1, 0)) > alive, "a dead network"
    error = relative(before, after)
    if error > TOLERANCE:
        signs = np.random.default_rng(0).choice([-1, 1], images.shape)
        rounding = 1 + np.finfo(images.dtype).eps / 2 * signs
        rounded = nets.outputs(model, (images * rounding).astype(images.dtype))
        noise = relative(before, rounded)
        assert error < 2 * noise < 50 * TOLERANCE
    return after


def test_all_are_found():
    assert len(stock.BUILDERS) >= 40
    assert {*QUICK, *SLOW, *EXPECTED_FROZEN} <= stock.BUILDERS.keys()


@pytest.mark.parametrize(("name", "top"), cases())
def test_application(name, top, tmp_path):
    model = stock.build(name, top)
    images = stock.alive(model)
    graph = trace(model)
    few = growable_share(graph) < LEAST_GROWABLE_SHARE
    assert few == (name in EXPECTED_FROZEN)

    plan = nets.random_plan(graph, share=0.01)
    assert plan.splits.keys() == {space.name for space in graph.growable}
    grown = split(model, plan, epsilon=0.0)
    after = assert_preserved(model, grown, images)
    expected = total(macs_terms(graph), plan.widths(graph))
    assert count_macs(grown) == expected > total(macs_terms(graph), graph.widths)

    fewer = nets.random_removal(graph)
    smaller = remove(model, fewer)
    with nets.silenced(model, graph, fewer):
        # Deep random networks that lose a third of every layer hardly hear the images.
        assert_preserved(model, smaller, images, alive=4 * TOLERANCE)
    assert count_macs(smaller) == total(macs_terms(graph), fewer.widths(graph))

    # The others are of the same layers; reading one takes as long as building it.
    if name in QUICK:
        grown.save(tmp_path / "grown.keras")
        loaded = keras.saving.load_model(tmp_path / "grown.keras")
        assert relative(after, nets.outputs(loaded, images)) < 1e-6
