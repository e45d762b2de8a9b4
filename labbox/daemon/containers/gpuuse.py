"""What the GPUs do now, as the driver's own program tells it: `nvidia-smi`, where there is one.

It runs as nobody, with limits of processor and time, and what it says is read as numbers or not at all.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from labbox.daemon.containers.killed import gone
from labbox.model import Value

PROGRAM: Final = "nvidia-smi"
_WORDS: Final = ("--query-gpu=index,utilization.gpu,memory.used", "--format=csv,noheader,nounits")
_SECONDS: Final = 5.0  # for one look; a driver that hangs costs no more
_CPU_SECONDS: Final = 2
_MOST: Final = 1 << 16  # bytes of an answer
_NOBODY: Final = 65534


class GpuUse(Value):
    """One device: its processors' share in use (0 to 1), and the memory in use in bytes."""

    busy: float
    memory: int


async def look() -> dict[int, GpuUse]:
    """The devices by index; none where nothing can be learnt."""
    program = shutil.which(PROGRAM)
    if program is None:
        return {}
    said = await _answer(program)
    return parse(said.decode("ascii", "replace"))


def parse(said: str) -> dict[int, GpuUse]:
    """Lines such as ``0, 37, 1024`` (per cent, MiB); a device that does not tell is left out."""
    found: dict[int, GpuUse] = {}
    for line in said.splitlines():
        try:
            index, busy, memory = (int(part) for part in line.split(","))
        except ValueError:  # "[N/A]", or a sentence of the driver's
            continue
        if index >= 0 and 0 <= busy <= 100 and 0 <= memory < 1 << 30:
            found[index] = GpuUse(busy=busy / 100, memory=memory << 20)
    return found


async def _answer(program: str) -> bytes:
    rights: dict[str, int | list[int]] = {}
    if os.geteuid() == 0:
        rights = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
    environment: Mapping[str, str] = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
    try:
        process = await asyncio.create_subprocess_exec(
            *("/bin/sh", "-c", f'ulimit -t {_CPU_SECONDS} && exec "$0" "$@"', program, *_WORDS),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd="/",
            env=environment,
            start_new_session=True,
            **rights,  # type: ignore[arg-type] # of subprocess.Popen, which typeshed does not name here
        )
    except OSError:
        return b""
    try:
        async with asyncio.timeout(_SECONDS):
            return await _read(process)
    except TimeoutError:
        return b""
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, 9)
        await gone(process)


async def _read(process: asyncio.subprocess.Process) -> bytes:
    if process.stdout is None:
        raise AssertionError("it was asked for")
    said = b""
    while len(said) < _MOST and (piece := await process.stdout.read(_MOST)):
        said += piece
    return said[:_MOST]
