"""The files of a git commit, written into a folder without git's filters, hooks or attributes.

git is asked for trees and raw blobs alone (`ls-tree`, `cat-file`), since `git archive` and `git checkout` run
what the repository's own files and settings name. The path to the repository leads through folders that the
person may not enter, so git gets an empty repository of its own (`_frame`), and the open one as its objects.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from labbox.errors import LabboxError
from labbox.files.copying import write_all
from labbox.files.following import Meter
from labbox.files.listing import FOLDER_FLAGS, MAX_DEPTH, MAX_ENTRIES, MAX_PATH
from labbox.model import Value
from labbox.text import visible_line

_REVISION: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_BLOCK: Final = 1 << 20
_SECONDS: Final = 30.0  # for git to end once its output is read
_GIT: Final = ("git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false")
_ENVIRONMENT: Final = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LC_ALL": "C.UTF-8",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_OPTIONAL_LOCKS": "0",
    "HOME": "/nonexistent",
}


class Blob(Value):
    """A file of a commit: `mode` as git writes it (100644, 100755, 120000 for a link)."""

    mode: str
    id: str
    path: str


class _Repository(Value):
    """An open bare repository, and the frame through which git sees its objects."""

    frame: str
    descriptor: int


class Written(Value):
    """What was written; `skipped` paths (submodules) are empty folders, as in any clone."""

    files: int
    size: int
    skipped: tuple[str, ...]


def export(repository: int, commit: str, target: int, meter: Meter) -> Written:
    """Write the files of `commit` of the open bare repository into the open empty folder `target`."""
    if not _REVISION.fullmatch(commit):
        raise LabboxError(
            "invalid", f"cannot read the commit “{visible_line(commit)[:80]}”", "give its full hexadecimal id"
        )
    meter.begin("reading the commit", unit="files")
    with tempfile.TemporaryDirectory(prefix="labbox-commit-") as frame:
        _frame(Path(frame))
        return _export(_Repository(frame=frame, descriptor=repository), commit, target, meter)


def _frame(folder: Path) -> None:
    """The least that git takes for a repository: a head, and places for refs and objects."""
    for name in ("refs", "objects"):
        (folder / name).mkdir()
    (folder / "HEAD").write_text("ref: refs/heads/main\n", encoding="ascii")


def _export(repository: _Repository, commit: str, target: int, meter: Meter) -> Written:
    blobs, skipped = _list(repository, commit)
    size = 0
    for path in skipped:
        os.close(_descend(target, path.split("/")))
    with _run(repository, "cat-file", "--batch", stdin=True) as git:
        assert git.stdin is not None  # noqa: S101 - for the type checker: Popen was given a pipe
        assert git.stdout is not None  # noqa: S101 - for the type checker: Popen was given a pipe
        for blob in blobs:
            git.stdin.write(f"{blob.id}\n".encode())
            git.stdin.flush()
            size += _write(git.stdout, blob, target, meter)
            meter.moved(1)
        git.stdin.close()
        _expect_end(git, commit)
    return Written(files=len(blobs), size=size, skipped=tuple(visible_line(path) for path in skipped))


def _run(repository: _Repository, *words: str, stdin: bool = False) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(  # noqa: S603 - fixed words and a checked commit id
            [*_GIT, f"--git-dir={repository.frame}", *words],
            cwd="/",
            env={
                **_ENVIRONMENT,
                "GIT_OBJECT_DIRECTORY": f"/proc/self/fd/{repository.descriptor}/objects",
            },
            pass_fds=(repository.descriptor,),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except OSError as error:
        raise LabboxError(
            "unavailable", f"cannot run git: {os.strerror(error.errno or 0)}", "tell an administrator"
        ) from error


def _list(repository: _Repository, commit: str) -> tuple[list[Blob], list[str]]:
    blobs: list[Blob] = []
    skipped: list[str] = []
    with _run(repository, "ls-tree", "-r", "-z", "--full-tree", commit) as git:
        assert git.stdout is not None  # noqa: S101 - for the type checker: Popen was given a pipe
        for line in _records(git.stdout):
            about, _, raw = line.partition(b"\t")
            mode, kind, identity = about.decode("ascii").split(" ")
            path = os.fsdecode(raw)
            _check(path)
            if kind == "blob":
                blobs.append(Blob(mode=mode, id=identity, path=path))
            else:
                skipped.append(path)
            if len(blobs) + len(skipped) > MAX_ENTRIES:
                git.kill()
                raise LabboxError(
                    "limit", f"cannot take a commit of more than {MAX_ENTRIES:,} files", "make it smaller"
                )
        _expect_end(git, commit)
    return blobs, skipped


def _records(output: IO[bytes]) -> Iterator[bytes]:
    """Pieces that end with NUL."""
    rest = b""
    while block := output.read(_BLOCK):
        *whole, rest = (rest + block).split(b"\0")
        yield from whole


def _check(path: str) -> None:
    parts = path.split("/")
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in parts) or "\0" in path:
        raise LabboxError(
            "invalid",
            f"cannot take the commit: it holds the path “{visible_line(path)[:120]}”",
            "rename that file",
        )
    if len(parts) > MAX_DEPTH or len(os.fsencode(path)) > MAX_PATH:
        raise LabboxError(
            "invalid", "cannot take the commit: it holds a path that is too long", "use shorter names"
        )


def _write(output: IO[bytes], blob: Blob, target: int, meter: Meter) -> int:
    header = output.readline().split()
    if len(header) != 3 or header[1] != b"blob":
        raise LabboxError(
            "invalid", f"cannot take the commit: “{visible_line(blob.path)}” is missing in it", "push again"
        )
    size = int(header[2])
    *folders, name = blob.path.split("/")
    folder = _descend(target, folders)
    try:
        if blob.mode == "120000":
            os.symlink(os.fsdecode(_exactly(output, min(size, MAX_PATH))), name, dir_fd=folder)
        else:
            _write_file(output, size, blob.mode == "100755", name, folder, meter)
    finally:
        os.close(folder)
    output.read(1)  # the newline behind each blob
    return size


def _write_file(output: IO[bytes], size: int, executable: bool, name: str, folder: int, meter: Meter) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o755 if executable else 0o644, dir_fd=folder)
    try:
        while size > 0:
            block = _exactly(output, min(size, _BLOCK))
            write_all(descriptor, block)
            size -= len(block)
            meter.tick()
    finally:
        os.close(descriptor)


def _exactly(output: IO[bytes], count: int) -> bytes:
    data = output.read(count)
    if len(data) != count:
        raise LabboxError("unavailable", "cannot take the commit: git ended early", "push again")
    return data


def _descend(target: int, folders: list[str]) -> int:
    present = os.dup(target)
    for name in folders:
        with suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=present)
        try:
            below = os.open(name, FOLDER_FLAGS, dir_fd=present)
        except OSError as error:
            raise LabboxError(
                "invalid",
                f"cannot take the commit: “{visible_line(name)}” is file and folder",
                "rename one of them",
            ) from error
        finally:
            os.close(present)
        present = below
    return present


def _expect_end(git: subprocess.Popen[bytes], commit: str) -> None:
    try:
        code = git.wait(_SECONDS)
    except subprocess.TimeoutExpired as error:
        git.kill()
        raise LabboxError("unavailable", "cannot take the commit: git does not end", "push again") from error
    if code != 0:
        raise LabboxError("not_found", f"cannot find the commit {commit[:12]}", "push it again")
