"""Draws the README's badges from what pyproject.toml says.

    python tools/make_badges.py > docs/badges.svg

They come with the repository, so that nobody is asked who reads it.
"""

import re
from pathlib import Path
from xml.sax.saxutils import escape

import tomllib

PROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"
# Of a letter, the space around a text, and between badges, in pixels.
LETTER, PADDING, GAP, HEIGHT = 6.6, 7, 6, 20
# White on either reads well: contrasts of 9.7 and 6.7 to 1.
NAME, VALUE = "#444444", "#1f5f99"


def facts() -> dict[str, str]:
    """What the badges say, in their order."""
    project = tomllib.loads(PROJECT.read_text())["project"]
    optional = project["optional-dependencies"]
    keras = oldest("keras", project["dependencies"])
    tensorflow = oldest("tensorflow", optional["tensorflow"])
    jax = oldest("jax", optional["jax"])
    return {
        "license": project["license"],
        "python": project["requires-python"].replace(">=", "≥ "),
        "keras": f"≥ {keras}",
        "backends": f"TensorFlow ≥ {tensorflow}, JAX ≥ {jax}",
    }


def oldest(name: str, requirements: list[str]) -> str:
    """The lower bound of a requirement."""
    (bound,) = (
        match[1]
        for requirement in requirements
        if (match := re.fullmatch(rf"{name}>=([\d.]+)", requirement))
    )
    return bound


def drawn(said: dict[str, str]) -> str:
    """The badges side by side, as an SVG."""
    parts, x = [], 0.0
    for name, value in said.items():
        for text, colour in ((name, NAME), (value, VALUE)):
            width = LETTER * len(text) + 2 * PADDING
            parts.append(
                f'<rect x="{x:.1f}" width="{width:.1f}" height="{HEIGHT}" '
                f'fill="{colour}"/>\n<text x="{x + width / 2:.1f}" y="14" '
                f'textLength="{LETTER * len(text):.1f}">{escape(text)}</text>'
            )
            x += width
        x += GAP
    label = escape("; ".join(f"{name} {value}" for name, value in said.items()))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{x - GAP:.1f}" '
            f'height="{HEIGHT}" role="img" aria-label="{label}">',
            f"<title>{label}</title>",
            '<g fill="#ffffff" text-anchor="middle" '
            'font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">',
            *parts,
            "</g>",
            "</svg>",
        ]
    )


if __name__ == "__main__":
    print(drawn(facts()))
