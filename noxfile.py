"""The tests on the oldest and on the newest versions of everything.

nox                      the default tests, on both
nox -s oldest -- ARGS    on the oldest, ARGS passed on to pytest
nox -s oldest -- -m core what CI runs: what another Keras breaks first
nox -s citation          whether CITATION.cff is valid
nox -s site              the site with its tutorials run, for every night
"""

import nox

nox.options.sessions = ["oldest", "newest"]
nox.options.reuse_existing_virtualenvs = True


@nox.session
def oldest(session: nox.Session) -> None:
    """On the lower bounds of pyproject.toml."""
    session.install("--editable", ".[test]", "--constraint", "constraints-oldest.txt")
    # Keras 3.10 warns of every model with one input that comes from a file.
    _test(session, "-W", "ignore:The structure of `inputs`:UserWarning")


@nox.session
def newest(session: nox.Session) -> None:
    """On the newest releases that there are."""
    session.install(
        *("--editable", ".[test]", "--upgrade", "--upgrade-strategy", "eager")
    )
    _test(session)


@nox.session
def citation(session: nox.Session) -> None:
    """By the schema; apart, for its checker needs an old jsonschema."""
    session.install("cffconvert>=2.0")
    session.run("cffconvert", "--validate")


@nox.session
def site(session: nox.Session) -> None:
    """The site, strictly, with all tutorials run; the gallery gets their pictures."""
    session.install("--editable", ".[docs]")
    session.run(
        *("python", "-m", "sphinx", "-W", "--keep-going", "-b", "html"),
        *("-D", "take_pictures=1", "docs", "docs/_build/html"),
    )


def _test(session: nox.Session, *options: str) -> None:
    """Runs the default tests, or what the command line says behind `--`."""
    default = ("-n", "2", "--dist", "worksteal")
    session.run("python", "-m", "pytest", *default, *options, *session.posargs)
