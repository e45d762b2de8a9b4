"""Workers as plain child processes, for tests of what the daemon does with them."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence

from labbox.daemon.people.accounts import Account

SERVE = "import socket, sys; from labbox.files.worker import serve; serve(socket.socket(fileno=3))"


class Child:
    """A worker as a plain child process; stands for labbox.daemon.processes.Process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._ended = asyncio.ensure_future(asyncio.to_thread(os.waitpid, pid, 0))

    async def wait(self) -> int:
        _, status = await asyncio.shield(self._ended)
        return os.waitstatus_to_exitcode(status)

    async def kill(self) -> None:
        if not self._ended.done():
            os.kill(self.pid, 9)
        await self.wait()


class Nursery:
    """Starts workers and remembers them."""

    def __init__(self) -> None:
        self.children: list[Child] = []

    async def __call__(self, account: Account, descriptors: Sequence[int]) -> Child:
        actions = [(os.POSIX_SPAWN_DUP2, descriptor, number) for number, descriptor in enumerate(descriptors)]
        environment = {**os.environ, "HOME": str(account.home)}
        pid = os.posix_spawn(sys.executable, [sys.executable, "-c", SERVE], environment, file_actions=actions)
        self.children.append(Child(pid))
        return self.children[-1]
