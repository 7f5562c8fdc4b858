"""`devices/accelerator.py`: what it writes, on a CPU and without TensorFlow."""

import importlib
import json
import math
import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import keras
import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "devices" / "accelerator.py"
# What a machine with JAX and Keras need not have.
HIDDEN = ("tensorflow", "tensorflow_datasets", "matplotlib")
GROUP = {
    "name": "tiny",
    "model": "mobilenet_v1",
    "widths": "cifar_seed",
    "options": {"widths": "cifar_seed"},
    "pixels": 32,
    "classes": 10,
    "batch": 4,
    "precisions": ["float32", "bfloat16"],
    "products": ["incoming", "both"],
}
JOBS = {"incoming", "both", "both, through the toolkit"}


@pytest.fixture
def modules(monkeypatch):
    """The benchmark and its jobs, of which nothing here touches a backend."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    names = ("accelerator", "accelerator_jobs")
    return tuple(importlib.import_module(name) for name in names)


def run_script(folder, *arguments, **environment):
    for name in HIDDEN:
        missing = f"raise ModuleNotFoundError('No module named {name}', name='{name}')"
        (folder / f"{name}.py").write_text(missing)
    paths = os.pathsep.join([str(folder), str(ROOT)])
    inherited = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)],
        env={**inherited, "PYTHONPATH": paths, **environment},
        capture_output=True,
        text=True,
    )


def refuse(constant):
    raise AssertionError(f"{constant} is no number of JSON")


@pytest.mark.exhaustive
def test_the_smallest_row_is_measured_and_lambda_agrees(tmp_path):
    output = tmp_path / "results" / "accelerator.jsonl"
    process = run_script(
        tmp_path,
        *("--quick", "--rows", "cifar-16-bfloat16", "lambda"),
        *("--seconds", 0.2, "--total_seconds", 1500, "--output", output),
        # Slower programs, sooner compiled.
        XLA_FLAGS="--xla_backend_optimization_level=0",
    )
    assert process.returncode == 0, process.stderr
    (line,) = output.read_text().splitlines()
    result = json.loads(line, parse_constant=refuse)
    assert result["device"] == "cpu"
    assert result["versions"]["keras"] == keras.__version__
    (row,) = result["rows"]
    assert row["row"] == "cifar-16-bfloat16"
    assert row["jobs"].keys() == {"training", *JOBS}
    for name, job in row["jobs"].items():
        for key in ("seconds", "images_per_second", "of_training"):
            assert 0 < job[key] < math.inf, (name, key)
        if name != "both, through the toolkit":
            assert job["memory_bytes"] > job["scratch_bytes"] > 0
            assert job["convolutions"] > 0
        assert "unknown device" in job.get("peak_in", "unknown device")
    for precision in ("default", "highest"):
        for differences in result["lambda"][precision].values():
            assert 0 <= differences["largest"] < 1e-3
    assert result["lambda"]["largest_lambda"] > 1e-3
    assert "cifar-16-bfloat16" in process.stdout
    assert "λ, own directions" in process.stdout
    assert "skipped" not in process.stdout


def test_other_backends_are_refused_by_name(tmp_path):
    process = run_script(tmp_path, "--quick", KERAS_BACKEND="tensorflow")
    assert process.returncode != 0
    assert "KERAS_BACKEND is 'tensorflow'" in process.stderr
    assert "Traceback" not in process.stderr


@pytest.mark.parametrize(
    ("device", "precision", "highest", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", "float32", False, (494.7e12, "TF32")),
        ("NVIDIA H100 80GB HBM3", "float32", True, (66.9e12, "float32")),
        ("NVIDIA H200", "bfloat16", False, (989.4e12, "bfloat16")),
        ("NVIDIA A100-SXM4-80GB", "float32", False, (156e12, "TF32")),
        ("Tesla T4", "float32", False, (8.1e12, "float32")),
        ("Tesla T4", "bfloat16", False, (None, "bfloat16")),
        ("TPU v5 lite", "float32", False, (197e12, "bfloat16")),
        ("TPU v4", "float32", True, (275e12 / 6, "6 passes in bfloat16")),
        # A slice of a device, and one of another name.
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "float32", False, None),
        ("NVIDIA GH200 480GB", "float32", False, None),
        ("cpu", "float32", False, None),
    ],
)
def test_peaks_are_those_of_the_very_device(
    modules, device, precision, highest, expected
):
    benchmark, _ = modules
    expected = expected or (None, "unknown device")
    assert benchmark.peak_of(device, precision, highest) == expected


def test_what_runs_out_of_memory_says_so_and_the_rest_goes_on(modules):
    _, jobs = modules

    def too_large(steps):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: 80 GiB\nand a long tale")

    runs = {"large": too_large, "small": lambda steps: time.sleep(1e-3 * steps)}
    found = jobs.timed(runs, 0.05, time.time() + 60)
    assert found["large"] == {"error": "RESOURCE_EXHAUSTED: 80 GiB"}
    assert found["small"]["seconds"] >= 1e-3
    assert found["small"]["turns"] >= jobs.TURNS


def test_what_no_time_is_left_for_is_named(modules, capsys):
    _, jobs = modules
    jobs.measure_group(GROUP, 1.0, deadline=0.0, slowest=0.0)
    told = capsys.readouterr().out.splitlines()
    last = json.loads(told[-1].removeprefix(jobs.MARK))
    assert last["done"]
    expected = {"training float32", "training bfloat16", "incoming", "both"}
    assert {n for n, job in last["jobs"].items() if "skipped" in job} == expected


def test_a_process_that_dies_costs_no_more_than_its_group(
    modules, tmp_path, monkeypatch
):
    benchmark, _ = modules
    run = benchmark.Run(time.time() + 60, 1.0, tmp_path)
    groups = [{**GROUP, "name": name} for name in ("first", "second", "third")]
    asked = []

    def process(command, settings, deadline, environment=None):
        asked.append([group["name"] for group in settings["groups"]])
        if len(asked) == 1:
            measured = {"seconds": 2.0, "highest_precision": False}
            jobs = {"training float32": measured}
            run.groups["first"] = {"jobs": jobs, "macs": 1000, "done": True}
            run.groups["second"] = {"jobs": {"incoming": {"memory_bytes": 5}}}
            return -9
        return 0

    monkeypatch.setattr(run, "_process", process)
    run.measure(groups, compare=False)
    assert asked == [["first", "second", "third"], ["third"]]
    first, second, third = (
        benchmark.rows_of(run, group)[0]["jobs"] for group in groups
    )
    assert first["training"]["images_per_second"] == GROUP["batch"] / 2
    assert first["training"]["flops"] == 3 * 2 * 1000 * GROUP["batch"]
    assert second["incoming"]["error"] == "its process ended with code -9"
    assert second["incoming"]["memory_bytes"] == 5
    assert all(job["skipped"] == benchmark.OUT_OF_TIME for job in third.values())
    cells = [
        c for row in benchmark.table(benchmark.rows_of(run, groups[1])) for c in row
    ]
    assert "its process ended with code -9" in cells
