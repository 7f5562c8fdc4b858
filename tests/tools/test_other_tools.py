"""`evaluate.py`, `inspect_model.py` and `export.py` on the result of a small job."""

import re

import keras
import presets
import pytest
from tool_runs import SHORT, TINY

from tf_splitting import count_macs
from tf_splitting.requirements import KERAS

TEST = ("--test_limit=40", "--batch_size=16")


def figures(output):
    """`{"accuracy": "0.1", ...}`: the second word of every line by its first."""
    return {line.split()[0]: line.split()[1] for line in output.splitlines()}


@pytest.mark.exhaustive
def test_both_files_of_a_job_evaluate_alike(run_tool, job):
    process, workdir = job
    keras_file = run_tool("evaluate", f"--model={workdir / 'grown.keras'}", *TEST)
    assert keras_file.returncode == 0, keras_file.stderr
    assert keras_file.stderr == ""
    folder = run_tool("evaluate", f"--model={workdir / 'saved_model'}", *TEST)
    assert folder.returncode == 0, folder.stderr
    of_file, of_folder = figures(keras_file.stdout), figures(folder.stdout)
    assert of_file["accuracy"] == of_folder["accuracy"]
    assert of_file["loss"] == of_folder["loss"]
    assert f"test: accuracy {of_file['accuracy']}" in process.stdout
    assert "MACs" in keras_file.stdout
    assert "not known of a SavedModel" in folder.stdout
    assert len(re.findall(r"ms per image at batch size (1|16) ", folder.stdout)) == 2


def test_inspect_shows_spaces_reasons_and_indices(run_here, small_file, capsys):
    limits = dict(flag.lstrip("-").split("=") for flag in TINY)
    options = {"scores": True, "sample_size": 16, "passes": 1, **limits}
    run_here("inspect_model", model=small_file, **options)
    shown = capsys.readouterr().out
    assert "frozen because" in shown
    assert "2 of 4 spaces may grow" in shown
    assert "lowest index" in shown
    assert "on 16 images" in shown


def test_inspect_takes_keras_applications(run_here, capsys):
    run_here("inspect_model", model="MobileNet")
    assert "0.569G MACs" in capsys.readouterr().out


def test_a_model_by_name_takes_weights_of_a_file(run_here, tmp_path, capsys):
    """Of the classes that it was trained on; those of ImageNet are shown."""
    twin = keras.applications.MobileNet(
        weights=None, input_shape=(32, 32, 3), classes=10
    )
    twin.save(tmp_path / "twin.keras")
    options = {"image_size": 32, "weights": tmp_path / "twin.keras"}
    run_here("inspect_model", model="mobilenet", **options)
    assert "12.61M MACs" in capsys.readouterr().out


@pytest.mark.slow
def test_a_network_of_keras_grows_by_name(run_here, tmp_path, capsys):
    limits = dict(flag.lstrip("-").split("=") for flag in (*TINY, *SHORT))
    options = {"image_size": 32, "workdir": tmp_path / "out", "export": False}
    # Whatever is split where: estimates of so deep a network take minutes.
    quick = {"method": "uniform", "rounds": 1, "epochs": 0}
    limits |= {"model": "MobileNet", "target_macs": 13e6, **quick}
    run_here("grow", **options, **limits)
    told = capsys.readouterr().out
    assert "weights: random; published ones with --weights=published" in told
    grown = keras.saving.load_model(tmp_path / "out" / "grown.keras")
    assert grown.input_shape == (None, 32, 32, 3)
    assert grown.output_shape == (None, 10)
    assert 12.6e6 < count_macs(grown) <= 13e6


@pytest.mark.slow
def test_a_folder_with_a_preset_grows(run_here, tmp_path, capsys):
    hub = presets.keras_hub()
    classifier = hub.models.ImageClassifier(
        backbone=presets.backbone(hub), num_classes=7
    )
    classifier.save_to_preset(str(tmp_path / "preset"))
    limits = dict(flag.lstrip("-").split("=") for flag in (*TINY, *SHORT))
    options = {"image_size": 16, "workdir": tmp_path / "out", "export": False}
    quick = {"method": "uniform", "rounds": 1, "epochs": 0}
    limits |= {"model": tmp_path / "preset", "target_macs": 2e6, **quick}
    run_here("grow", **options, **limits)
    assert "weights: the preset's; random in the" in capsys.readouterr().out
    grown = keras.saving.load_model(tmp_path / "out" / "grown.keras")
    assert grown.output_shape == (None, 10)
    assert 1.9e6 < count_macs(grown) <= 2e6


def test_export_takes_what_are_no_images(run_here, tmp_path, capsys):
    tokens = keras.Input((5,), dtype="int32", name="tokens")
    numbers = keras.Input((2,), name="numbers")
    seen = keras.layers.Flatten()(keras.layers.Embedding(4, 2)(tokens))
    hidden = keras.layers.Concatenate()([seen, numbers])
    outputs = {"label": keras.layers.Dense(3)(hidden)}
    keras.Model([tokens, numbers], outputs).save(tmp_path / "text.keras")
    run_here("export", model=tmp_path / "text.keras", output=tmp_path / "out")
    assert "outputs differ by" in capsys.readouterr().out
    assert (tmp_path / "out" / "saved_model").is_dir()


@pytest.mark.slow
@pytest.mark.skipif(KERAS < (3, 13), reason="Keras does not write LiteRT")
def test_export_writes_what_it_has_compared(run_tool, job, tmp_path):
    _, workdir = job
    process = run_tool(
        "export",
        f"--model={workdir / 'grown.keras'}",
        "--format=saved_model,tflite",
        f"--output={tmp_path}",
    )
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    assert process.stdout.count("outputs differ by") == 2
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["model.tflite", "saved_model"]
