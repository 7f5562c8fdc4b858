"""Runs the tools as their users do: as processes, from another folder."""

import importlib
import subprocess

import keras
import pytest
from absl import flags
from absl.testing import flagsaver
from tool_runs import SHORT, TINY, command, environment, program_of

from tf_splitting_programs.running import Call


@pytest.fixture(scope="session")
def run_tool(tmp_path_factory):
    """`run_tool("grow", "--model=...")` -> the completed process, output as text.

    `prepare` is called in the new process before the tool is.
    """
    folder = tmp_path_factory.mktemp("cwd")

    def run(tool, *flags, cwd=folder, prepare=None):
        return subprocess.run(
            command(tool, *flags),
            cwd=cwd,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=1500,
            preexec_fn=prepare,
        )

    return run


@pytest.fixture(scope="session")
def small_file(tmp_path_factory):
    """An uncompiled `.keras` file for ten classes of 16 x 16 images, 25 k MACs."""
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            layers.Rescaling(1 / 127.5, offset=-1),
            layers.Conv2D(8, 3, strides=2, use_bias=False, name="first"),
            layers.BatchNormalization(momentum=0.8),
            layers.Activation("swish"),
            layers.Conv2D(8, 3, activation="swish", name="second"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(10, name="head"),
        ],
        name="small",
    )
    path = tmp_path_factory.mktemp("model") / "small.keras"
    model.save(path)
    return path


@pytest.fixture(scope="session")
def job(run_tool, small_file, tmp_path_factory):
    """A finished growing job: `(process, workdir)`."""
    workdir = tmp_path_factory.mktemp("job") / "out"
    process = run_tool(
        "grow",
        f"--model={small_file}",
        "--target_macs=120e3",
        f"--workdir={workdir}",
        *TINY,
        *SHORT,
    )
    assert process.returncode == 0, process.stderr
    return process, workdir


@pytest.fixture
def run_here(monkeypatch, tmp_path):
    """`run_here("grow", model="...")`: a tool's job in this process, which is
    faster where the program around it does not matter.
    """
    monkeypatch.chdir(tmp_path)

    def run(tool, **values):
        program = program_of(tool)
        # Before flags are set: those defined meanwhile would be gone afterwards.
        job = importlib.import_module(program.job)
        if not flags.FLAGS.is_parsed():
            flags.FLAGS([tool])
        texts = {name: str(value) for name, value in values.items()}
        with flagsaver.as_parsed(**texts):
            program.check()
            job.run(Call(program, ("python", f"tools/{tool}.py"), ()))

    return run
