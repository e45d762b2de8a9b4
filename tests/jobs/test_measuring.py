"""What running jobs take: looked at while any runs, with peaks that stay, and not at all on an idle box."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from labbox.daemon.containers import gpuuse
from labbox.daemon.containers.cgroups import Consumed
from labbox.daemon.containers.gpuuse import GpuUse
from labbox.daemon.jobs import measuring
from labbox.daemon.jobs.measuring import FEW, Measuring


class Machine:
    """Jobs 1 and 2, of which the second has a GPU, and the counters of the kernel."""

    def __init__(self) -> None:
        self.running: dict[int, str] = {}
        self.looks = self.gpu_looks = 0
        self.memory = 100

    def consumed(self, name: str) -> Consumed:
        self.looks += 1
        return Consumed(cpu_seconds=float(self.looks), memory=self.memory)

    async def gpus(self) -> dict[int, GpuUse]:
        self.gpu_looks += 1
        return {3: GpuUse(busy=0.5, memory=1000 if self.gpu_looks == 1 else 10)}

    def measuring(self, threads: ThreadPoolExecutor) -> Measuring:
        return Measuring(
            lambda: self.running,
            lambda: not self.running,
            self.consumed,
            threads,
            lambda name: (3,) if name == "two" else (),
        )


async def _until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not reached():
            await asyncio.sleep(0.005)


async def test_an_idle_box_looks_at_nothing_and_peaks_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "_EVERY", 0.005)
    machine = Machine()
    monkeypatch.setattr(gpuuse, "look", machine.gpus)
    with ThreadPoolExecutor(1) as threads:
        measured = machine.measuring(threads)
        task = asyncio.create_task(measured.run())
        try:
            for _ in range(50):
                await asyncio.sleep(0)  # it has had its turns
            assert machine.looks == 0
            machine.running[1] = "one"
            measured.wake()
            await _until(lambda: machine.looks > FEW + 3)
            assert machine.gpu_looks == 0  # nothing has a GPU
            machine.memory = 7
            await _until(lambda: (live := measured.of(1)) is not None and live.memory == 7)
            live = measured.of(1, looks=FEW)
            assert live is not None and live.peak_memory == 100 and len(live.memory_course) == FEW
            machine.running[2] = "two"
            await _until(lambda: machine.gpu_looks > 2)
            await _until(lambda: (two := measured.of(2)) is not None and two.gpu_memory == 10)
            two = measured.of(2)
            assert two is not None and (two.gpus, two.peak_gpu_memory) == (0.5, 1000)
            machine.running.clear()
            await _until(lambda: measured.of(1) is None)
            await _until(lambda: not measured._begun.is_set())
            before = machine.looks, machine.gpu_looks
            for _ in range(50):
                await asyncio.sleep(0)
            assert (machine.looks, machine.gpu_looks) == before
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
