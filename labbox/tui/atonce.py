"""What a key changed, on the terminal while the key is still in hand.

Textual draws on a clock of sixty beats a second, and then all widgets between the topmost and the lowest
line that changed. For a step of a cursor that is most of the work, so its few lines are drawn here. What is
not plainly so simple is left to Textual, which is still told of everything and misses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from textual._compositor import ChopsUpdate
from textual.filter import ANSIToTruecolor
from textual.geometry import Region
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from labbox.tui.widgets.paint import Painted

# ruff: noqa: SLF001 - what is to be drawn, and where widgets lie, Textual keeps to itself


def paint(screen: Screen[Any], widgets: Iterable[Widget]) -> bool:
    """Draw what these widgets want drawn anew; False where it is left to Textual."""
    changed = [widget for widget in widgets if widget._repaint_required]
    if not changed or not _is_simple(screen, changed):
        return False
    compositor, found = screen._compositor, list[tuple[Widget, Region]]()
    for widget in changed:
        region = _open_region(widget, compositor.visible_widgets)
        if region is None:
            return False
        found.append((widget, region))
    lines: dict[int, dict[int, Strip]] = {}
    for widget, region in sorted(found, key=lambda one: one[1].x):
        asked: set[int] = set()
        for each in widget._exchange_repaint_regions():
            asked.update(each.line_range)
        widget._repaint_required = False
        shown = sorted(asked.intersection(range(region.height)))
        for y, strip in zip(shown, _drawn(widget, shown, region.width), strict=True):
            lines.setdefault(region.y + y, {})[region.x] = strip
    none: dict[int, Strip | None] = {}
    chops = [lines.get(y, none) for y in range(compositor.size.height)]
    ends = [[x + strip.cell_length for x, strip in chop.items() if strip] for chop in chops]
    spans = [(y, min(line), ends[y][-1]) for y, line in sorted(lines.items())]
    screen.app._display(screen, ChopsUpdate(chops, spans, ends))
    return True


def _is_simple(screen: Screen[Any], changed: list[Widget]) -> bool:
    """Whether nothing else is to be drawn, or laid out, on the screen in front."""
    if screen.app._batch_count or not screen.is_current or screen._compositor._dirty_regions:
        return False
    nodes: list[Widget] = [screen, *changed]
    if any(node._layout_required or node._scroll_required or node._recompose_required for node in nodes):
        return False
    return not screen._repaint_required and not screen._dirty_widgets


def _open_region(widget: Widget, visible: dict[Widget, tuple[Region, Region]]) -> Region | None:
    """The cells that the widget itself fills; None where it is cut, or something may lie over it."""
    if widget not in visible or widget.styles.gutter != (0, 0, 0, 0):
        return None
    region, clip = visible[widget]
    region = Region(region.x, region.y, *widget.scrollable_content_region.size)  # its scroll bar has its own
    if not clip.contains_region(region):
        return None
    for other, (theirs, cut) in visible.items():  # from the front to the back
        if other is widget:
            return region
        if theirs.overlaps(region) and cut.overlaps(region):
            return None
    return None


def _drawn(widget: Widget, lines: list[int], width: int) -> list[Strip]:
    if not isinstance(widget, Painted):
        return [widget.render_lines(Region(0, y, width, 1))[0] for y in lines]
    strips = widget.drawn(lines, width)
    for each in widget.get_line_filters():
        if not isinstance(each, ANSIToTruecolor) or not widget.is_truecolor:
            ground = widget.background_colors[1]
            strips = [strip.apply_filter(each, ground) for strip in strips]
    return strips
