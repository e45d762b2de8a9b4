"""Pictures by the terminal's own graphics, kitty's or sixel, where it has them.

`textual-image` asks the terminal when it is imported, and waits for the answer on the terminal itself: so it
is imported in a session, never before the fork, and only while the screens have stepped aside.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from textual.app import App
    from textual.widget import Widget

    from labbox.files.viewing.pictures import Pixels

# Terminals that are known to have graphics; others are asked only when a person wants it (V).
_LIKELY: Final = ("kitty", "ghostty", "foot", "mlterm", "wezterm", "contour", "yaft")


class Graphics:
    """What is known of the terminal in this session."""

    def __init__(self) -> None:
        """Wanted at once where TERM names a terminal that has them."""
        self.wanted = any(name in os.environ.get("TERM", "") for name in _LIKELY)
        self.asked = False  # the terminal, whether it has them
        self._widget: Callable[[object], Widget] | None = None

    def ready(self, app: App[Any]) -> bool:
        """Whether pictures are to be shown by the terminal; half blocks must do where it cannot."""
        if not self.wanted or app.is_headless:
            return False
        if not self.asked:
            self.asked = True
            with app.suspend():
                self._widget = _ask_terminal()
            app.refresh(layout=True)
        return self._widget is not None

    def widget(self, picture: Pixels) -> Widget:
        """A widget that shows the pixels; only where it is `ready`."""
        from PIL import Image

        if self._widget is None:
            raise RuntimeError("the terminal has no graphics")
        widget = self._widget(Image.frombytes("RGB", (picture.across, picture.down), picture.data))
        widget.id = "picture"
        widget.can_focus = True
        return widget


def _ask_terminal() -> Callable[[object], Widget] | None:
    from textual_image.renderable import Image as Found
    from textual_image.renderable import halfcell, unicode
    from textual_image.widget import Image

    return None if Found in (halfcell.Image, unicode.Image) else Image
