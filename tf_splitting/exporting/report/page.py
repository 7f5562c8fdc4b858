"""The report's page: sections and words as HTML, with all that it needs inside."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from plotly import offline
from plotly.utils import PlotlyJSONEncoder

from tf_splitting.exporting.report.colours import DARK, INK, LINES, MUTED, PAPER
from tf_splitting.exporting.report.section import Section

# Nothing may be fetched, whatever anybody's words would make the page do.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "img-src data: blob:"
)
_PALETTE = {"ink": INK, "muted": MUTED, "lines": LINES, "paper": PAPER}


def page(
    *,
    title: str,
    notes: Sequence[str],
    numbers: Sequence[tuple[str, str, str]],
    sections: Sequence[Section],
    rounds: Sequence[Sequence[str]],
    facts: Mapping[str, str],
    command: str | None,
) -> str:
    """The whole page as text.

    Args:
        title: headline.
        notes: sentences below it.
        numbers: label, value and remark.
        sections: with figures.
        rounds: rows of a table, the first its headings.
        facts: what else there is to say, by name.
        command: that made it.
    """
    figures = {
        f"{section.key}-{number}": json.loads(
            json.dumps(each.to_plotly_json(), cls=PlotlyJSONEncoder)
        )
        for section in sections
        for number, each in enumerate(section.figures.values())
    }
    links = "".join(f'<a href="#{s.key}">{_text(s.title)}</a>' for s in sections)
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',
            f"<title>{_text(title)}</title>",
            f"<style>\n{_variables()}\n{_file('page.css')}</style>",
            "</head>\n<body>",
            '<header><div class="top">',
            f"<h1>{_text(title)}</h1>",
            '<button id="theme" type="button" aria-label="Switch between light and '
            'dark colours">◐</button></div>',
            *(f'<p class="note">{_text(note)}</p>' for note in notes),
            f"<dl class=numbers>{''.join(map(_number, numbers))}</dl>",
            f'<nav aria-label="Sections">{links}<a href="#about">About</a></nav>',
            "</header>\n<main>",
            "<noscript><p class=missing>The figures are drawn by JavaScript, which is "
            "switched off.</p></noscript>",
            *map(_section, sections),
            _rounds(rounds),
            _about(facts, command),
            "</main>",
            _data("figures", figures),
            _data("dark", DARK),
            f"<script>{offline.get_plotlyjs()}</script>",
            f"<script>\n{_file('page.js')}</script>",
            "</body>\n</html>\n",
        ]
    )


def _text(words: object) -> str:
    return html.escape(str(words))


def _file(name: str) -> str:
    return resources.files("tf_splitting.exporting.report").joinpath(name).read_text()


def _variables() -> str:
    """The palette as CSS, dark by the system's wish or by the reader's."""
    light = "".join(f"--{name}:{colour};" for name, colour in _PALETTE.items())
    dark = "".join(f"--{name}:{DARK[colour]};" for name, colour in _PALETTE.items())
    return (
        f":root{{color-scheme:light;{light}}}\n"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}"
    )


def _data(name: str, value: Any) -> str:
    """Plain data for the page's script; no text in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script type="application/json" id="{name}">{text}</script>'


def _number(number: tuple[str, str, str]) -> str:
    label, value, remark = map(_text, number)
    return f"<div><dt>{label}</dt><dd><b>{value}</b> <span>{remark}</span></dd></div>"


def _section(section: Section) -> str:
    names = [f"{section.key}-{number}" for number in range(len(section.figures))]
    tabs = ""
    if len(names) > 1:
        buttons = [
            f'<button type="button" role="tab" id="tab-{name}" '
            f'aria-controls="{name}" aria-selected="{str(not number).lower()}">'
            f"{_text(choice)}</button>"
            for number, (name, choice) in enumerate(zip(names, section.figures))
        ]
        tabs = f'<div class="tabs" role="tablist">{"".join(buttons)}</div>'
    figures = [
        f'<div class="figure{" tall" if each.layout.height > 800 else ""}" '
        f'id="{name}" role="{"tabpanel" if tabs else "img"}" '
        f'aria-label="{_text(f"{section.title} {choice}".strip())}"'
        f"{' hidden' if number else ''}>"
        f'<div class="plot" style="height:{each.layout.height}px"></div></div>'
        for number, (name, (choice, each)) in enumerate(
            zip(names, section.figures.items())
        )
    ]
    missing = [f'<p class="missing">{_text(words)}</p>' for words in section.missing]
    return "\n".join(
        [
            f'<section id="{section.key}">',
            f"<h2>{_text(section.title)}</h2>",
            f"<p>{_text(section.about)}</p>",
            tabs,
            *figures,
            *missing,
            "</section>",
        ]
    )


def _rounds(rows: Sequence[Sequence[str]]) -> str:
    if len(rows) < 2:
        return ""
    head = "".join(f"<th scope=col>{_text(cell)}</th>" for cell in rows[0])
    body = "".join(
        f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>"
        for row in rows[1:]
    )
    return (
        '<section id="rounds"><h2>Rounds</h2><div class="wide"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
    )


def _about(facts: Mapping[str, str], command: str | None) -> str:
    items = "".join(
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>"
        for name, value in facts.items()
    )
    told = "" if command is None else f"<pre><code>{_text(command)}</code></pre>"
    return (
        f'<section id="about"><h2>About</h2>{told}<dl class="facts">{items}</dl>'
        "</section>"
    )
