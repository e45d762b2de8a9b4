from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from passable import passable

UID = 70_322  # a person


class Disks:
    """Small disks, mounted below one folder and let go of at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._mounted: list[Path] = []

    def tmpfs(self, options: str = "size=512m") -> Path:
        return self._mount("-t", "tmpfs", "-o", options, "tmpfs")

    def ext4(self, size: str, *options: str) -> Path:
        image = self._folder / f"image{len(self._mounted)}"
        subprocess.run(
            ["mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", *options, image, size], check=True
        )
        folder = self._mount("-o", "loop", str(image))
        (folder / "lost+found").rmdir()
        return folder

    def read_only(self, source: Path) -> Path:
        return self._mount("-o", "bind,ro", str(source))

    def _mount(self, *words: str) -> Path:
        folder = self._folder / f"disk{len(self._mounted)}"
        folder.mkdir()
        subprocess.run(["mount", *words, folder], check=True)
        self._mounted.append(folder)
        return folder

    def close(self) -> None:
        for folder in reversed(self._mounted):
            subprocess.run(["umount", "-l", folder], check=True)


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    made = Disks(tmp_path)
    yield made
    made.close()


def as_person(deed: Callable[[], Awaitable[None]]) -> None:
    """Do it in a process with a person's ids and nothing else."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.setgroups([])
            os.setresgid(UID, UID, UID)
            os.setresuid(UID, UID, UID)

            async def run() -> None:
                await deed()

            asyncio.new_event_loop().run_until_complete(run())
            code = 0
        except BaseException:  # noqa: BLE001 - told where it is seen
            traceback.print_exc(file=sys.__stderr__)
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0, "see what it wrote to stderr"


@pytest.fixture
def person() -> Callable[[Callable[[], Awaitable[None]]], None]:
    return as_person


@pytest.fixture
def reachable(tmp_path: Path) -> Path:
    """A folder that others can reach, though pytest's own are closed to them."""
    passable(tmp_path)
    return tmp_path
