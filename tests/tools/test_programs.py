"""`tf-splitting`: which command runs, and what helps, without waiting for Keras."""

import runpy
import subprocess
import sys

import pytest
from tool_runs import ROOT, environment

from tf_splitting.as_program import is_run
from tf_splitting.support import VERSION
from tf_splitting_programs.main import COMMANDS, main, program
from tf_splitting_programs.running import USER_ERROR, Call, UsageError
from tf_splitting_programs.running.help import asked_for

# What a usual terminal shows at once, with the next prompt below.
LINES, COLUMNS = 24, 80


@pytest.fixture
def called(monkeypatch, capsys):
    """`called("grow", "--help")` -> exit code, and what is printed."""

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["tf-splitting", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return call


def helped(name, *arguments, words=("tf-splitting",)):
    return asked_for(Call(program(name), (*words, name), arguments))


def test_without_a_command_all_are_told(called):
    code, said, complaint = called()
    assert code == 2
    assert said == ""
    for name in COMMANDS:
        assert f"\n  {name} " in complaint


@pytest.mark.parametrize("flag", ["help", "-h", "--helpshort"])
def test_asked_for_help_all_are_told_too(called, flag):
    code, said, complaint = called(flag)
    assert code == 0
    assert complaint == ""
    assert all(f"\n  {name} " in said for name in COMMANDS)
    assert_fits(said)


@pytest.mark.parametrize(
    ("word", "told"),
    [("gorw", "no such command. Did you mean 'grow'?"), ("--seed=1", "comes first")],
)
def test_what_is_no_command_is_told(called, word, told):
    code, said, complaint = called(word, "--model=mobilenet_v2")
    assert code == 2
    assert said == ""
    assert complaint.startswith(f"error: {word}: ")
    assert complaint.count("\n") == 1
    assert told in complaint


def test_python_runs_the_package_as_a_command(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tf_splitting", "--version"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("tf_splitting", run_name="__main__")
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"tf-splitting {VERSION} (Python 3.")


@pytest.mark.parametrize(
    ("argv", "command", "runs"),
    [
        (["-m", "--help"], ["python", "-u", "-m", "tf_splitting", "--help"], True),
        (["-m"], ["python", "-m", "pytest"], False),
        (["-m"], ["python", "-m"], False),
        (["-c"], ["python", "-c", "import tf_splitting"], False),
        (["own.py", "-m"], ["python", "own.py", "-m", "tf_splitting"], False),
    ],
)
def test_the_package_knows_when_it_is_run(argv, command, runs):
    assert is_run(argv, command) is runs


def test_run_as_a_module_it_prints_nothing_of_others():
    command = [sys.executable, "-m", "tf_splitting", "grow", "--modle=x"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment(), cwd=ROOT
    )
    assert done.returncode == USER_ERROR
    assert done.stdout == ""
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def assert_fits(text):
    lines = text.splitlines()
    assert len(lines) < LINES
    assert max(map(len, lines)) <= COLUMNS


@pytest.mark.parametrize("name", COMMANDS)
def test_the_short_help_fits_a_screen(name):
    for words in (("tf-splitting",), ("python", "-m", "tf_splitting")):
        text = helped(name, "--helpshort", words=words)
        assert_fits(text)
        assert text.count(f"\n    {' '.join(words)} {name} ") >= 1
        for holder in program(name).most_used:
            assert f"{holder.name} " in text


@pytest.mark.parametrize("name", COMMANDS)
def test_the_long_help_has_every_flag_once_below_its_topic(name):
    text = helped(name, "--model=x", "--help")
    assert max(map(len, text.splitlines())) <= COLUMNS
    for flag in program(name).all_flags():
        listed = f"\n  --{'[no]' * flag.boolean}{flag.name} "
        assert f"{text} ".replace("\n", " \n").count(listed) == 1
    topics = [module.__name__.split(".")[-1] for module in program(name).all_topics()]
    assert "program" in topics
    where = [text.index(f"\n\n{topic}: ") for topic in topics]
    assert where == sorted(where)
    for topic, start, end in zip(topics, where, [*where[1:], len(text)], strict=True):
        assert helped(name, f"--help={topic}") == text[start:end].strip()


def test_a_topic_that_is_none_is_told():
    with pytest.raises(UsageError, match=r"no such topic\. Did you mean 'data'"):
        helped("grow", "--help=dat")


def test_a_value_that_looks_like_it_asks_for_no_help():
    assert helped("evaluate", "--", "--help") is None
    assert helped("grow", "--helpless", "--model=--help") is None


def test_every_command_has_a_tool_of_its_name():
    tools = {path.stem for path in (ROOT / "tools").glob("*.py")}
    assert set(COMMANDS.values()) <= tools
    assert COMMANDS.keys() - tools == {"inspect"}


UNHURRIED = """
import sys
sys.path.insert(0, ".")
from tf_splitting_programs.main import main
sys.argv[1:] = ["grow", "--model=mobilenet_v2", "--target_mac=1e9"]
try:
    main()
finally:
    print({"keras", "numpy", "tensorflow", "tf_splitting"} & sys.modules.keys())
"""


def python(*arguments):
    """The completed process, output as text."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )


def test_a_mistake_is_told_before_keras_is_imported():
    process = python("-c", UNHURRIED)
    assert process.returncode == 2
    assert "Did you mean: target_macs" in process.stderr
    assert process.stdout == "set()\n"


def test_tools_run_from_the_project_root():
    process = python("tools/grow.py", "--help")
    assert process.returncode == 0
    assert "\n    python tools/grow.py --model=mobilenet_v2 --target_" in process.stdout
    for flag in ("--model", "--target_macs", "--epsilon", "--workdir", "--[no]export"):
        assert flag in process.stdout
