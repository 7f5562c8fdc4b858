"""What would be uploaded, built from a clean copy of the checkout, and installed."""

import shutil
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
from release_runs import ROOT, run

# What work leaves in a checkout; what `.gitignore` has.
LEFTOVERS = (
    *("__pycache__", "*.egg-info", ".git", ".venv*", ".nox", "build", "dist", "runs"),
    *(".pytest_cache", ".ruff_cache", ".mypy_cache", ".import_linter_cache"),
    *(".hypothesis", "cache", "*.claims"),
)


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    """A copy of the checkout as it would be cloned."""
    folder = tmp_path_factory.mktemp("release") / "checkout"
    shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*LEFTOVERS))
    return folder


@pytest.fixture(scope="session")
def built(checkout):
    """The sdist, and the wheel that is built from it: `(sdist, wheel)`."""
    pytest.importorskip("build")
    # What it builds with is installed: no network, and so no isolation.
    run(sys.executable, "-m", "build", "--no-isolation", cwd=checkout)
    (sdist,) = (checkout / "dist").glob("*.tar.gz")
    (wheel,) = (checkout / "dist").glob("*.whl")
    return sdist, wheel


@pytest.fixture(scope="session")
def installed(built, tmp_path_factory):
    """The `bin` of an environment with the wheel, and all else as it is here."""
    _, wheel = built
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder)
    paths = {"base": str(folder), "platbase": str(folder)}
    site = Path(sysconfig.get_path("purelib", "venv", paths))
    # Behind the wheel, so that this checkout is not found if it is installed here.
    (site / "here.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    python = folder / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python)
    options = ("--no-deps", "--no-index", "--ignore-installed", "--no-compile")
    run(*pip, "install", *options, wheel, cwd=folder)
    return folder / "bin"
