"""A user's mistake is one line on stderr and exit code 2, before anything is done."""

import pytest
import tiers

from tf_splitting.errors import BudgetError, UnknownNameError

MISTAKES = {
    "unknown flag": (
        ["--model=mobilenet_v2", "--target_mac=1e9"],
        "Did you mean",
    ),
    "not a number": (["--model=mobilenet_v2", "--target_macs=much"], "target_macs"),
    "no model": (["--target_macs=1e9"], "--model is missing"),
    "no target": (["--model=mobilenet_v2"], "--target_macs is missing"),
    "positional": (["--model=mobilenet_v2", "0.2e9"], "takes flags only"),
    "misspelt choice": (["--method=spliting"], "the nearest is 'splitting'"),
    "epsilon": (["--epsilon=decent"], "a number above 0 or 'fresh' or 'descent'"),
    "no flagfile": (["--flagfile=none.flags"], "none.flags"),
    "target without growing": (
        ["--model=mobilenet_v2", "--nogrow", "--target_macs=1e9"],
        "--nogrow does not go with --target_macs",
    ),
    "misspelt model": (
        ["--model=mobilenet_v3", "--target_macs=1e9"],
        "did you mean 'mobilenet_v2'",
    ),
}


# Found before TensorFlow is imported, all but one.
@pytest.mark.parametrize(
    "mistake", tiers.some(MISTAKES, MISTAKES.keys() - {"misspelt model"})
)
def test_mistakes_are_told_in_a_line(run_tool, mistake, tmp_path):
    flags, message = MISTAKES[mistake]
    process = run_tool("grow", *flags, cwd=tmp_path)
    assert process.returncode == 2
    assert message in process.stderr
    assert process.stderr.startswith("error: ")
    assert "Traceback" not in process.stderr
    assert not list(tmp_path.rglob("grown.keras"))


@pytest.mark.slow
@pytest.mark.parametrize("debug", tiers.some([False, True], [False]))
def test_a_damaged_model_is_told_in_a_line(run_tool, small_file, tmp_path, debug):
    (tmp_path / "cut.keras").write_bytes(small_file.read_bytes()[:5000])
    flags = ["--model=cut.keras", "--debug"][: 1 + debug]
    process = run_tool("inspect_model", *flags, cwd=tmp_path)
    assert process.returncode == 2
    *traceback, message = process.stderr.splitlines()
    assert message.startswith("error: 'cut.keras' is not a .keras file, or not all")
    assert bool(traceback) == debug


@pytest.mark.slow
def test_debug_shows_the_traceback(run_tool):
    process = run_tool("export", "--model=none.keras", "--output=out", "--debug")
    assert process.returncode == 2
    assert "Traceback" in process.stderr


def test_a_missing_file_is_told(run_here):
    with pytest.raises(ValueError, match=r"no model file 'none\.keras'"):
        run_here("grow", model="none.keras", target_macs=1e9)


def test_a_target_below_the_seed_is_told_before_anything_is_written(run_here, tmp_path):
    with pytest.raises(BudgetError, match="Give a larger target"):
        run_here("grow", model="mobilenet_v1", image_size=32, target_macs=1e3)
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_data_set_is_told(run_here, small_file):
    with pytest.raises(UnknownNameError, match="Did you mean 'cifar10'"):
        run_here("grow", model=small_file, target_macs=1e6, dataset="cifar10O")


def test_flags_for_built_in_models_do_not_go_with_a_file(run_here, small_file):
    with pytest.raises(ValueError, match="--widths: for built-in models only"):
        run_here("grow", model=small_file, target_macs=1e6, widths="full")


def test_a_finished_job_is_not_overwritten(run_here, small_file, job):
    _, workdir = job
    with pytest.raises(ValueError, match=r"--target_macs=120000\.0 then"):
        run_here("grow", model=small_file, target_macs=1e6, workdir=workdir)


def test_a_folder_that_cannot_be_made_is_told(run_here, small_file, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="cannot be written to"):
        run_here("grow", model=small_file, target_macs=1e6, workdir="file/below")


def test_an_image_size_other_than_the_models_is_told(run_here, small_file):
    with pytest.raises(ValueError, match="takes images of 16 x 16"):
        run_here("grow", model=small_file, target_macs=1e6, image_size=32)


@pytest.mark.parametrize(
    ("tool", "values", "message"),
    [
        ("inspect_model", {"model": "ResNet51"}, "did you mean 'ResNet50'"),
        ("inspect_model", {"model": "ResNet50", "widths": "full"}, "built-in models"),
        ("inspect_model", {"model": "mobilenetv2"}, "did you mean 'mobilenet_v2'"),
        ("inspect_model", {"weights": "imagenet"}, "for models by name only"),
        ("inspect_model", {"model": "VGG16", "weights": "none.h5"}, "no such file"),
        ("inspect_model", {"model": "VGG16", "image_size": 16}, "Give another size"),
        ("export", {"output": "out", "format": "tflit"}, "did you mean 'tflite'"),
        ("export", {"output": "out", "model": "none.keras"}, "no model file"),
        ("evaluate", {"model": "none.keras"}, "no model at"),
    ],
)
def test_the_other_tools_tell_too(run_here, small_file, tool, values, message):
    with pytest.raises(ValueError, match=message):
        run_here(tool, **{"model": small_file, **values})
