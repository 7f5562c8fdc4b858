"""Names of what the members of a family are in."""

from pathlib import Path

# A member's file, in its folder.
GROWN = "grown.keras"
# Three digits behind the point tell targets apart that are 3 % apart, if what is in
# front of the unit is no smaller than this.
SMALLEST = 0.05
UNITS = {"T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3}


def stage(macs: float) -> str:
    """The name of a member's folder, such as `stage-0.140G`."""
    unit = next((u for u, size in UNITS.items() if macs >= SMALLEST * size), "k")
    return f"stage-{macs / UNITS[unit]:.3f}{unit}"


def stages(folder: Path) -> list[Path]:
    """The folders of the members that are there, the smallest first."""
    found = [path.parent for path in folder.glob(f"stage-*/{GROWN}")]

    def macs(path: Path) -> float:
        text = path.name.removeprefix("stage-")
        return float(text[:-1]) * UNITS[text[-1]]

    return sorted(found, key=macs)
