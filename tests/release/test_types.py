"""What a type checker says to somebody who uses the installed package."""

import sys

import pytest
from readme import python_blocks
from release_runs import run

pytestmark = pytest.mark.slow

# Keras and TensorFlow have no types, which is not for us to say.
OPTIONS = ("--disable-error-code=import-untyped", "--check-untyped-defs")
WRONG = """
other: tf_splitting.SplitPlan = tf_splitting.trace(model)
tf_splitting.select(scores, graph, target_mac=1e6)
"""


@pytest.fixture(scope="module")
def check(installed, tmp_path_factory):
    """`check(name="...")` -> what mypy says of scripts that use the installed wheel."""
    pytest.importorskip("mypy")
    folder = tmp_path_factory.mktemp("script")
    python = f"--python-executable={installed / 'python'}"

    def check(**scripts):
        for name, text in scripts.items():
            (folder / f"{name}.py").write_text(text)
        command = (sys.executable, "-m", "mypy", *OPTIONS, python)
        files = (f"{name}.py" for name in scripts)
        return run(*command, *files, cwd=folder, succeeds=False).stdout

    return check


def test_the_examples_of_the_readme_have_types(check):
    """Of an object whose type is unknown, everything would pass: so two mistakes."""
    examples = "".join(python_blocks())
    told = check(right=examples, wrong=examples + WRONG)
    assert "right.py" not in told
    assert "Found 2 errors in 1 file (checked 2 source files)" in told
    assert '"ChannelGraph", variable has type "SplitPlan"' in told
    assert 'Unexpected keyword argument "target_mac" for "select"' in told
