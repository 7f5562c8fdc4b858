"""Draws the diagrams of the site: `python docs/_extensions/draw.py` writes them.

They are in the repository, so that building the site does not depend on fonts.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

PICTURES = Path(__file__).parent.parent / "pictures"
# Okabe and Ito's colours: colour-blind readers tell them apart.
BLUE, ORANGE, GREEN = "#0072B2", "#E69F00", "#009E73"
DARK_GREEN = "#00694D"
GREY, SOFT, INK = "#8A8F98", "#454B54", "#1F2328"
# Those of the three inner layers before growing, and what is split in each.
WIDTHS = (3, 4, 3)
SPLIT = ((1,), (0, 2, 3), (1,))
GAINS = ((0.2, 0.9, 0.3), (0.8, 0.15, 1.0, 0.75), (0.1, 0.7, 0.25))


def heights(width: int) -> np.ndarray:
    """Where the neurons of a layer are drawn."""
    return (np.arange(width) - (width - 1) / 2) * 0.62


def shade(gain: float) -> tuple[float, ...]:
    """The colour of a neuron that gains so much, 0 to 1."""
    return mpl.colormaps["cividis"](1 - 0.9 * gain)


def network(
    axes: Axes, widths: tuple[int, ...], shades: dict, x0: float, y0: float
) -> None:
    """Draws layers with all edges between neighbours, and two inputs and outputs."""
    layers = (2, *widths, 2)
    points = [(x0 + i * 0.8, y0 + heights(width)) for i, width in enumerate(layers)]
    for (x, ys), (x_next, ys_next) in itertools.pairwise(points):
        for y in ys:
            for y_next in ys_next:
                axes.plot([x, x_next], [y, y_next], color="#C9CDD3", lw=0.7, zorder=1)
    for layer, (x, ys) in enumerate(points):
        for neuron, y in enumerate(ys):
            face, edge = shades.get((layer - 1, neuron), ("white", BLUE))
            if layer in (0, len(layers) - 1):
                face, edge = "#E8EAED", GREY
            axes.scatter(x, y, 105, [face], edgecolors=edge, linewidths=1.6, zorder=2)


TITLES = (
    "1   Train what there is",
    "2   Measure every neuron",
    "3   Split where it pays",
)
NOTES = (
    "a small Keras model,\non your data",
    "how much would the loss fall if\nthis neuron were split in two?",
    "most gain per multiply-accumulate first;\nthe function stays the same",
)
AGAIN = "4   Repeat until the compute budget is used,"
ARROW = {"arrowstyle": "-|>", "lw": 2}


def stages() -> list[tuple[tuple[int, ...], dict]]:
    """Widths and colours of the network: before, measured, grown."""
    grown, new = [], {}
    for layer, (width, split) in enumerate(zip(WIDTHS, SPLIT, strict=True)):
        grown.append(width + len(split))
        for neuron in range(width, width + len(split)):
            new[(layer, neuron)] = (ORANGE, "#9C5F00")
    measured = {
        (layer, neuron): (shade(gain), BLUE)
        for layer, gains in enumerate(GAINS)
        for neuron, gain in enumerate(gains)
    }
    return [(WIDTHS, {}), (WIDTHS, measured), (tuple(grown), new)]


def legend(axes: Axes, x: float, y: float) -> None:
    """What the shades of the second stage mean."""
    for step in range(5):
        axes.scatter(x - 0.6 + 0.3 * step, y, 60, [shade(step / 4)], edgecolors=BLUE)
    axes.text(x - 0.85, y, "little", ha="right", va="center", fontsize=10.5, color=SOFT)
    axes.text(x + 0.85, y, "much", ha="left", va="center", fontsize=10.5, color=SOFT)


def overview() -> None:
    """What growing does, in one picture."""
    figure = Figure((11, 4.1), layout="constrained")
    axes = figure.subplots()
    for i, (widths, colours) in enumerate(stages()):
        x0 = i * 4.6
        network(axes, widths, colours, x0, 0)
        axes.text(
            x0 + 1.6,
            2.75,
            TITLES[i],
            ha="center",
            fontsize=14,
            weight="bold",
            color=INK,
        )
        axes.text(
            x0 + 1.6, -2.55, NOTES[i], ha="center", va="top", fontsize=11.5, color=SOFT
        )
        if i:
            arrow = {**ARROW, "color": INK}
            axes.annotate("", (x0 - 0.25, 0), (x0 - 1.15, 0), arrowprops=arrow)
    legend(axes, 6.2, 2.1)
    axes.plot([10.8, 10.8, 1.6], [-3.7, -4.1, -4.1], color=GREEN, lw=2)
    arrow = {**ARROW, "color": GREEN}
    axes.annotate("", (1.6, -3.55), (1.6, -4.14), arrowprops=arrow)
    axes.text(
        *(6.2, -4.65, f"{AGAIN} then train to the end"),
        **{"ha": "center", "va": "center", "fontsize": 14, "weight": "bold"},
        color=DARK_GREEN,
    )
    axes.set(xlim=(-0.5, 13.1), ylim=(-5, 3.2))
    axes.axis("off")
    save(figure, "overview")


def overview_for_phones() -> None:
    """The same, one stage below the other."""
    figure = Figure((4.1, 9.6), layout="constrained")
    axes = figure.subplots()
    for i, (widths, colours) in enumerate(stages()):
        y0 = -i * 5.4 - (0.4 if i == 2 else 0)
        network(axes, widths, colours, 0, y0)
        top = y0 + (2.6 if i else 1.6)
        axes.text(
            1.6, top, TITLES[i], ha="center", fontsize=15, weight="bold", color=INK
        )
        low = y0 - (2.2 if i == 2 else 1.3)
        axes.text(1.6, low, NOTES[i], ha="center", va="top", fontsize=12.5, color=SOFT)
    legend(axes, 1.6, -5.4 + 1.75)
    axes.text(
        *(1.6, -15.2, f"{AGAIN}\nthen train to the end"),
        **{"ha": "center", "va": "center", "fontsize": 13, "weight": "bold"},
        color=DARK_GREEN,
    )
    axes.set(xlim=(-0.9, 4.1), ylim=(-15.8, 2.2))
    axes.axis("off")
    save(figure, "overview_for_phones")


def one_neuron() -> None:
    """A neuron, and the two that it becomes."""
    figure = Figure((9, 3.3), layout="constrained")
    axes = figure.subplots()

    def unit(x: float, y: float, label: str, colour: str) -> None:
        axes.scatter(x, y, 1500, "white", edgecolors=colour, linewidths=2.2, zorder=3)
        axes.text(
            x, y, label, ha="center", va="center", fontsize=13, zorder=4, color=INK
        )

    def edge(start: tuple, end: tuple, label: str, colour: str, lift: float) -> None:
        axes.plot(*zip(start, end, strict=True), color=colour, lw=2, zorder=1)
        axes.text(
            (start[0] + end[0]) / 2,
            (start[1] + end[1]) / 2 + lift,
            label,
            ha="center",
            va="center",
            fontsize=13,
            color=colour,
        )

    for x, parts in (
        (0, (("$\\theta$", 0.0, "$b$", BLUE),)),
        (
            6,
            (
                ("$\\theta+\\varepsilon v$", 0.75, "$\\frac{1}{2}b$", BLUE),
                ("$\\theta-\\varepsilon v$", -0.75, "$\\frac{1}{2}b$", ORANGE),
            ),
        ),
    ):
        for label, y, share, colour in parts:
            lift = 0.34 if y >= 0 else -0.34
            edge((x, 0), (x + 2, y), label, colour, lift)
            edge((x + 2, y), (x + 4, 0), share, colour, lift)
            unit(x + 2, y, "$\\sigma$", colour)
        unit(x, 0, "$x$", GREY)
        unit(x + 4, 0, "$z$", GREY)
    axes.annotate(
        "",
        (5.45, 0),
        (4.55, 0),
        arrowprops={"arrowstyle": "-|>", "lw": 2, "color": INK},
    )
    axes.text(2, -1.75, "one neuron", ha="center", fontsize=12, color=SOFT)
    axes.text(
        8,
        -1.75,
        "its two off-springs, with half of its outgoing weight each",
        ha="center",
        fontsize=12,
        color=SOFT,
    )
    axes.set(xlim=(-0.5, 10.5), ylim=(-2, 1.5))
    axes.axis("off")
    save(figure, "one_neuron")


def curvature() -> None:
    """Why a saddle is where splitting helps: the loss along a direction."""
    figure = Figure((9, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    steps = np.linspace(-1, 1, 200)
    for axes, sign, title, colour in (
        (left, 1.0, "λ > 0: nothing to gain", BLUE),
        (right, -1.0, "λ < 0: the loss falls by ½ε²|λ|", ORANGE),
    ):
        axes.plot(steps, sign * steps**2, color=colour, lw=2.5)
        axes.scatter([0], [0], 60, INK, zorder=3)
        end = 0.7
        for side in (-end, end):
            axes.annotate(
                "",
                (side, sign * end**2),
                (0, 0),
                arrowprops={"arrowstyle": "-|>", "lw": 1.6, "color": INK, "shrinkA": 4},
            )
        axes.set_title(title, fontsize=12)
        axes.set_xlabel("step ε of the two off-springs along ±v")
        axes.set_xticks([-end, 0, end], ["−ε", "0", "ε"])
        axes.spines[["top", "right"]].set_visible(False)
        axes.axhline(0, color=GREY, lw=0.8, zorder=0)
    left.set_ylabel("change of the loss")
    left.set_yticks([0])
    save(figure, "curvature")


def save(figure: Figure, name: str) -> None:
    """Writes a drawing as SVG, the same every time."""
    figure.savefig(
        PICTURES / f"{name}.svg",
        metadata={"Date": None},
        bbox_inches="tight",
        pad_inches=0.1,
    )


if __name__ == "__main__":
    mpl.rcParams["svg.hashsalt"] = "tf_splitting"
    PICTURES.mkdir(exist_ok=True)
    overview()
    overview_for_phones()
    one_neuron()
    curvature()
