"""The file manager on large folders: opening them, moving in them, what goes over the wire."""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from harness import Box, Sshd, Table, Terminal, median, need, percentile, temporary_box

from labbox.files.apart import Apart
from labbox.files.directory import Arrangement, Listing, Sort
from labbox.files.scanning import Columns, rearrange, scan

_MANY, _MILLION = 100_000, 1_000_000
_STEPS = 40


def measure(table: Table, _options: argparse.Namespace) -> None:
    need("mc", "mc")
    folder = Path(tempfile.mkdtemp(prefix="labbox-many-", dir="/var/tmp"))
    try:
        folder.chmod(0o755)
        many, million = _fill(folder / "many", _MANY), _fill(folder / "million", _MILLION)
        _open(table, many, "100,000 files", 0.1, 1.0)
        _open(table, million, "a million files", 0.1, 6.0)
        _memory(table, million)
        with temporary_box(("ada",)) as box:
            _over_ssh(table, box, many)
    finally:
        shutil.rmtree(folder)


def _fill(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number in range(count):
        (folder / f"file-{number * 7919 % count}-run{number % 13}.dat").touch()
    return folder


class Opening:
    """One folder opened as the pane does it, with a watch on how long the event loop stands still."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.first = self.complete = self.stall = 0.0
        self.listing = Listing()

    async def run(self) -> None:
        loop, done, began = asyncio.get_running_loop(), asyncio.Event(), time.perf_counter()

        def arrived(listing: Listing, columns: Columns | None) -> None:
            self.listing = listing
            if columns is not None:
                listing.fill(columns)
            self.first = self.first or time.perf_counter() - began
            if listing.complete:
                self.complete = time.perf_counter() - began
                done.set()

        def show(listing: Listing, columns: Columns | None) -> None:
            loop.call_soon_threadsafe(arrived, listing, columns)

        reading = loop.run_in_executor(None, scan, str(self.folder), Arrangement(), show, Apart())
        before = time.perf_counter()
        while not done.is_set():
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            self.stall, before = max(self.stall, now - before - 0.001), now
        await reading


def _idle_stall(seconds: float) -> float:
    """How long a loop that has nothing to do stands still: what the machine itself does to it."""

    async def rest() -> float:
        worst, before, end = 0.0, time.perf_counter(), time.perf_counter() + seconds
        while before < end:
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            worst, before = max(worst, now - before - 0.001), now
        return worst

    return asyncio.run(rest())


def _open(table: Table, folder: Path, what: str, first: float, complete: float) -> None:
    subprocess.run(["ls", "-f", folder], check=True, stdout=subprocess.DEVNULL)  # in the kernel's memory
    tried = [Opening(folder) for _ in range(3)]
    for each in tried:
        asyncio.run(each.run())
    rows, whole = median([each.first for each in tried]), median([each.complete for each in tried])
    stall, idle = median([each.stall for each in tried]), _idle_stall(whole)
    table.add(
        f"{what}: first rows / complete and sorted",
        "–",
        f"≤ {first * 1000:.0f} ms / ≤ {complete:g} s",
        f"{rows * 1000:.0f} ms / {whole:.2f} s",
        rows <= first and whole <= complete,
    )
    table.add(
        f"{what}: the longest stall of the event loop meanwhile",
        f"an idle loop: {idle * 1000:.0f} ms",
        "≤ 20 ms",
        f"{stall * 1000:.0f} ms",
        stall <= 0.02,
    )
    listing = tried[-1].listing
    began = time.perf_counter()
    rearrange(listing, Arrangement(Sort.SIZE, reverse=True), Apart())
    print(f"      {what}: sorted by size in {time.perf_counter() - began:.2f} s, off the loop")


def _memory(table: Table, folder: Path) -> None:
    """The growth of this process by one listing, and the most that its helpers took while it was made."""
    before = _resident()
    opening = Opening(folder)
    asyncio.run(opening.run())
    grown = (_resident() - before) / 1e6
    helpers = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3
    print(f"      helpers while it is read: {helpers:.0f} MB at most")
    table.add("a million files: memory added", "–", "≤ 150 MB", f"{grown:.0f} MB", grown <= 150)
    assert len(opening.listing) == _MILLION


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _over_ssh(table: Table, box: Box, folder: Path) -> None:
    sshd = Sshd(box.folder / "sshd", box.key)
    first, theirs, steps, pages, sizes = "file-0-run", [], [], [], []
    ours = []
    try:
        terminal = Terminal(box.ssh("ada", tty=True))
        terminal.wait_for("Modified", "Quit")
        for _ in "lr":  # both panes go there, and remember it
            terminal.drain()
            terminal.reach(b"\x1bc", "Go to")
            terminal.reach(f"{folder}\r".encode(), f"▸{folder}", first)  # the sign of the pane with the keys
            terminal.drain()
            os.write(terminal.fd, b"\t")
        terminal.drain(1.0)
        os.write(terminal.fd, b"\x1b[21~")
        terminal.drain(10.0)  # to the end of the session, which writes down where it was
        terminal.close()
        for turn in range(7):
            terminal = Terminal(box.ssh("ada", tty=True))
            ours.append(terminal.wait_for(first, "Quit"))
            if turn == 6:
                terminal.drain(2.0)
                for _ in range(_STEPS):
                    start = len(terminal.data)
                    steps.append(terminal.key(b"\x1b[B"))
                    terminal.drain(0.1)
                    sizes.append(len(terminal.data) - start)
                for _ in range(_STEPS):
                    pages.append(terminal.key(b"\x1b[6~"))
                    terminal.drain(0.1)
            terminal.close()
            terminal = Terminal(sshd.ssh("mc", str(folder), str(folder), tty=True))
            theirs.append(terminal.wait_for("file-0-run", "Mkdir"))
            terminal.close()
    finally:
        sshd.stop()
    ratio = median(ours) / median(theirs)
    table.add(
        "`ssh` to the pane on 100,000 files, its first sorted page on the screen",
        "`ssh -t host mc DIR DIR`",
        "≤ 0.5",
        f"{ratio:.2f} ({median(ours):.2f} s against {median(theirs):.2f} s)",
        ratio <= 0.5,
    )
    table.add(
        "one cursor step in 100,000 files, over ssh: bytes for the terminal",
        "–",
        "≤ 1 KB",
        f"{max(sizes)} bytes at most",
        max(sizes) <= 1024,
    )
    print(
        f"      over ssh, key to paint: step {median(steps) * 1000:.1f} ms, p95 "
        f"{percentile(steps, 0.95) * 1000:.1f} ms; page down {median(pages) * 1000:.1f} ms, p95 "
        f"{percentile(pages, 0.95) * 1000:.1f} ms"
    )
    asyncio.run(_in_the_app(table, folder))


async def _in_the_app(table: Table, folder: Path) -> None:
    """What a key costs the app itself, without terminal and line."""
    import sys

    sys.path.insert(0, str(Path(__file__).parent.parent / "tui"))
    import fake_client  # type: ignore[import-not-found]  # the box in memory of the tests of the screens

    from labbox.tui.app import LabboxApp
    from labbox.tui.screens.files import FilesScreen

    box = fake_client.full_box(60)
    with tempfile.TemporaryDirectory() as home:
        os.environ["HOME"] = home
        app = LabboxApp(box, "labbox-dark")
        async with app.run_test(size=(200, 50)) as pilot:
            screen = app.screen
            assert isinstance(screen, FilesScreen)
            await screen.go(screen.here.location)
            from labbox.locations import parse

            await screen.go(parse(str(folder)))
            while screen.here.listing is None or not screen.here.listing.complete:
                await pilot.pause(0.01)
            table_widget = screen.pane.table
            costs: dict[int, list[float]] = {1: [], 0: []}
            for turn in range(2 * _STEPS):
                began = time.perf_counter()
                if turn % 2:
                    table_widget.action_move(1)
                else:
                    table_widget.action_page(1)
                screen._compositor.render_update(full=False)
                costs[turn % 2].append(time.perf_counter() - began)
                await pilot.pause()
        box.close()
    step, page = median(costs[1]), median(costs[0])
    table.add(
        "page down and cursor in 100,000 files",
        "–",
        "≤ 10 ms, ≤ 3 ms",
        f"{page * 1000:.1f} ms, {step * 1000:.1f} ms",
        page <= 0.01 and step <= 0.003,
    )
