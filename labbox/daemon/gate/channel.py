"""One session of a login: what was asked for is started as the user, and its bytes are passed on.

The callbacks of asyncssh only note what the client sends; `Session.run`, a task of the gate's, is the story
from start to end. However it ends, the process and all that it has started have ended with it.
"""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from signal import SIGHUP, Signals
from typing import TYPE_CHECKING, Final, cast

import asyncssh
from asyncssh.misc import TermModes, TermSize

from labbox.daemon.gate import terminal
from labbox.daemon.gate.launch import Launch
from labbox.daemon.gate.pumps import Inflow, Outflow
from labbox.daemon.gate.welcome import Lines
from labbox.daemon.gate.words import (
    ADD_KEYS,
    TAKE_KEYS,
    Nothing,
    Refused,
    Screens,
    Secluded,
    Sftp,
    Wish,
    wish_of,
)
from labbox.errors import LabboxError
from labbox.text import visible_line

if TYPE_CHECKING:
    from labbox.daemon.gate.door import Door
    from labbox.daemon.gate.wire import Channel
    from labbox.daemon.processes import Process

log = logging.getLogger(__name__)

HANG_UP_SECONDS: Final = 5.0  # between SIGHUP and SIGKILL for a login whose client has gone
_SENT_AWAY: Final = 255  # the exit status of ssh where the connection ends
WORDS_SECONDS: Final = 30.0  # for the words of an rsync that come over the connection
KEYS_SECONDS: Final = 20.0  # for the look at keys after an sftp session
_SIGNALS: Final = {"HUP", "INT", "QUIT", "TERM", "USR1", "USR2", "CONT", "TSTP", "KILL"}
ASK_SECONDS: Final = 30.0  # for a client to ask for something in a channel that it has opened
FIRST_WINDOW: Final = 64 * 1024  # bytes that a client may send of what is read before anything runs
WINDOW: Final = 512 * 1024  # bytes that it may send to a verb or the screens before they have taken them
BULK_WINDOW: Final = 8 << 20  # the same where files are moved
MAX_SHOWN: Final = 200  # characters of what is refused, in the audit trail
_MAX_COMMAND: Final = 32 * 1024  # bytes
_MUCH: Final = 1 << 20  # bytes: more than anybody sends who only looks, and deletes
_PIPE: Final = 1 << 20  # bytes a pipe holds; the largest that the kernel grants everybody
_F_SETPIPE_SZ: Final = 1031


class Session(asyncssh.SSHServerSession[bytes]):
    """One channel of kind "session"."""

    def __init__(self, door: Door) -> None:
        """For a client that came in by this door."""
        self._door = door
        self._channel: Channel | None = None
        self._wish: Wish | None = None
        self._term: str | None = None
        self._size: TermSize = (80, 24, 0, 0)
        self._modes: TermModes = {}
        self._master: int | None = None
        self._inflow: Inflow | Lines | None = None
        self._outflows: list[Outflow] = []
        self._hears: int | None = None  # ends when the terminal is the process's: its keys are lost before
        self._early: list[bytes] = []  # came before the process could have it
        self._brought = 0  # bytes that came for it
        self._early_end = False
        self._came = asyncio.Event()  # something early
        self._process: Process | None = None
        self.gone = asyncio.Event()  # the channel is no more
        self._patience: asyncio.TimerHandle | None = None  # with a client that asks for nothing

    # What the client asks for.

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """The channel is open."""
        self._channel = cast("Channel", chan)
        self._patience = asyncio.get_running_loop().call_later(ASK_SECONDS, self._give_up)

    def _give_up(self) -> None:
        self._patience = None
        if self._channel is not None:
            self._channel.close()

    def _asked(self) -> bool:
        """Something is asked for; whether that is in time."""
        if self._patience is None:
            return False
        self._patience.cancel()
        self._patience = None
        return True

    def pty_requested(self, term_type: str, term_size: TermSize, term_modes: TermModes) -> bool:
        """A terminal is wanted."""
        self._term, self._size, self._modes = term_type, term_size, term_modes
        return True

    def shell_requested(self) -> bool:
        """No command: the screens."""
        return self._want(None, None)

    def exec_requested(self, command: str) -> bool:
        """A command."""
        if len(command) > _MAX_COMMAND:
            if not self._asked():
                return False
            self._wish = Refused(
                f"cannot read a command of more than {_MAX_COMMAND >> 10} KiB", command[:MAX_SHOWN]
            )
            return True
        return self._want(command, None)

    def subsystem_requested(self, subsystem: str) -> bool:
        """A subsystem, such as sftp."""
        return self._want(None, subsystem[:MAX_SHOWN])

    def _want(self, command: str | None, subsystem: str | None) -> bool:
        if not self._asked():
            return False
        self._wish = wish_of(command, subsystem, pty=self._term is not None)
        return True

    def session_started(self) -> None:
        """The client knows that its request is taken up."""
        self._door.start(self)

    # What the client sends.

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Bytes for the process."""
        self._brought += len(data)
        self._door.active()
        if self._inflow is None or self._early or self._hears is not None:  # what came before goes first
            self._early.append(bytes(data))
            self._pause()
            self._came.set()
        else:
            self._inflow.write(memoryview(data))

    def eof_received(self) -> bool:
        """No more bytes; the answers may still come."""
        if self._inflow is None or self._early or self._hears is not None:
            self._early_end = True
            self._came.set()
        elif self._master is None:
            self._inflow.end()
        return True

    def terminal_size_changed(self, width: int, height: int, pixwidth: int, pixheight: int) -> None:
        """The window has another size."""
        self._size = (width, height, pixwidth, pixheight)
        self._door.active()
        if self._master is not None and self._inflow is not None and not self._inflow.closed:
            terminal.resize(self._master, self._size)

    def signal_received(self, signal: str) -> None:
        """A signal for the process."""
        if self._process is not None and signal in _SIGNALS:
            self._door.send_signal(self._process, int(Signals[f"SIG{signal}"]))

    def break_received(self, msec: int) -> bool:
        """A break: there is no line to break."""
        return False

    def pause_writing(self) -> None:
        """The client takes no more for now."""
        for outflow in self._outflows:
            outflow.pause()

    def resume_writing(self) -> None:
        """The client takes more."""
        for outflow in self._outflows:
            outflow.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """The channel is closed, in order or not."""
        self._asked()
        self._door.closed(self)
        self.gone.set()
        self._came.set()
        self._close()

    # The story.

    async def run(self) -> None:
        """From the request to the exit status; raises nothing but CancelledError."""
        try:
            status = await self._serve()
        except LabboxError as error:
            self._say(f"error: {error.message}")
            if error.hint:
                self._say(f"hint: {error.hint}")
            status = error.exit_code
        except OSError as error:
            log.warning("cannot serve a login of %s: %s", self._door.name, error)
            self._say("error: cannot open a session: the box has no room for more now")
            status = 1
        finally:
            self._close()
            if self._hears is not None:  # nothing was started
                os.close(self._hears)
                self._hears = None
        if self._channel is not None and not self.gone.is_set():
            with suppress(OSError):
                self._channel.exit(status)

    async def _serve(self) -> int:
        wish = self._wish
        if wish is None:  # asyncssh starts no session before a request
            raise LabboxError("internal", "cannot start: nothing was asked for")
        if isinstance(wish, Refused):
            return await self._refuse(wish)
        if isinstance(wish, Nothing):
            return 0
        if isinstance(wish, Secluded):
            with self._room(FIRST_WINDOW):
                wish = await self._secluded(wish)
            if isinstance(wish, Refused):
                return await self._refuse(wish)
        if self._door.login.invited and wish != ADD_KEYS:
            if self._term is None or not isinstance(wish, Screens):
                raise LabboxError(
                    "forbidden",
                    "cannot do this with an invitation code",
                    f"log in once with “ssh {self._door.name}@…” alone, to leave a key or set a password",
                )
            with self._room(FIRST_WINDOW):
                await self._welcome()
        status = await self._start(wish)
        if isinstance(wish, Sftp) and self._door.login.scope is None:
            await self._take_keys()
        return status

    async def _refuse(self, wish: Refused) -> int:
        await self._door.audit("refused", visible_line(wish.what[:MAX_SHOWN]))
        self._say(f"error: {wish.sentence}")
        return 1

    async def _secluded(self, wish: Secluded) -> Wish:
        """The rest of the words of an `rsync -s`; what comes behind them is kept for the program."""
        words, end, rest = b"", b"", b""
        with suppress(TimeoutError):
            async with asyncio.timeout(WORDS_SECONDS):
                while not end:
                    sent = b"".join(self._early)
                    words, end, rest = sent.partition(b"\0\0")
                    if end or self._early_end or self.gone.is_set() or len(sent) > _MAX_COMMAND:
                        break
                    self._came.clear()
                    self._resume()
                    await self._came.wait()
        if not end:
            return Refused("cannot run rsync like this: its words did not come", "rsync -s")
        self._early = [rest] if rest else []
        return wish.complete(words)

    async def _take_keys(self) -> None:
        """Take over keys that an sftp session put into ~/.ssh/authorized_keys, as `ssh-copy-id -s` does.

        The file is read by a verb, as the person; here nobody looks at it, nor at what the verb says.
        """
        with suppress(LabboxError, OSError, TimeoutError):  # the sftp session was as it should be
            async with (
                asyncio.timeout(KEYS_SECONDS),
                self._door.launch(self, TAKE_KEYS, {}, pty=False) as launch,
            ):
                nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
                try:
                    process = await launch.start((nowhere, nowhere, nowhere), pty=False)
                finally:
                    os.close(nowhere)
                try:
                    await process.wait()
                finally:
                    if not process.ended:
                        await process.kill()

    async def _start(self, wish: Wish) -> int:
        async with self._door.launch(self, wish, self._variables(), pty=self._term is not None) as launch:
            with self._room(BULK_WINDOW if launch.bulk else WINDOW):
                return await self._run(launch)

    @contextmanager
    def _room(self, window: int) -> Iterator[None]:
        """For as long as it lasts the client may send so much, or less, before it is taken."""
        with self._door.room_for(window) as granted:
            if self._channel is not None and not self.gone.is_set():
                self._channel.widen(granted)
            yield

    def waits(self) -> None:
        """Others of the same person have to end first: who is at a terminal is told."""
        if self._term is not None:
            self._say("Too many of your logins are open: waiting for one of them to end…")

    async def _welcome(self) -> None:
        """The dialogue of an invited person."""
        lines = Lines(self.send)
        for data in self._early:
            lines.write(memoryview(data))
        self._early.clear()
        self._inflow = lines
        self._resume()
        try:
            await self._door.welcome(lines)
        finally:
            self._inflow = None

    async def _run(self, launch: Launch) -> int:
        descriptors = self._open(launch)
        try:
            process = self._process = await launch.start(descriptors, pty=self._master is not None)
        finally:
            for descriptor in set(descriptors):
                os.close(descriptor)
        try:
            if self._hears is None:
                self._hand_over()
            beside = [
                asyncio.ensure_future(one)
                for one in (self._watch(launch, process), launch.attend(), self._until_it_hears())
            ]
            try:
                status = await self._until_the_end(process, launch)
                if self._brought > _MUCH and not beside[0].done() and (full := launch.full()):
                    self._say(f"look whether all has come: {full}")  # it was faster than our looks
                return status
            finally:
                for one in beside:
                    one.cancel()
                await asyncio.gather(*beside, return_exceptions=True)
        finally:
            await self._end(process)
            await launch.finish()  # it may have been left by its client

    def _hand_over(self) -> None:
        """What came early goes to the process, and all that follows."""
        early, self._early = self._early, []
        for data in early:
            self.data_received(data, None)
        if self._early_end:
            self.eof_received()
        self._resume()

    async def _until_it_hears(self) -> None:
        """What came early waits until the terminal is the process's: a Ctrl+C before would reach nobody."""
        if self._hears is None:
            return
        loop, heard = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._hears, heard.set)
        try:
            await heard.wait()
        finally:
            loop.remove_reader(self._hears)
            os.close(self._hears)
            self._hears = None
        self._hand_over()

    async def _watch(self, launch: Launch, process: Process) -> None:
        """End what stores more than its person may, or than the box has room for."""
        why = await launch.until_too_much()
        self._say(f"cannot go on: {why}; delete what you no longer need")
        await process.kill()

    def _open(self, launch: Launch) -> tuple[int, ...]:
        """The descriptors for the process; our ends go to the pumps."""
        channel = self._channel
        if channel is None or self.gone.is_set():
            raise LabboxError("unavailable", "cannot start: the client has gone")
        if self._term is not None:
            self._hears, told = os.pipe2(os.O_CLOEXEC)
            try:
                self._master, slave = terminal.open_pty(self._size, self._modes, launch.uid, launch.gid)
            except OSError:
                os.close(told)
                raise
            self._outflows = [Outflow(os.dup(self._master), channel.write)]
            self._inflow = Inflow(self._master, self._pause, self._resume)
            return slave, told
        channel.set_write_buffer_limits(high=1 << 20, low=1 << 18)
        opened: list[int] = []
        try:
            for _ in range(3):
                opened += os.pipe2(os.O_CLOEXEC)
        except OSError:
            for descriptor in opened:
                os.close(descriptor)
            raise
        stdin, to_stdin, from_stdout, stdout, from_stderr, stderr = opened
        if launch.bulk:
            for descriptor in (stdin, stdout):
                with suppress(OSError):  # the user has many pipes already
                    fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _PIPE)
        self._inflow = Inflow(to_stdin, self._pause, self._resume)
        self._outflows = [Outflow(from_stdout, channel.write), Outflow(from_stderr, channel.write_error)]
        return stdin, stdout, stderr

    async def _until_the_end(self, process: Process, launch: Launch) -> int:
        """Wait for the process and all that it has written, or for the client to go."""
        gone: asyncio.Future[object] = asyncio.ensure_future(self.gone.wait())
        ended: asyncio.Future[int] = asyncio.ensure_future(process.wait())
        try:
            await asyncio.wait(
                {gone, cast("asyncio.Future[object]", ended)}, return_when=asyncio.FIRST_COMPLETED
            )
            while not gone.done() and (left := [out.finished for out in self._outflows if not out.ended]):
                await asyncio.wait([gone, *left], return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                await (
                    launch.finish()
                )  # before the client hears of the end: what it copied is there for all then
            status = ended.result() if ended.done() else 128 + SIGHUP
            if status > 128 and self._term is not None and isinstance(self._wish, Screens):
                self.send(terminal.restored(screens=True))  # ended by a signal: they could not do it
            return status
        finally:
            gone.cancel()
            ended.cancel()

    async def _end(self, process: Process) -> None:
        """No process outlives its login."""
        self._process = None
        self._close()
        if process.ended:
            return
        with suppress(LabboxError):  # the spawner has ended, and all processes with it
            await process.signal(SIGHUP)
            try:
                async with asyncio.timeout(HANG_UP_SECONDS):
                    await process.wait()
            except TimeoutError:
                await process.kill()

    # Small things.

    def _variables(self) -> dict[str, str]:
        sent = self._sent()
        found = terminal.variables(self._term, sent)
        if sent.get("GIT_PROTOCOL") in ("version=1", "version=2"):
            found["GIT_PROTOCOL"] = sent["GIT_PROTOCOL"]
        return found

    def _sent(self) -> Mapping[str, str]:
        if self._channel is None:
            return {}
        items = self._channel.get_environment_bytes().items()
        return {key.decode("ascii", "replace"): value.decode("utf-8", "replace") for key, value in items}

    def _say(self, sentence: str) -> None:
        """A line for the person; on the error stream where there is one."""
        if self._channel is None or self.gone.is_set():
            return
        with suppress(OSError):
            if self._term is None:
                self._channel.write_stderr(f"{sentence}\n".encode())
            else:
                self._channel.write(f"{sentence}\r\n".encode())

    def send(self, data: bytes) -> None:
        """Bytes for the client; nothing where it has gone."""
        if self._channel is not None and not self.gone.is_set():
            with suppress(OSError):
                self._channel.write(data)

    def leave(self, sentence: str) -> bool:
        """The connection is about to be closed: give the person a usable terminal, and say why.

        Whether there is one. The channel is closed in order then: a client that is sent away by a disconnect
        writes nothing of what came just before.
        """
        if self._term is None or self._channel is None or self._process is None or self.gone.is_set():
            return False
        self._close()  # nothing is drawn any more
        self.send(terminal.restored(screens=isinstance(self._wish, Screens)))
        self._say(sentence)
        with suppress(OSError):
            self._channel.exit(_SENT_AWAY)
        return True

    def kill(self) -> None:
        """End its process, with all that it has started, without time to put things away."""
        if self._process is not None:
            self._door.kill_process(self._process)

    def _pause(self) -> None:
        if self._channel is not None and not self.gone.is_set():
            self._channel.pause_reading()

    def _resume(self) -> None:
        if self._channel is not None and not self.gone.is_set():
            self._channel.resume_reading()

    def _close(self) -> None:
        for outflow in self._outflows:
            outflow.close()
        if self._inflow is not None:
            self._inflow.close()
