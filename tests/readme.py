"""The README's Python examples."""

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def python_blocks():
    """The examples, in order; each goes on where those before it end."""
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
