"""Imported first by every tool: makes the project's packages importable.

Python puts the script's own folder on the path; the packages lie beside it.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))
