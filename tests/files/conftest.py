from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from labbox.errors import LabboxError
from labbox.files import snapshot, work, worker
from labbox.files.entries import TemplateView
from labbox.files.following import Meter
from labbox.files.ignoring import ignoring
from labbox.files.known import Known
from labbox.files.listing import walk
from labbox.files.project import Defaults
from labbox.files.tree import Half, Tree
from labbox.model import JobSpec, Progress, Resources
from labbox.protocol import Finding, Inspection

pytest.register_assert_rewrite("conformance")  # before any test below imports it

TEMPLATES = (
    TemplateView(name="python", title="Python", entries=("app.py", "main.py"), command=("python", "{entry}")),
    TemplateView(
        name="matlab",
        title="MATLAB",
        entries=("app.m",),
        command=("matlab", "-batch", "run('{entry}')"),
        fallback="octave",
        unavailable="MATLAB needs an image and a licence",
    ),
    TemplateView(name="octave", title="Octave", entries=("app.m",), command=("octave", "{entry}")),
    TemplateView(name="r", title="R", entries=("app.R",), command=("Rscript", "{entry}")),
    TemplateView(name="shell", title="a shell script", entries=("run.sh",), command=("bash", "{entry}")),
    TemplateView(
        name="julia",
        title="Julia",
        entries=("app.jl",),
        command=("julia", "{entry}"),
        unavailable="Debian has no Julia",
    ),
)


class Lab:
    """A home, a folder for snapshots, and a worker in a thread, asked over its socket as the daemon does."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.snapshots = folder / "snapshots"
        self.home.mkdir()
        self.snapshots.mkdir()
        self.descriptor = os.open(self.snapshots, os.O_RDONLY)
        self.sock, theirs = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, args=(theirs,))
        self._thread.start()
        self.progress: list[Progress] = []
        self._asked = 0

    @staticmethod
    def _serve(sock: socket.socket) -> None:
        with sock:
            worker.serve(sock)

    def close(self) -> None:
        self.sock.close()
        self._thread.join(20)
        assert not self._thread.is_alive()
        os.close(self.descriptor)

    def project(self, files: dict[str, bytes | str], name: str = "study") -> Path:
        folder = self.home / name
        folder.mkdir(exist_ok=True)
        for path, content in files.items():
            target = folder / path
            if path.endswith("/"):
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        return folder

    def ask(self, request: work.Request, *descriptors: int) -> work.Result:
        self._asked += 1
        message = work.frame(work.Ask(id=self._asked, home=str(self.home), request=request))
        socket.send_fds(self.sock, [message[:4]], list(descriptors))
        self.sock.sendall(message[4:])
        self.sock.settimeout(60)
        while True:
            received = work.receive(self.sock)
            assert received is not None
            answer = work.decode_from_worker(received[0])
            assert answer.id == self._asked
            if isinstance(answer, work.Report):
                self.progress.append(answer.progress)
            elif isinstance(answer, work.Failed):
                raise LabboxError(answer.code, answer.message, answer.hint)
            else:
                assert isinstance(answer, work.Done)
                return answer.result

    def look(self, path: str = "study", spec: JobSpec | None = None) -> work.Inspect:
        defaults = Defaults(resources=Resources(cpus=1, memory=1 << 30), time_limit=3600)
        return work.Inspect(
            path=path, spec=spec or JobSpec(path=path), templates=TEMPLATES, defaults=defaults
        )

    def inspect(self, path: str = "study", spec: JobSpec | None = None) -> Inspection:
        found = self.ask(self.look(path, spec))
        assert isinstance(found, work.Looked)
        assert (found.plan is None) == any(finding.level == "error" for finding in found.inspection.findings)
        return found.inspection

    def plan(self, path: str = "study", spec: JobSpec | None = None) -> work.Looked:
        found = self.ask(self.look(path, spec))
        assert isinstance(found, work.Looked)
        return found

    def errors(self, path: str = "study", spec: JobSpec | None = None) -> list[Finding]:
        return [finding for finding in self.inspect(path, spec).findings if finding.level == "error"]

    def warnings(self, path: str = "study") -> list[Finding]:
        return [finding for finding in self.inspect(path).findings if finding.level == "warning"]

    def hand_in(self, path: str = "study", room: int | None = None) -> work.HandedIn:
        found = self.ask(work.HandIn(look=self.look(path), room=room), self.descriptor)
        assert isinstance(found, work.HandedIn)
        return found

    def code(self, handed: work.HandedIn) -> Path:
        assert handed.code is not None, handed.inspection.findings
        return self.snapshots / handed.code.name

    def input(self, handed: work.HandedIn) -> Path:
        assert handed.input is not None, handed.inspection.findings
        return self.snapshots / handed.input.name


def take(
    source: Path, snapshots: Path, known: Known | None = None, during: Callable[[], None] | None = None
) -> Tree:
    """Snapshot a folder without a worker; `during` is called between the walk and the copy."""
    with ExitStack() as stack:
        top = os.open(source, os.O_RDONLY)
        stack.callback(os.close, top)
        store = os.open(snapshots, os.O_RDONLY)
        stack.callback(os.close, store)
        listing = walk(top, ignoring())
        if during is not None:
            during()
        half = Half(descriptor=top, listing=listing, again=lambda: walk(top, ignoring()))
        opened = stack.enter_context(snapshot.opened(store, Meter()))
        return opened.take(half, {} if known is None else known, Meter())


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="session")
def snapshot_of() -> Callable[..., Tree]:
    return take
