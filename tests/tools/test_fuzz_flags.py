"""Wrong values of every flag of every tool: refused before there is any work."""

import zipfile

import keras
import pytest
from absl import flags
from absl.testing import flagsaver
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from PIL import Image
from tool_runs import TINY, program_of

import tf_splitting
from tf_splitting import SplittingError
from tf_splitting.errors import DataError, UnknownNameError
from tf_splitting_programs.running import UsageError

TOOLS = ("grow", "shrink", "evaluate", "inspect_model", "export")
EXAMPLES = 10
LEAST = 1000

# Text that is no number, no choice and neither true nor false.
GIBBERISH = st.text("bcdghjkmpqvwz,;:_ +-", min_size=1, max_size=8)
NO_NUMBERS = ("", " ", "x", "nan", "inf", "-inf", "-1", "1e999", "1,5", "None", "true")
WRONG = {
    "int": (*NO_NUMBERS, "1.5", "1e3", "-7", f"-{10**30}"),
    "float": NO_NUMBERS,
    "number or word": (*NO_NUMBERS, "Fresh", "fresh "),
    "choice": ("", " ", "x", "None", "0", "SGD", "sgd,adam"),
    "bool": ("", " ", "x", "2", "-1", "None", "nan", "yes!"),
}


@pytest.fixture
def flags_of(run_here):
    """`flags_of("grow")`: the tool's flags but absl's own."""

    def find(tool):
        program = program_of(tool)
        if not flags.FLAGS.is_parsed():
            flags.FLAGS([tool])
        return program.all_flags()

    return find


def refused(flag, text):
    with pytest.raises(flags.Error), flagsaver.as_parsed(**{flag.name: text}):
        pass


def refuses(flag):
    """Gives a flag wrong values of its kind; how many there were."""
    texts = list(WRONG[flag.flag_type()])

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(GIBBERISH)
    def draw(text):
        texts.append(text)

    draw()
    for text in texts:
        refused(flag, text)
    return len(texts)


def test_what_cannot_be_parsed_is_refused(flags_of):
    calls = 0
    for tool in TOOLS:
        kinds = [flag for flag in flags_of(tool) if flag.flag_type() in WRONG]
        assert kinds
        calls += sum(map(refuses, kinds))
    assert calls >= LEAST


def test_numbers_too_large_for_anything_are_refused(flags_of):
    bounded = [
        flag
        for tool in TOOLS
        for flag in flags_of(tool)
        if getattr(flag.parser, "upper_bound", None) is not None
    ]
    assert {"seed", "batch_size", "image_size", "rounds"} <= {f.name for f in bounded}
    for flag in bounded:
        refused(flag, str(10**30))


@pytest.fixture
def no_work(monkeypatch):
    """Loading data, training and writing models fail the test."""

    def work(*_, **__):
        raise AssertionError("work has begun")

    monkeypatch.setattr(tf_splitting.data, "load", work)
    for name in ("fit", "evaluate", "export"):
        monkeypatch.setattr(keras.Model, name, work)


@pytest.fixture
def files(tmp_path, small_file):
    """Files of all kinds, none of which is a model, in the current folder."""
    whole = small_file.read_bytes()
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "empty.keras").write_text("")
    (tmp_path / "text.keras").write_text("a model")
    (tmp_path / "text.txt").write_text("a model")
    (tmp_path / "cut.keras").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "changed.keras").write_bytes(whole.replace(b"Conv2D", b"Conv9D"))
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as other:
        other.writestr("readme.txt", "a model")
    return tmp_path


MODELS = (
    "none.keras",
    "none/such",
    "mobilenet_v3",
    "folder",
    "file",
    "file/below",
    "empty.keras",
    "text.keras",
    "text.txt",
    "cut.keras",
    "changed.keras",
    "other.keras",
    f"{'long' * 99}.keras",
)
GROW = {"model": "mobilenet_v1", "target_macs": 1e9, "image_size": 32}
# Of flags that take any text: the tool, what goes with it, and what is wrong.
TEXTS = {
    "grow --model": ("grow", {"target_macs": 1e9}, "model", MODELS),
    "shrink --model": ("shrink", {"target_macs": 1e6}, "model", MODELS),
    "evaluate --model": ("evaluate", {}, "model", MODELS),
    "inspect_model --model": ("inspect_model", {}, "model", MODELS),
    "export --model": ("export", {"output": "out"}, "model", MODELS),
    "grow --activation": ("grow", GROW, "activation", ("swishh", "relu 6", "keras")),
    "inspect_model --activation": (
        "inspect_model",
        {"model": "mobilenet_v2"},
        "activation",
        ("swishh", "relu 6", "keras"),
    ),
    "grow --workdir": ("grow", GROW, "workdir", ("file", "file/below")),
    "shrink --workdir": (
        "shrink",
        {**GROW, "target_macs": 3e6},
        "workdir",
        ("file", "file/below"),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", TEXTS)
def test_text_that_names_nothing_is_refused(run_here, files, no_work, case):
    tool, others, flag, texts = TEXTS[case]
    for text in texts:
        with pytest.raises((ValueError, SplittingError)) as caught:
            run_here(tool, **{**others, flag: text})
        assert is_documented(caught.value), (text, caught.value)
    with pytest.raises(flags.Error):
        run_here(tool, **{**others, flag: ""})


@pytest.mark.parametrize("text", ["tflit", "", ",", "saved_model,keras"])
def test_formats_that_are_none_are_refused(run_here, small_file, no_work, text):
    with pytest.raises(ValueError, match=r".{20}") as caught:
        run_here("export", model=small_file, output="out", format=text)
    assert is_documented(caught.value)


@pytest.mark.parametrize("text", ["file", "file/below"])
def test_an_output_that_cannot_be_written_is_refused(run_here, small_file, files, text):
    with pytest.raises(SplittingError, match="cannot be written to"):
        run_here("export", model=small_file, output=text)


def is_documented(error):
    """Whether a tool makes one message of it."""
    return isinstance(error, SplittingError | UsageError)


@pytest.fixture
def pictures(files):
    """Image folders with something wrong, in the current folder."""
    good = Image.new("RGB", (8, 6))
    for name in ("one", "broken", "cut", "text", "hollow", "tiff"):
        for label in ("ant", "bee")[: 1 if name == "one" else 2]:
            folder = files / name / label
            folder.mkdir(parents=True)
            for k in range(5):
                good.save(folder / f"{k}.png")
    (files / "broken/bee/0.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(99))
    good.save(files / "cut/bee/0.jpg")
    whole = (files / "cut/bee/0.jpg").read_bytes()
    (files / "cut/bee/0.jpg").write_bytes(whole[: len(whole) // 2])
    (files / "text/bee/0.png").write_text("a picture")
    (files / "hollow/bee/0.gif").write_text("")
    good.save(files / "tiff/bee/0.png", format="tiff")
    (files / "bare/ant").mkdir(parents=True)
    return files


@pytest.mark.slow
@pytest.mark.parametrize("tool", ["grow", "evaluate", "inspect_model"])
@pytest.mark.parametrize(
    "text",
    [
        "./none",
        "folder",
        "one",
        "bare",
        "broken",
        "cut",
        "text",
        "hollow",
        "tiff",
        "cifar10O",
        "cifar100",
        "mnist/nothing",
        "mnist:nothing",
        "imdb_reviews",
        "a/b/c",
        "*",
    ],
)
def test_data_sets_that_are_none_are_refused(
    run_here, small_file, pictures, monkeypatch, tool, text
):
    """Nothing is downloaded, and nothing trained."""

    def work(*_, **__):
        raise AssertionError("work has begun")

    monkeypatch.setattr(keras.Model, "fit", work)
    others = {"model": small_file, "dataset": text, "data_dir": "folder"}
    if tool == "grow":
        others["target_macs"] = 1e6
    if tool == "inspect_model":
        others["scores"] = True
    with pytest.raises((DataError, UnknownNameError), match=r".{20}"):
        run_here(tool, **others)


def test_right_values_are_taken(run_here, small_file, capsys):
    limits = dict(flag.lstrip("-").split("=") for flag in TINY)
    run_here("evaluate", model=small_file, dataset="fashion_mnist_small", **limits)
    assert "accuracy" in capsys.readouterr().out
