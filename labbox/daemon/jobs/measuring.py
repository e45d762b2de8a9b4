"""What running jobs take now: one look at the kernel's counters for all of them, while any runs.

No job has a thread or a task of its own for it, and an idle box looks at nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from labbox.daemon.containers import gpuuse
from labbox.daemon.containers.cgroups import Consumed
from labbox.daemon.containers.gpuuse import GpuUse
from labbox.protocol import Live

_EVERY: Final = 2.0  # seconds
_KEPT: Final = 60  # looks
FEW: Final = 12  # looks that a list draws


class _Course:
    """One job's figures so far."""

    def __init__(self) -> None:
        self.at = 0.0
        self.last = Consumed()
        self.cpus: deque[float] = deque(maxlen=_KEPT)
        self.memory: deque[int] = deque(maxlen=_KEPT)
        self.peak = 0
        self.gpus: deque[float] = deque(maxlen=_KEPT)
        self.gpu_memory: int | None = None
        self.peak_gpu_memory: int | None = None

    def take(self, at: float, now: Consumed) -> None:
        before, self.last = self.last.cpu_seconds, now
        if before is not None and now.cpu_seconds is not None and at > self.at:
            self.cpus.append(round(max(0.0, now.cpu_seconds - before) / (at - self.at), 3))
        if now.memory is not None:
            self.memory.append(now.memory)
        self.peak = max(self.peak, now.peak_memory or 0, now.memory or 0)
        self.at = at

    def take_gpus(self, devices: list[GpuUse]) -> None:
        self.gpus.append(round(sum(device.busy for device in devices), 3))
        self.gpu_memory = sum(device.memory for device in devices)
        self.peak_gpu_memory = max(self.peak_gpu_memory or 0, self.gpu_memory)


class Measuring:
    """The figures of all that runs."""

    def __init__(
        self,
        running: Callable[[], Mapping[int, str]],
        idle: Callable[[], bool],
        consumed: Callable[[str], Consumed],
        threads: ThreadPoolExecutor,
        gpus_of: Callable[[str], tuple[int, ...]],
    ) -> None:
        """`running`: jobs in containers and the names of these; `idle`: there is no job at all.

        `consumed` reads files, in `threads`; `gpus_of` a container: the indexes of its devices.
        """
        self._gpus_of = gpus_of
        self._running, self._idle = running, idle
        self._consumed, self._threads = consumed, threads
        self._courses: dict[int, _Course] = {}
        self._begun = asyncio.Event()

    def wake(self) -> None:
        """Something runs."""
        self._begun.set()

    def of(self, job: int, looks: int = _KEPT) -> Live | None:
        """What a job takes, with its last looks; None where it does not run, or nothing is known."""
        course = self._courses.get(job)
        if course is None or job not in self._running() or not (course.cpus or course.memory):
            return None
        return Live(
            cpus=course.cpus[-1] if course.cpus else None,
            memory=course.memory[-1] if course.memory else None,
            peak_memory=course.peak or None,
            cpu_course=tuple(course.cpus)[-looks:],
            memory_course=tuple(course.memory)[-looks:],
            gpus=course.gpus[-1] if course.gpus else None,
            gpu_memory=course.gpu_memory,
            peak_gpu_memory=course.peak_gpu_memory,
            gpu_course=tuple(course.gpus)[-looks:],
        )

    async def run(self) -> None:
        """Look until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            names = dict(self._running())
            self._courses = {job: course for job, course in self._courses.items() if job in names}
            if self._idle():
                self._begun.clear()
                await self._begun.wait()
                continue
            for job, now in (await loop.run_in_executor(self._threads, self._look, names)).items():
                self._courses.setdefault(job, _Course()).take(time.monotonic(), now)
            await self._look_at_gpus(names)
            await asyncio.sleep(_EVERY)

    async def _look_at_gpus(self, names: Mapping[int, str]) -> None:
        """Only while a job has some: the driver's program is started for each look."""
        having = {job: gpus for job, name in names.items() if (gpus := self._gpus_of(name))}
        if not having or not (uses := await gpuuse.look()):
            return
        for job, indexes in having.items():
            devices = [uses[index] for index in indexes if index in uses]
            if devices and job in self._courses:
                self._courses[job].take_gpus(devices)

    def _look(self, names: Mapping[int, str]) -> dict[int, Consumed]:
        return {job: self._consumed(name) for job, name in names.items()}
