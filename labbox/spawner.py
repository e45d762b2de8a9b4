"""The zygote: forks one confined process per request of the daemon, with our own code imported already.

It is forked from the daemon before that has threads or an event loop, imports the screens and the command
line once, freezes the garbage collector, and then only forks. As root every process stands in a pid namespace
of its own, whose first process (`_stand_first`) is root's, takes no signal and does nothing: the spawner ends
it when the program has ended, and the kernel ends whatever else was started: a login leaves nothing running.
Without root there are no namespaces, and a process group is ended instead.

What a child does is in `Spawner._child` and `_become`, in that order; nothing of the user's runs before
`_become` has returned.

Under systemd it is a unit of its own (``python -m labbox.spawner SOCKET``, see `listen`), so that the daemon
can be without the rights that only this one needs; what else needs them is done here too (`labbox.chores`).
"""

from __future__ import annotations

import fcntl
import gc
import glob
import io
import os
import select
import shutil
import signal
import socket
import sys
import tempfile
import termios
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final, NoReturn

from labbox import spawning
from labbox.confine import (
    CLONE_NEWPID,
    ControlGroups,
    drop_root,
    end_with_parent,
    enter_namespace,
    expect_to_be_ended_first,
    mounts_of_its_own,
    prepare,
    private_mounts,
    refuse_calls,
    set_limits,
    unshare,
)
from labbox.errors import LabboxError
from labbox.readiness import notify_systemd
from labbox.spawning import ChoreRequest, Ended, SignalRequest, SpawnRequest, Started

Runner = Callable[[SpawnRequest], int]

_FORWARDED: Final = (
    signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2,
    signal.SIGCONT, signal.SIGTSTP, signal.SIGWINCH,
)  # fmt: skip
# What a first process becomes: 0.1 MB, where a copy of the spawner keeps 1.7 MB of pages for itself.
_WAITER: Final = ("/bin/sleep", "infinity")
_HIGH: Final = 512  # descriptors are moved above this while 0, 1, 2, 3… are filled
_COMMAND_NICE: Final = 5


def _run_tui(_request: SpawnRequest) -> int:
    client, app = import_module("labbox.client"), import_module("labbox.tui.app")
    return int(app.main(client.connect()) or 0)


def _run_command(request: SpawnRequest) -> int:
    return int(import_module("labbox.cli").main(list(request.argv)) or 0)


def _run_worker(_request: SpawnRequest) -> int:
    with socket.socket(fileno=3) as sock:
        import_module("labbox.files.worker").serve(sock)
    return 0


def _run_program(request: SpawnRequest) -> NoReturn:
    program, *words = request.argv
    if request.wildcards:  # only now, as the user, in the user's home
        words = [name for word in words for name in _named_by(word)]
    os.execve(program, [program, *words], dict(os.environ))  # noqa: S606 - this is what it is for


def _named_by(word: str) -> list[str]:
    """The files that a word with wildcards names; the word itself where there is none, as a shell has it."""
    return sorted(glob.glob(word)) or [word] if glob.has_magic(word) else [word]  # noqa: PTH207 - of words, not paths


RUNNERS: Final[Mapping[str, Runner]] = {
    "tui": _run_tui,
    "command": _run_command,
    "worker": _run_worker,
    "exec": _run_program,
}
# The interface last: what it has just touched lies together, and in Python's caches, when a session wakes it.
PRELOADS: Final = ("labbox.client", "labbox.cli:preload", "labbox.files.worker", "labbox.tui.app:preload")


def start(runners: Mapping[str, Runner] = RUNNERS, preloads: Sequence[str] = PRELOADS) -> socket.socket:
    """Fork the spawner and return the daemon's end of its socket; call it before threads and event loop.

    `runners` says what each kind of request runs; `preloads` names modules, or functions as
    `module:function`.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    if os.fork() == 0:
        code = 1
        try:
            ours.close()
            serve(theirs, runners, preloads)
            code = 0
        finally:
            os._exit(code)
    theirs.close()
    return ours


def serve(sock: socket.socket, runners: Mapping[str, Runner], preloads: Sequence[str]) -> None:
    """Be the spawner until the other end of the socket closes; then end everything that still runs."""
    with suppress(PermissionError):  # a leader already
        os.setsid()  # the keys of the terminal that the daemon was started from are not for us
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the daemon says when to end
    _prepare(preloads)
    Spawner(sock, runners).run()


def listen(path: Path, runners: Mapping[str, Runner] = RUNNERS, preloads: Sequence[str] = PRELOADS) -> None:
    """Be the spawner of the one daemon that connects to `path`, until it goes or SIGTERM comes.

    Only a process of the same user is let in. A daemon that comes later finds a new spawner: nothing is left
    over from one to the next.
    """
    _prepare(preloads)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        path.unlink(missing_ok=True)
        mask = os.umask(0o077)
        listener.bind(str(path))
        os.umask(mask)
        listener.listen(1)
        notify_systemd("READY=1")
        while True:
            daemon, _ = listener.accept()
            if spawning.peer_uid(daemon) == os.geteuid():
                break
            daemon.close()
        path.unlink(missing_ok=True)
    spawner = Spawner(daemon, runners)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: spawner.end())
    spawner.run()


def _prepare(preloads: Sequence[str]) -> None:
    """Import what the children will need, and have what is there stay as it is."""
    _trust_only_our_folders()
    prepare()
    for name in preloads:
        module, _, function = name.partition(":")
        loaded = import_module(module)
        if function:
            getattr(loaded, function)()
    gc.collect()
    gc.disable()
    gc.freeze()


def _trust_only_our_folders() -> None:
    """What a child imports late must not come from a folder that a user can write."""
    if os.geteuid() == 0:
        found = [(entry, Path(entry)) for entry in sys.path if entry.startswith("/")]
        sys.path[:] = [entry for entry, path in found if not path.exists() or _only_root_writes(path)]
    else:
        sys.path[:] = [entry for entry in sys.path if entry.startswith("/")]


def _only_root_writes(path: Path) -> bool:
    status = path.stat()
    return status.st_uid == 0 and not status.st_mode & 0o022


@dataclass
class _Forked:
    """A program, as root with the first process of its namespace; `code` once the program has ended."""

    id: int
    pid: int
    first: int | None
    code: int | None = None

    def kill(self) -> None:
        """End it with all that it has started; neither pid is another's before `Spawner` has collected it."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL) if self.first is None else os.kill(self.first, signal.SIGKILL)


class Spawner:
    """The loop: requests come in, processes are forked, their ends are told."""

    def __init__(self, sock: socket.socket, runners: Mapping[str, Runner]) -> None:
        """Take the socket; as root, make the control groups too."""
        self._sock = sock
        self._runners = runners
        self._root = os.geteuid() == 0
        self._groups = ControlGroups() if self._root else None
        self._workshop = Path(tempfile.mkdtemp(prefix="labbox-", dir=_in_memory()))
        self._running: dict[int, _Forked] = {}  # by the pids of both, until each is collected
        self._going = True
        self._own = os.pidfd_open(os.getpid())  # readable by children once this process has died

    def run(self) -> None:
        """Serve until the daemon has gone."""
        os.environ.clear()  # nobody is to have it, and no child to empty it for itself
        wake, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        poll.register(wake, select.POLLIN)
        try:
            while self._going:
                ready = [descriptor for descriptor, _event in poll.poll()]
                if wake in ready:
                    with suppress(BlockingIOError):
                        os.read(wake, 4096)
                    self._reap()
                if self._sock.fileno() in ready:
                    self._going = self._serve_one() and self._going
        except (BrokenPipeError, ConnectionResetError):
            pass  # the daemon has gone in the middle of an answer
        finally:
            self._end_all()

    def end(self) -> None:
        """Have `run` end everything and return; for the handler of a signal, which wakes it."""
        self._going = False

    def _serve_one(self) -> bool:
        request, descriptors = spawning.receive(self._sock)
        match request:
            case SpawnRequest() | ChoreRequest():
                self._spawn(request, descriptors)
            case SignalRequest():
                self._signal(request)
            case _:
                return False
        return True

    def _spawn(self, request: SpawnRequest | ChoreRequest, descriptors: list[int]) -> None:
        try:
            if len(descriptors) != request.descriptors:
                raise OSError("cannot start a process: too many open files")
            if self._groups and isinstance(request, SpawnRequest):
                self._groups.make(request)
            forked = self._fork(request, descriptors)
        except OSError as error:
            if self._groups:
                self._groups.remove(request.id)
            spawning.send(self._sock, Ended(id=request.id, code=1, error=str(error)))
        else:
            self._running[forked.pid] = forked
            if forked.first is not None:
                self._running[forked.first] = forked
            spawning.send(self._sock, Started(id=request.id, pid=forked.pid, first=forked.first))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    def _fork(self, request: SpawnRequest | ChoreRequest, descriptors: list[int]) -> _Forked:
        if not self._root:
            return _Forked(request.id, os.fork() or self._child(request, descriptors), None)
        own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        try:
            unshare(CLONE_NEWPID)  # for the children forked from here on …
            try:
                first = os.fork() or self._stand_first()
                try:
                    pid = os.fork() or self._child(request, descriptors)
                except OSError:
                    os.kill(first, signal.SIGKILL)
                    os.waitpid(first, 0)
                    raise
            finally:
                enter_namespace(own, CLONE_NEWPID)  # … and no longer: else no other can be made
        finally:
            os.close(own)
        return _Forked(request.id, pid, first)

    def _stand_first(self) -> NoReturn:
        """Be pid 1 of the namespace until the spawner ends it, or ends; the kernel collects orphans."""
        try:
            signal.set_wakeup_fd(-1)
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
            self._follow_or_end()
            os.closerange(
                0, os.sysconf("SC_OPEN_MAX")
            )  # the other side sees the end when the program closes its own
            with suppress(OSError):  # without it, this does as well
                os.execve(_WAITER[0], _WAITER, {})  # noqa: S606 - nothing of anybody's is in its words
            while True:
                signal.pause()
        finally:
            os._exit(1)

    def _follow_or_end(self) -> None:
        end_with_parent(signal.SIGKILL)
        if select.select([self._own], [], [], 0)[0]:
            os._exit(1)  # it died before it could be followed

    def _child(self, request: SpawnRequest | ChoreRequest, descriptors: list[int]) -> NoReturn:
        """Everything after the fork; returns never, raises never."""
        signal.set_wakeup_fd(-1)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, *_FORWARDED})
        code = 1
        try:
            self._follow_or_end()
            _place(descriptors, terminal=isinstance(request, SpawnRequest) and request.pty)
            code = self._chore(request) if isinstance(request, ChoreRequest) else self._serve_person(request)
        except (OSError, ValueError, TypeError) as error:
            os.write(2, f"error: cannot start the session: {error}\n".encode(errors="replace"))
        except KeyboardInterrupt:  # one that came as the work was over
            code = 128 + signal.SIGINT
        finally:
            os._exit(code & 0xFF)

    def _serve_person(self, request: SpawnRequest) -> int:
        if self._groups:
            self._groups.join(request)
            expect_to_be_ended_first()
            private_mounts(request, self._workshop)
        _become(request, self._groups.controllers if self._groups else frozenset())
        return _run(self._runners[request.kind], request)

    def _chore(self, request: ChoreRequest) -> int:
        """Do a chore of the daemon's with the rights that are here; nothing in it is a person's."""
        os.setsid()
        if self._root:
            mounts_of_its_own()
        os.umask(0o022)
        os.chdir("/")
        os.environ.clear()
        os.environ.update(request.env)
        _forget_signals()
        return int(import_module("labbox.chores").CHORES[request.name](request.words))

    def _signal(self, request: SignalRequest) -> None:
        for pid, forked in self._running.items():
            if forked.id == request.id and pid == forked.pid:
                if request.signal == signal.SIGKILL:
                    forked.kill()
                else:
                    with suppress(ProcessLookupError):
                        os.kill(pid, request.signal)

    def _reap(self) -> None:
        while self._running:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            forked = self._running.pop(pid)
            if pid == forked.pid:
                forked.code = _shell_code(status)
                forked.kill()  # what it has left: in its namespace, or in its process group
                if forked.first is not None:
                    continue  # that ends when all in it have
            if self._groups:
                self._groups.remove(forked.id)
            spawning.send(self._sock, Ended(id=forked.id, code=forked.code or 0))

    def _end_all(self) -> None:
        for forked in self._running.values():
            forked.kill()
        for pid in sorted(self._running, key=lambda pid: pid == self._running[pid].first):
            os.waitpid(pid, 0)  # the first process of a namespace ends after all that are to be collected
        if self._groups:
            self._groups.close()
        shutil.rmtree(self._workshop, ignore_errors=True)


def _in_memory() -> str | None:
    """A folder that a full disk does not reach; None, for the usual one, where there is none to be had."""
    folder = "/dev/shm"  # noqa: S108 - what is made there has a name of its own and root alone gets into it
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def _shell_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _place(descriptors: list[int], *, terminal: bool) -> None:
    """Put the descriptors where they belong and close all others."""
    wanted = [descriptors[0]] * 3 + descriptors[1:] if terminal else list(descriptors)
    while len(wanted) < 3:
        wanted.append(os.open(os.devnull, os.O_RDWR))
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, _HIGH) for descriptor in wanted]
    for number, descriptor in enumerate(high):
        os.dup2(descriptor, number)
    os.closerange(len(wanted), os.sysconf("SC_OPEN_MAX"))


def _become(request: SpawnRequest, controllers: frozenset[str]) -> None:
    """Session, terminal, limits, ids, folder, environment, signals: what makes the process the user's."""
    os.setsid()
    if request.kind in ("command", "exec"):
        _give_way()
    if request.pty:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        os.closerange(3, _HIGH)  # who holds the other ends knows: from now on its keys reach us
    set_limits(
        memory=None if "memory" in controllers else request.memory,
        processes=None if "pids" in controllers else request.processes,
        file_bytes=request.file_bytes,
    )
    os.umask(0o027)
    if os.geteuid() == 0:
        drop_root(request)
        refuse_calls()
    os.chdir(request.cwd or request.home)
    os.environ.clear()
    os.environ.update({"HOME": request.home, "USER": request.name, "LOGNAME": request.name, **request.env})
    _forget_signals()
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file that grows too large is an error, not an end
    if request.kind != "exec":  # as Python itself starts; an interrupt ends it until its work is begun
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        gc.enable()


def _give_way() -> None:
    """Let the screens that people type in go first: a class that sends commands must not be felt in them.

    Where sessions are scheduled as groups (sched(7), autogroup), the session has a priority of its own.
    """
    os.nice(_COMMAND_NICE)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_COMMAND_NICE))


def _forget_signals() -> None:
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _run(runner: Runner, request: SpawnRequest) -> int:
    """Run and give the exit code; whatever goes wrong becomes a sentence."""
    if request.kind != "exec":
        _renew_standard_streams()
    code: object
    try:
        if request.kind != "exec":
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = runner(request)
    except SystemExit as stop:
        code = stop.code
    except KeyboardInterrupt:
        code = 128 + signal.SIGINT
    except LabboxError as error:
        code = error.exit_code
        sys.stderr.write(f"error: {error.message}\n" + (f"hint: {error.hint}\n" if error.hint else ""))
    except Exception as error:  # noqa: BLE001 - the boundary: a person gets a sentence, never a traceback
        code = 1
        sys.stderr.write(f"error: cannot go on: {type(error).__name__}: {error}\n")
    with suppress(OSError, ValueError):
        sys.stdout.flush()
    with suppress(OSError, ValueError):
        sys.stderr.flush()
    return code if isinstance(code, int) else 0 if code is None else 1


def _renew_standard_streams() -> None:
    """Python's own are made for the spawner's descriptors: unbuffered or not, terminal or not."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        stream = _text(descriptor, "w" if descriptor else "r")
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def _text(descriptor: int, mode: str) -> io.TextIOWrapper:
    raw = open(descriptor, mode + "b", closefd=False)
    errors = "backslashreplace" if descriptor == 2 else "surrogateescape"
    line_buffering = descriptor == 2 or os.isatty(descriptor)
    return io.TextIOWrapper(raw, encoding="utf-8", errors=errors, line_buffering=line_buffering)


if __name__ == "__main__":
    listen(Path(sys.argv[1]))
