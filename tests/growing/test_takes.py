"""One description serves signature, documentation and body of `grow` and `train`."""

import inspect
from dataclasses import dataclass

import pytest

import tf_splitting
from tf_splitting.errors import UnknownNameError
from tf_splitting.growing import GrowArguments, TrainArguments
from tf_splitting.growing.takes import takes


@dataclass(frozen=True, kw_only=True)
class Base:
    """A base.

    Args:
        often: how often,
            in words.
    """

    often: int = 1


@dataclass(frozen=True, kw_only=True)
class Arguments(Base):
    """Some arguments.

    Args:
        size: how large.

    Raises:
        ValueError: never.
    """

    size: float


@takes(Arguments)
def function(model, dataset, arguments):
    """Does something.

    Args:
        model: what to do it to.
        {arguments}

    Returns:
        What it was given.
    """
    return model, dataset, arguments


def test_arguments_come_by_name():
    assert function(1, 2, size=3.0) == (1, 2, Arguments(size=3.0))
    called = function(dataset=2, model=1, size=3.0, often=4)
    assert called == (1, 2, Arguments(size=3.0, often=4))


def test_wrong_calls_are_refused():
    with pytest.raises(TypeError, match="missing a required argument: 'size'"):
        function(1, 2)
    with pytest.raises(TypeError, match="too many positional"):
        function(1, 2, 3.0)
    with pytest.raises(UnknownNameError, match=r"oftn.*often"):
        function(1, 2, size=3.0, oftn=4)


def test_the_documentation_is_whole():
    lines = inspect.getdoc(function).splitlines()
    start = lines.index("Args:")
    assert lines[start + 1 : start + 6] == [
        "    model: what to do it to.",
        "    size: how large.",
        "    often: how often,",
        "        in words.",
        "",
    ]
    assert list(inspect.signature(function).parameters) == [
        "model",
        "dataset",
        *inspect.signature(Arguments).parameters,
    ]


@pytest.mark.parametrize(
    ("function", "arguments"),
    [(tf_splitting.grow, GrowArguments), (tf_splitting.train, TrainArguments)],
)
def test_every_argument_is_shown_and_documented(function, arguments):
    parameters = inspect.signature(function).parameters
    text = inspect.getdoc(function)
    assert "{arguments}" not in text
    for name in inspect.signature(arguments).parameters:
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        assert name in text.partition("Args:")[2].partition("Returns:")[0]
