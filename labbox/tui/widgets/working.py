"""Work of a widget, screen or app that ends with it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, cast

from textual.dom import DOMNode

if TYPE_CHECKING:
    from textual.worker import WorkType


def begin(
    node: DOMNode, work: Callable[[], Coroutine[Any, Any, None]], *, group: str, exclusive: bool = False
) -> None:
    """Run it beside all else; `exclusive` ends what runs in the group.

    It is called when its turn comes: work that is ended before has not even begun, and leaves nothing behind.
    """
    node.run_worker(cast("WorkType[None]", work), group=group, exclusive=exclusive)
