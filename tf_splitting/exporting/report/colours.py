"""The report's colours, on light paper and on dark.

Figures are made in the light ones; the page puts the dark ones in their place. Data has
the colours of Okabe and Ito, which colour-blind readers tell apart: the darker ones of
each pair on light paper, the lighter ones on dark.

Source: M. Okabe, K. Ito, "Color Universal Design", 2008, https://jfly.uni-koeln.de/color
"""

BLUE = "#0072b2"
VERMILLION = "#d55e00"
GREEN = "#009e73"
PURPLE = "#cc79a7"
INK = "#1d2126"
MUTED = "#5b6570"
QUIET = "#9aa3ad"
LINES = "#e3e6ea"
PAPER = "#ffffff"

# What takes their place on dark paper.
DARK = {
    BLUE: "#56b4e9",
    VERMILLION: "#e69f00",
    GREEN: "#00b386",
    PURPLE: "#dd9ac0",
    INK: "#e8eaed",
    MUTED: "#a4adb8",
    QUIET: "#7b8591",
    LINES: "#333a43",
    PAPER: "#1b1f24",
}

# From narrower, over as wide as before, to wider.
NARROWER_TO_WIDER = ((0.0, VERMILLION), (0.5, LINES), (1.0, BLUE))
