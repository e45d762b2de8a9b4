"""What the spawner does before it forks: import the whole interface, try it out unseen, and begin an app.

So a session imports nothing, what Textual makes once (styles, colours, borders) is shared by all, and the
first screen stands before anybody has logged in.
`textual-image` is left out: it asks the terminal at import, and the spawner has none.
"""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from labbox.model import GIB, JobKind, JobState, Progress, Resources, Role
from labbox.protocol import Caller, EngineStatus, Event, Job, JobCounts, JobPage, Notices, Status

if TYPE_CHECKING:
    from labbox.client import Client
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
_SIZE: Final = (200, 50)
_PATIENCE: Final = 30.0  # seconds for the unseen painting, and for its threads to end


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
    before = set(threading.enumerate())
    asyncio.run(_paint_unseen())
    for thread in set(threading.enumerate()) - before:
        thread.join(_PATIENCE)
    from labbox.tui.prepared import Prepared

    return Prepared()


async def _paint_unseen() -> None:
    from labbox.tui.app import LabboxApp

    app = LabboxApp(cast("Client", _Nobody()), "labbox-dark")
    async with asyncio.timeout(_PATIENCE), app.run_test(size=_SIZE) as pilot:
        while app.status is None:
            await pilot.pause(0.01)
        await pilot.press("down", "up")
        await pilot.pause()


class _Nobody:
    """Answers what the first screen asks, with a job in every state."""

    def __init__(self) -> None:
        now = datetime.now(UTC)
        self._jobs = tuple(
            Job(
                id=number,
                kind=JobKind.CONTAINER,
                name="",
                owner="",
                project=None,
                state=state,
                reason=None,
                attempt=1,
                exit_code=None,
                submitted_at=now,
                started_at=now,
                ended_at=None,
                progress=Progress(phase="running", done=1, total=2),
                results="",
                resources=Resources(),
                priority=0,
            )
            for number, state in enumerate(reversed(JobState), 1)
        )[::-1]

    def list_jobs(self, **_question: Any) -> JobPage:
        return JobPage(jobs=self._jobs, next=None, cursor=0)

    def count_jobs(self, owner: str | None = None) -> JobCounts:
        return JobCounts(by_state=dict.fromkeys(JobState, 1))

    def whoami(self) -> Caller:
        return Caller(name="", uid=0, role=Role.USER)

    def notices(self) -> Notices:
        return Notices(notices=())

    def events(self, **_question: Any) -> Iterator[Event]:
        return iter(())

    def status(self) -> Status:
        some = Resources(cpus=1, memory=GIB)
        return Status(
            version="",
            box="",
            started_at=datetime.now(UTC),
            ready=True,
            ssh="",
            engine=EngineStatus(available=True),
            jobs={},
            users=0,
            total=some,
            used=some,
            load=(0.0, 0.0, 0.0),
            memory_total=1,
            memory_available=1,
            disk_total=1,
            disk_free=1,
        )
