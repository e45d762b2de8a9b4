"""What the spawner does before it forks: import the whole interface, so that a session imports nothing.

`textual-image` is left out: it asks the terminal at import, and the spawner has none.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Final

# Textual makes its widgets known by name and imports them when they are first used.
_WIDGETS: Final = ("Button", "Checkbox", "Input", "Label", "Static")
_BESIDE: Final = (
    "PIL.Image",
    "PIL.PngImagePlugin",
    "PIL.JpegImagePlugin",
    "csv",
    "textwrap",
    "textual.drivers.linux_driver",
    "textual.widgets._toast",
    "textual.widgets._tooltip",
)


def preload() -> None:
    """Import all of `labbox.tui` and what it uses of Textual."""
    import textual.widgets

    import labbox.tui

    for module in pkgutil.walk_packages(labbox.tui.__path__, "labbox.tui."):
        importlib.import_module(module.name)
    for name in _WIDGETS:
        getattr(textual.widgets, name)
    for name in _BESIDE:
        importlib.import_module(name)
