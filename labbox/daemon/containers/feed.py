"""Standard input of a run that asked for it: a pipe in its spool, so that the daemon may restart meanwhile.

In the container a process of its own holds the pipe open (see `run`) until a second pipe, `close`, is opened.
"""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from labbox.errors import LabboxError

_OPEN_SECONDS: Final = 5.0  # from the start of a container until its command has opened the pipe
_POLL_SECONDS: Final = 0.02
_WRITE_SECONDS: Final = 10.0


async def write_input(spool: Path, data: bytes) -> None:
    """Hand bytes to the run's standard input; returns when the pipe has them all.

    LabboxError "conflict" where nobody reads: the run has ended, or does not take its input.
    """
    descriptor = await _open(spool / "stdin")
    try:
        async with asyncio.timeout(_WRITE_SECONDS):
            rest = memoryview(data)
            while rest:
                try:
                    rest = rest[os.write(descriptor, rest) :]
                except BlockingIOError:
                    await _writable(descriptor)
    except TimeoutError:
        raise LabboxError(
            "conflict",
            f"cannot hand over the input: the job took none of it for {_WRITE_SECONDS:.0f} s",
            "is it paused, or busy with something else? what was handed over stays handed over",
        ) from None
    except BrokenPipeError:
        raise _nobody() from None
    finally:
        os.close(descriptor)


async def close_input(spool: Path) -> None:
    """End the run's standard input; nothing happens where it has ended already."""
    if (spool / "closed").exists():
        return
    try:
        os.close(await _open(spool / "close"))
    except LabboxError as error:
        if error.code != "conflict":
            raise
    with suppress(FileNotFoundError):  # the run has ended meanwhile, and its spool is gone
        (spool / "closed").touch()


async def _open(path: Path) -> int:
    """The writing end of a pipe, as soon as somebody reads from it."""
    end = asyncio.get_running_loop().time() + _OPEN_SECONDS
    while True:
        try:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            raise LabboxError(
                "conflict", "cannot hand over the input: the job takes none", "submit it with --stdin"
            ) from None
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
        if asyncio.get_running_loop().time() > end:
            raise _nobody()
        await asyncio.sleep(_POLL_SECONDS)


async def _writable(descriptor: int) -> None:
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    loop.add_writer(descriptor, tell)
    try:
        await ready
    finally:
        loop.remove_writer(descriptor)


def _nobody() -> LabboxError:
    return LabboxError(
        "conflict", "cannot hand over the input: nobody reads it", "the job has ended, or has ended its input"
    )
