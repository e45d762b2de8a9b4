"""What the spawner does before it forks: import the whole interface, and begin an app.

So a session imports nothing, what Textual makes once (styles, colours, borders) is shared by all, and the
first screen stands before anybody has logged in.
`textual-image` is left out: it asks the terminal at import, and the spawner has none.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from labbox.tui.prepared import Prepared

# Textual makes its widgets known by name and imports them when they are first used.
_WIDGETS: Final = ("Button", "Checkbox", "Input", "Label", "Static")
_BESIDE: Final = (
    "PIL.Image",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
    "csv",
    "textual.drivers.linux_driver",
    "textual.widgets._toast",
    "textwrap",
)


def preload() -> Prepared:
    """Import all of `labbox.tui` and what it uses of Textual; the app to wake. Leaves no thread behind."""
    import textual.widgets

    import labbox.tui

    for module in pkgutil.walk_packages(labbox.tui.__path__, "labbox.tui."):
        importlib.import_module(module.name)
    for name in _WIDGETS:
        getattr(textual.widgets, name)
    for name in _BESIDE:
        importlib.import_module(name)
    from labbox.tui.prepared import Prepared

    return Prepared()
