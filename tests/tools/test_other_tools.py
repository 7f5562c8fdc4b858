"""`evaluate.py`, `inspect_model.py` and `export.py` on the result of a small job."""

import re

import pytest
from tool_runs import TINY

from tf_splitting.requirements import KERAS

TEST = ("--test_limit=40", "--batch_size=16")


def figures(output):
    """`{"accuracy": "0.1", ...}`: the second word of every line by its first."""
    return {line.split()[0]: line.split()[1] for line in output.splitlines()}


@pytest.mark.slow
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
