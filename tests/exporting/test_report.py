"""The report of a job: its numbers, what it escapes, and how a browser shows it."""

import json
import re

import keras
import nets
import pytest
from interrupted import examples

import tf_splitting
from tf_splitting import GrowthHistory
from tf_splitting.errors import SplittingError
from tf_splitting.exporting import Curve, write_report
from tf_splitting.exporting.report.gains import per_million
from tf_splitting.support import format_count

# Ends a script, an attribute, a tag, and runs something.
NASTY = "</script>\"'><img src=x onerror=fail()>"
SETTINGS = {"validation_data": examples(40), "batch_size": 24, "verbose": 0}


def grown(**changes):
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    model, history = nets.dense(), GrowthHistory()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    settings = {"target_macs": 150, "rounds": 1, "epochs": 2, "final_epochs": 2}
    tf_splitting.grow(
        model, examples(), history=history, **{**SETTINGS, **settings, **changes}
    )
    return history


@pytest.fixture(scope="module")
def history():
    """Of a job that splits once and exchanges once."""
    return grown(reallocations=1)


def figures_in(path):
    """What the page's script draws, by name: `(traces by name, layout)`."""
    found = re.search(r'id="figures">(.*?)</script>', path.read_text())
    return {
        name: {trace["name"]: trace for trace in figure["data"] if "name" in trace}
        for name, figure in json.loads(found[1]).items()
    }


@pytest.mark.slow
def test_figures_hold_the_numbers_of_the_history(history, tmp_path):
    write_report(history, tmp_path / "report.html", title="a job")
    found = figures_in(tmp_path / "report.html")
    epochs, rounds, last = history.epochs, history.rounds, history.rounds[-1]
    by_epoch, by_compute = found["curve-2"]["test"], found["curve-1"]["test"]
    assert by_epoch["x"] == [epoch["epoch"] for epoch in epochs]
    # The last one of a name is the lower panel's.
    assert by_epoch["y"] == [epoch["val_loss"] for epoch in epochs]
    assert by_compute["x"][-1] == pytest.approx(history.compute)
    assert by_compute["x"] == sorted(by_compute["x"])
    # Of every round the last epoch alone is joined to others.
    last_of_round = {epoch["round"]: epoch["val_loss"] for epoch in epochs}
    assert found["curve-0"]["test"]["y"] == [*last_of_round.values()]

    changes = found["changes-0"]
    assert changes["before"]["y"] == [record.before["loss"] for record in rounds]
    assert changes["after"]["y"] == [record.after["loss"] for record in rounds]
    assert changes["predicted"]["y"] == [
        record.before["loss"] - record.predicted_gain for record in rounds
    ]

    assert found["widths-0"]["before"]["x"] == [*history.seed.layer_widths.values()]
    assert found["widths-0"]["after"]["x"] == [*last.layer_widths.values()]
    assert found["macs-0"]["before"]["x"] == [*history.seed.layer_macs.values()]
    assert sum(found["macs-0"]["after"]["x"]) == last.macs

    for record in rounds:
        drawn = found["gains-0"][f"round {record.round}"]["x"]
        assert sorted(drawn) == sorted(map(abs, per_million(record).values()))
    taken = sum(sum(bar["x"]) for bar in found["times-0"].values())
    assert taken == pytest.approx(history.seconds)


@pytest.mark.slow
def test_widths_are_told_round_by_round(history, tmp_path):
    write_report(history, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    field = json.loads(re.search(r'id="figures">(.*?)</script>', text)[1])["widths-1"]
    steps = [history.seed.widths, *(record.widths for record in history.rounds)]
    assert field["data"][0]["text"] == [
        [widths[space] for widths in steps] for space in ("first", "second")
    ]


@pytest.mark.slow
def test_the_page_says_what_the_job_was(history, tmp_path):
    write_report(
        history,
        tmp_path / "report.html",
        title="small on points",
        command="python tools/grow.py --model=a.keras",
        facts={"Images": "72"},
    )
    text = (tmp_path / "report.html").read_text()
    for words in (
        "<title>small on points</title>",
        "python tools/grow.py --model=a.keras",
        f"<b>{format_count(history.rounds[-1].macs)}</b>",
        f"from {format_count(history.seed.macs)}",
        keras.__version__,
        tf_splitting.__version__,
        "<td>2 (exchange)</td>",
    ):
        assert words in text
    # Nothing is fetched from anywhere.
    own = text[: text.index("<script>")] + text[text.rindex("<script>") :]
    assert not re.search(r'(src|href)="(?!#|data:)', own)
    with pytest.raises(SplittingError, match="GrowthHistory"):
        write_report({}, tmp_path / "other.html")


def nasty(history):
    """The same history of layers that somebody has named to do harm."""
    text = json.dumps(history.to_dict())
    again = GrowthHistory()
    again.fill(json.loads(text.replace('"first', json.dumps(NASTY)[:-1])))
    return again


@pytest.mark.slow
def test_users_words_are_words(history, tmp_path):
    path = tmp_path / "report.html"
    facts = {NASTY: NASTY}
    write_report(nasty(history), path, title=NASTY, command=NASTY, facts=facts)
    text = path.read_text()
    assert "<img" not in text[: text.index('id="figures"')]
    figures = text[text.index('id="figures"') :]
    assert "onerror" in figures
    assert "<img" not in figures[: figures.index("</script>")]
    # Figures take tags for such, in names as elsewhere.
    marks = json.dumps(figures_in(path)["widths-0"])
    assert "&lt;img" in marks
    assert "<img" not in marks


@pytest.mark.slow
def test_an_old_history_says_what_it_misses(history, tmp_path):
    data = history.to_dict()
    for record in data["rounds"]:
        for name in ("layer_widths", "layer_macs", "gains", "space_macs"):
            del record[name]
        del record["seconds"]["measuring"]
    for epoch in data["epochs"]:
        del epoch["compute"], epoch["measuring"]
    del data["seed"]
    (tmp_path / "history.json").write_text(json.dumps(data))
    old = GrowthHistory.load(tmp_path / "history.json")
    write_report(old, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    for missing in (
        "the training compute of its epochs",
        "the widths that the job started from",
        "the MACs of its layers",
        "gains and MACs by space",
        "what measuring took",
    ):
        assert f"does not hold {missing}" in text
    assert set(figures_in(tmp_path / "report.html")) == {
        *("curve-0", "curve-1", "changes-0", "times-0")
    }


def test_nothing_to_tell_is_told(tmp_path):
    write_report(GrowthHistory(), tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "No epoch has been trained." in text
    assert "No widths were changed." in text


@pytest.mark.slow
def test_a_family_shows_its_members(tmp_path):
    history = grown(target_macs=[100, 150], rounds=None)
    curve = Curve("grown", [m.macs for m in history.members], [0.5, 0.75])
    write_report(history, tmp_path / "a.html", curves=[curve], quantity="accuracy")
    found = figures_in(tmp_path / "a.html")
    assert found["family-0"]["grown"]["x"] == curve.macs
    assert found["family-0"]["grown"]["y"] == [0.5, 0.75]
    first = history.members[0]
    branch = found["curve-2"]["members"]
    assert branch["y"][1:] == [epoch["val_loss"] for epoch in first.epochs]
    assert sum(sum(bar["x"]) for bar in found["times-0"].values()) == pytest.approx(
        history.seconds
    )


@pytest.mark.slow
def test_a_browser_shows_it(browser, history, tmp_path):
    path = tmp_path / "report.html"
    write_report(nasty(history), path, title=NASTY, command=NASTY * 3)
    page = browser.open(path.as_uri())
    paper = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    drawn = "document.querySelectorAll('.figure:not([hidden]) .main-svg').length"
    shown = "document.querySelectorAll('.figure:not([hidden])').length"
    assert page.evaluate(shown) == 6
    assert page.evaluate(drawn) >= 6
    assert page.overflow == 0

    page.hover("#widths-0 .bars .point")
    page.wait_for("document.querySelector('.hovertext')")
    said = page.evaluate("document.querySelector('.hovertext').textContent")
    widths = (
        history.seed.layer_widths["first"],
        history.rounds[-1].layer_widths["first"],
    )
    assert f"{widths[0]} → {widths[1]} neurons" in said

    # What is hidden is drawn once it is asked for.
    page.click("#tab-widths-1")
    page.wait_for("document.querySelector('#widths-1 .main-svg')")
    assert page.evaluate("document.getElementById('widths-0').hidden")

    bars = "getComputedStyle(document.querySelector('#macs-0 .point path')).fill"
    light = page.evaluate(bars)
    page.prefer(dark=True)
    page.wait_for(f"{paper} != 'rgb(255, 255, 255)'")
    assert page.evaluate(bars) != light
    page.click("#theme")
    page.wait_for(f"{paper} == 'rgb(255, 255, 255)'")
    assert page.evaluate(bars) == light

    page.resize(390)
    page.wait_for(
        "[...document.querySelectorAll('.figure:not([hidden]) .main-svg')]"
        ".every(each => each.getBoundingClientRect().right <= 390)"
    )
    assert page.overflow == 0
    assert page.complaints == []
    assert page.requests == [path.as_uri()]
    page.close()
