"""Fewer bytes, and the very same screen: what the terminal gets is compared with what Textual would send."""

from __future__ import annotations

import io

import pyte
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.geometry import Region
from textual.strip import Strip

from labbox.tui import sparing
from labbox.tui.sparing import Sparing

WIDTH, HEIGHT, MIDDLE = 24, 4, 11
STYLES = [Style.parse(text) for text in ("red on black", "bold red on black", "green on white", "none")]
WORDS = st.sampled_from(["a", "b", "file-1", "file-2", "…", "–", "漢", "e\u0301", "\u200b", " ", "      "])
PARTS = st.lists(st.tuples(WORDS, st.sampled_from(STYLES)), max_size=6)
UPDATES = st.lists(
    st.one_of(
        st.tuples(st.just("all"), st.lists(st.tuples(PARTS, PARTS), min_size=HEIGHT, max_size=HEIGHT)),
        st.tuples(
            st.just("some"),
            st.lists(
                st.tuples(st.integers(0, HEIGHT - 1), st.booleans(), PARTS, st.integers(0, WIDTH)),
                min_size=1,
                max_size=4,
                unique_by=lambda one: one[:2],
            ),
        ),
    ),
    min_size=1,
    max_size=6,
)


def strip(parts: list[tuple[str, Style]], width: int) -> Strip:
    return Strip([Segment(text, style) for text, style in parts]).adjust_cell_length(width, STYLES[0])


def updates(drawn: list[tuple[str, list]]) -> list[LayoutUpdate | ChopsUpdate]:  # type: ignore[type-arg]
    found: list[LayoutUpdate | ChopsUpdate] = []
    for what, lines in drawn:
        if what == "all":
            strips = [[strip(left, MIDDLE), strip(right, WIDTH - MIDDLE)] for left, right in lines]
            found.append(LayoutUpdate(list(strips), Region(0, 0, WIDTH, HEIGHT)))
            continue
        chops: list[dict[int, Strip | None]] = [{0: None, MIDDLE: None} for _ in range(HEIGHT)]
        spans = []
        for y, left, parts, cut in sorted(lines, key=lambda line: line[:2]):
            first, behind = (0, MIDDLE) if left else (MIDDLE, WIDTH)
            chops[y][first] = strip(parts, behind - first)
            spans.append((y, first, max(first + 1, min(cut, behind))))
        found.append(ChopsUpdate(chops, spans, [[MIDDLE, WIDTH]] * HEIGHT))
    return found


def console() -> Console:
    return Console(force_terminal=True, color_system="truecolor", file=io.StringIO(), width=WIDTH)


def page(screen: pyte.Screen) -> list[list[pyte.screens.Char]]:
    return [[screen.buffer[y][x] for x in range(WIDTH)] for y in range(HEIGHT)]


@given(UPDATES)
def test_the_screen_is_the_same_whatever_is_drawn(drawn: list[tuple[str, list]]) -> None:  # type: ignore[type-arg]
    plain, lean = pyte.Screen(WIDTH, HEIGHT + 1), pyte.Screen(WIDTH, HEIGHT + 1)
    theirs, ours, sparing, terminal = pyte.Stream(plain), pyte.Stream(lean), Sparing(), console()
    for update in updates(drawn):
        spared = sparing.lean(update)
        assert isinstance(spared, (LayoutUpdate, ChopsUpdate))
        theirs.feed(update.render_segments(terminal))
        ours.feed(spared.render_segments(terminal))
        assert page(lean) == page(plain)


def test_rows_that_move_by_one_cost_their_differences() -> None:
    def update(first: int) -> ChopsUpdate:
        lines = [strip([(f" file-{number}.dat".ljust(60), STYLES[0]), ("1.2K", STYLES[1])], 70)
                 for number in range(first, first + 40)]  # fmt: skip
        return ChopsUpdate([{0: line} for line in lines], [(y, 0, 70) for y in range(40)], [[70]] * 40)

    sparing, terminal = Sparing(), console()
    sizes = [
        len(spared.render_segments(terminal))
        for first in (100, 101, 102, 102)
        if isinstance(spared := sparing.lean(update(first)), ChopsUpdate)
    ]
    assert sizes[0] > 3000 and 0 < sizes[1] < 600 and 0 < sizes[2] < 600 and sizes[3] == 0


def test_anything_else_that_is_written_is_no_longer_known() -> None:
    sparing, terminal = Sparing(), console()
    line = strip([("hello", STYLES[0])], WIDTH)
    update = ChopsUpdate([{0: line}], [(0, 0, WIDTH)], [[WIDTH]])
    texts = []
    for between in (None, None, "something else"):
        sparing.lean(between)
        spared = sparing.lean(update)
        assert isinstance(spared, ChopsUpdate)
        texts.append(spared.render_segments(terminal))
    assert "hello" in texts[0] and texts[1] == "" and "hello" in texts[2]


def test_what_scrolls_is_taken_apart_once() -> None:
    sparing._part.cache_clear()
    terminal = Sparing()
    lines = [strip([(f"file-{number:02}", STYLES[0]), ("12.3 K", STYLES[1])], WIDTH) for number in range(40)]
    made = 0
    for first in range(40 - HEIGHT):
        chops: list[dict[int, Strip | None]] = [{0: strip} for strip in lines[first : first + HEIGHT]]
        spans = [(y, 0, WIDTH) for y in range(HEIGHT)]
        update = terminal.lean(ChopsUpdate(chops, spans, [[WIDTH]] * HEIGHT))
        assert isinstance(update, ChopsUpdate)
        update.render_segments(console())
        if first == 0:
            made = sparing._part.cache_info().misses
    assert sparing._part.cache_info().misses - made == 40 - HEIGHT - 1  # each step's new name
