"""Cuts the characters of formulas out of a font: how `_static/fonts` was made.

    python docs/_extensions/cut_font.py texgyrepagella-math.otf

Without a font that has a table of mathematics, browsers draw small sums and brackets.
TeX Gyre Pagella Math is one (GUST Font License, beside the file); what is cut out has
another name, as that asks. Needs `pip install fonttools brotli`.
"""

import sys
from pathlib import Path

from fontTools import subset

FONT = Path(__file__).parent.parent / "_static" / "fonts" / "formulas.woff2"
# Letters upright, italic, bold and double-struck; Greek; operators, arrows, delimiters.
RANGES = (
    *((0x20, 0x7F), (0x391, 0x3CA), (0x2190, 0x2195), (0x2200, 0x2240)),
    *((0x2260, 0x2266), (0x2282, 0x2288), (0x2308, 0x230C), (0x1D400, 0x1D468)),
    (0x1D6A8, 0x1D724),
)
OTHERS = (
    "±·×ϑϕϵ‖‘’…′ℂℕℝℓℎℙℚℤℒℋℱ↦⇒≃≅≈≪≫⊕⊗⊤⊥⋅⋮⋯⋱⟨⟩−˜¯˙"
    "\u20d7\u0302\u0303\u0304\u0307\u0308\U0001d53b\U0001d53c\U0001d4d0"
    "\U0001d4a9\U0001d4a6\U0001d4ae"
)


def main(path: str) -> None:
    options = subset.Options(
        flavor="woff2", layout_features=["*"], name_IDs=[], hinting=False
    )
    font = subset.load_font(path, options)
    cutter = subset.Subsetter(options)
    cutter.populate(
        text=OTHERS, unicodes=[code for each in RANGES for code in range(*each)]
    )
    cutter.subset(font)
    names = font["name"]
    names.names = []
    for kind, text in (
        (0, "Cut out of TeX Gyre Pagella Math, GUST Font License"),
        (1, "Formulas"),
        (2, "Regular"),
        (4, "Formulas"),
        (6, "Formulas"),
    ):
        names.setName(text, kind, 3, 1, 0x409)
    compact = font["CFF "].cff
    compact.fontNames = ["Formulas"]
    compact.topDictIndex[0].FullName = compact.topDictIndex[0].FamilyName = "Formulas"
    subset.save_font(font, str(FONT), options)


if __name__ == "__main__":
    main(sys.argv[1])
