"""What a release holds, and that it runs where nothing else of the project is."""

import json
import sys
import tarfile
import zipfile
from pathlib import PurePosixPath

import keras
import pytest
from release_runs import run

from tf_splitting import count_macs
from tf_splitting.support import VERSION

pytestmark = pytest.mark.slow

PACKAGES = ("tf_splitting", "tf_splitting_programs")
NAME = f"tf_splitting-{VERSION}"
# The only data of the wheel.
DATA = {
    "tf_splitting/py.typed",
    "tf_splitting/data/shipped/LICENSE-fashion-mnist.txt",
    "tf_splitting/data/shipped/fashion_mnist_small.npz",
    "tf_splitting/exporting/report/page.css",
    "tf_splitting/exporting/report/page.js",
}
ABOUT = {
    *("METADATA", "RECORD", "WHEEL", "entry_points.txt", "top_level.txt"),
    "licenses/LICENSE",
    "licenses/tf_splitting/data/shipped/LICENSE-fashion-mnist.txt",
}
# Written by the build.
OF_THE_BUILD = {"PKG-INFO", "setup.cfg"}
NOT_IN_THE_SDIST = {".gitignore"}


def files_of(folder):
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_wheel_holds_the_packages_and_no_tests(built, checkout):
    _, wheel = built
    assert wheel.name == f"{NAME}-py3-none-any.whl"
    modules = {
        path
        for path in files_of(checkout)
        if path.endswith(".py") and path.split("/")[0] in PACKAGES
    }
    assert len(modules) > 200
    expected = modules | DATA | {f"{NAME}.dist-info/{file}" for file in ABOUT}
    assert set(zipfile.ZipFile(wheel).namelist()) == expected


def test_the_sdist_holds_whatever_a_clone_does(built, checkout):
    sdist, _ = built
    assert sdist.name == f"{NAME}.tar.gz"
    with tarfile.open(sdist) as archive:
        paths = [PurePosixPath(each.name) for each in archive if each.isfile()]
    assert {path.parts[0] for path in paths} == {NAME}
    inside = {"/".join(path.parts[1:]) for path in paths}
    inside = {path for path in inside if ".egg-info/" not in path}
    cloned = {
        path
        for path in files_of(checkout)
        if ".egg-info/" not in path and path.split("/")[0] not in ("build", "dist")
    }
    assert inside - OF_THE_BUILD == cloned - NOT_IN_THE_SDIST
    assert {"tests/conftest.py", "LICENSE", "CITATION.cff"} < inside


def test_an_index_would_take_both(built, checkout):
    pytest.importorskip("twine")
    told = run(sys.executable, "-m", "twine", "check", "--strict", *built, cwd=checkout)
    assert told.stdout.count("PASSED") == 2


def test_the_installed_command_grows_a_model_in_an_empty_folder(installed, tmp_path):
    layers = keras.layers
    seed = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(4, 5, strides=4, activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    seed.save(tmp_path / "seed.keras")
    told = run(installed / "tf-splitting", "--version", cwd=tmp_path).stdout
    assert told.startswith(f"tf-splitting {VERSION} (Python 3.")
    done = run(
        installed / "tf-splitting",
        "grow",
        "--model=seed.keras",
        "--target_macs=14e3",
        "--train_limit=64",
        "--test_limit=40",
        "--batch_size=16",
        "--rounds=1",
        "--epochs=0",
        "--final_epochs=1",
        # Estimates would take longer to compile than all else.
        "--method=uniform",
        "--noexport",
        "--workdir=out",
        cwd=tmp_path,
    )
    assert done.stderr == ""
    assert "test: accuracy 0." in done.stdout
    history = json.loads((tmp_path / "out" / "history.json").read_text())
    grown = keras.saving.load_model(tmp_path / "out" / "grown.keras")
    assert history["rounds"][-1]["macs"] == count_macs(grown)
    assert count_macs(seed) < count_macs(grown) <= 14e3
    repeat = (tmp_path / "out" / "flags.txt").read_text().splitlines()[0]
    assert repeat == "# To repeat: tf-splitting grow --flagfile=THIS"
