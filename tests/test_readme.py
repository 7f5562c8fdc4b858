"""The README's Python examples run, in order, as a reader would run them."""

import keras
import pytest
from readme import README, python_blocks


@pytest.fixture(scope="module")
def namespace(tmp_path_factory):
    blocks = python_blocks()
    assert len(blocks) >= 3
    names = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("readme"))
        for block in blocks:
            exec(compile(block, str(README), "exec"), names)
        names["reloaded"] = keras.saving.load_model("grown.keras")
    return names


@pytest.mark.slow
def test_the_grown_model_learned_within_its_budget(namespace):
    last = namespace["history"].rounds[-1]
    assert namespace["history"].epochs[-1]["val_accuracy"] > 0.6
    assert last.macs == namespace["tf_splitting"].count_macs(namespace["reloaded"])


@pytest.mark.slow
def test_the_layers_of_ones_own_grew(namespace):
    assert namespace["wider"].get_layer("mix").units == 9
    assert namespace["wider"].get_layer("gate").scale.shape == (9,)
