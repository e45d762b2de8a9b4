# pathlib is slow over the many thousand files of an environment, so os it is:
# ruff: noqa: PTH103, PTH104, PTH102, PTH108, PTH112, PTH117, PTH118, PTH120, PTH208
"""The trusted installer's hands: splits wheels, compiles bytecode, assembles environments.

Run as a program of its own (``python -I -S helper.py UID GID``, ids -1 to stay as is): gives up its ids
before anything else, reads one request as JSON from standard input, writes progress and its answer as
lines of JSON.
Needs nothing but the standard library, as it also runs with the Python of an image (``compile``).
"""

from __future__ import annotations

import compileall
import contextlib
import csv
import ctypes
import json
import os
import py_compile
import re
import shutil
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_REPORT_EVERY = 50  # files
_LONGEST_SHEBANG = 120  # bytes; older kernels cut at 127


def main() -> int:
    """Drop the ids, read the request, do it, answer."""
    uid, gid = int(sys.argv[1]), int(sys.argv[2])
    if uid >= 0:
        os.setgroups([])
        os.setresgid(gid, gid, gid)
        os.setresuid(uid, uid, uid)
    os.umask(0o022)
    _die_with_parent()
    request = json.load(sys.stdin)
    try:
        answer = _ACTIONS[request["action"]](request)
    except OSError as error:
        _say({"error": error.strerror or str(error), "errno": error.errno, "path": str(error.filename or "")})
        return 1
    _say({"done": answer})
    return 0


def split(request: dict[str, Any]) -> dict[str, Any]:
    """Move each wheel's files (by its RECORD) from one prefix into a folder of its own.

    A folder has ``site`` (packages), ``bin`` and ``data`` (share, etc, include). Wheels that hold a file of
    another one too are not split but named: their files may be the other's.
    """
    stage, folders = Path(request["stage"]), request["folders"]
    site = next(stage.glob("lib/python*/site-packages"))
    owned: dict[str, list[str]] = {}
    for information in site.glob("*.dist-info"):
        name = _normal(information.name.split("-", 1)[0])
        with (information / "RECORD").open(newline="", encoding="utf-8") as record:
            owned[name] = [os.path.normpath(row[0]) for row in csv.reader(record) if row]
    seen: dict[str, str] = {}
    shared: set[str] = set()
    for name, files in owned.items():
        for file in files:
            if seen.setdefault(file, name) != name:
                shared |= {name, seen[file]}
    up = os.path.relpath(stage, site)
    for name, files in owned.items():
        if name in shared or name not in folders:
            continue
        folder = Path(folders[name])
        made: set[str] = set()
        for file in files:
            inside, target = _place(file, up)
            if inside is None:
                continue
            destination = os.path.join(folder, target)
            parent = os.path.dirname(destination)
            if parent not in made:
                os.makedirs(parent, exist_ok=True)
                made.add(parent)
            with contextlib.suppress(FileNotFoundError):  # RECORD may list what the installer left out
                os.rename(os.path.join(site, inside), destination)
    return {"shared": sorted(shared & folders.keys()), "found": sorted(owned)}


def _place(file: str, up: str) -> tuple[str | None, str]:
    """Where a file of a RECORD goes below the wheel's folder; None for one outside of the prefix."""
    if not file.startswith(".."):
        return (None, "") if os.path.isabs(file) else (file, "site/" + file)
    if not file.startswith(up + "/"):
        return None, ""
    rest = file[len(up) + 1 :]
    if rest.startswith(".."):
        return None, ""
    return file, rest if rest.startswith("bin/") else "data/" + rest


def compile_folders(request: dict[str, Any]) -> dict[str, Any]:
    """Compile all Python files below the folders, shared out to several processes by size.

    The bytecode is not checked against its source at import: nobody can change either, and hard links and
    restored backups keep their bytecode valid whatever their times.
    """
    files = sorted(
        (entry for folder in request["folders"] for entry in _python_files(folder)),
        key=lambda entry: -entry[0],
    )
    workers = max(1, min(request["workers"], len(files) // 20 + 1))
    _say({"total": len(files)})
    children = []
    for number in range(workers):
        pid = os.fork()
        if pid == 0:
            status = 1
            try:
                _die_with_parent()
                _compile(files[number::workers])
                status = 0
            finally:
                os._exit(status)
        children.append(pid)
    failed = [pid for pid in children if os.waitpid(pid, 0)[1] != 0]
    if failed:
        raise OSError(None, "bytecode could not be written")
    return {"files": len(files)}


def _compile(files: list[tuple[int, str]]) -> None:
    for count, (_size, path) in enumerate(files, start=1):
        # what does not compile (templates, tests for other versions) stays source, as with pip
        compileall.compile_file(
            path, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, ddir=None
        )
        if count % _REPORT_EVERY == 0 or count == len(files):
            _say({"compiled": (count - 1) % _REPORT_EVERY + 1})


def _python_files(folder: str) -> Iterator[tuple[int, str]]:
    for directory, _names, names in os.walk(folder):
        for name in names:
            if name.endswith(".py"):
                path = f"{directory}/{name}"
                yield os.lstat(path).st_size, path


def assemble(request: dict[str, Any]) -> dict[str, Any]:
    """Publish new wheels, link all into one folder and give it its name in one step.

    Without `layout` the folder stands already (conda) and only gets the packages.
    """
    for source, destination in request["publish"]:
        _publish(source, destination)
    work, final = Path(request["work"]), Path(request["final"])
    library = work / "lib" / f"python{request['version']}" / "site-packages"
    library.mkdir(parents=True, exist_ok=True)
    scripts = work / "bin"
    scripts.mkdir(exist_ok=True)
    if request["layout"]:
        _layout(work, request["executable"], request["version"], request["full_version"])
    for wheel in request["wheels"]:
        _link_tree(f"{wheel}/site", str(library))
        _link_tree(f"{wheel}/data", str(work))
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(f"{wheel}/bin"):
                _install_script(Path(entry.path), scripts / entry.name, final / "bin" / "python")
        os.utime(wheel)
    (work / "labbox.json").write_text(json.dumps(request["record"], indent=1) + "\n", "utf-8")
    _publish(str(work), str(final))
    return {}


def _layout(work: Path, executable: str, version: str, full_version: str) -> None:
    home = os.path.dirname(executable)
    (work / "pyvenv.cfg").write_text(
        f"home = {home}\ninclude-system-site-packages = false\nversion = {full_version}\n", "utf-8"
    )
    (work / "lib64").symlink_to("lib")
    (work / "bin/python").symlink_to(executable)
    for name in ("python3", f"python{version}"):
        (work / "bin" / name).symlink_to("python")


def _link_tree(source: str, target: str) -> None:
    try:
        entries = list(os.scandir(source))
    except FileNotFoundError:
        return
    for entry in entries:
        path = f"{target}/{entry.name}"
        if entry.is_dir(follow_symlinks=False):
            with contextlib.suppress(FileExistsError):
                os.mkdir(path)
            _link_tree(entry.path, path)
        else:
            _link(entry.path, path)


def _link(source: str, path: str) -> None:
    try:
        os.link(source, path, follow_symlinks=False)
    except FileExistsError:  # two wheels bring the file: the later one wins, as with pip
        os.unlink(path)
        os.link(source, path, follow_symlinks=False)
    except OSError:  # the file has as many links as the filesystem allows
        shutil.copy2(source, path, follow_symlinks=False)


def _install_script(source: Path, target: Path, python: Path) -> None:
    """A console script starts the environment's own Python, whose path is known only now."""
    content = source.read_bytes()
    first, _, rest = content.partition(b"\n")
    if not first.startswith(b"#!") or b"python" not in content[:400]:
        _link(str(source), str(target))
        return
    if first == b"#!/bin/sh" and rest.startswith(
        b"'''exec'"
    ):  # the long form, for paths the kernel would cut
        rest = rest.split(b"\n", 2)[2]
    path = os.fsencode(python)
    short = b"#!" + path + b"\n"
    if len(short) > _LONGEST_SHEBANG:
        short = b"#!/bin/sh\n'''exec' " + path + b" \"$0\" \"$@\"\n' '''\n"
    target.unlink(missing_ok=True)
    target.write_bytes(short + rest)
    target.chmod(0o755)


def _publish(work: str, final: str) -> None:
    """Give a finished folder its name; where another build was first, its folder is as good."""
    try:
        os.rename(work, final)
    except OSError:
        if not os.path.isdir(final):
            raise
        shutil.rmtree(work, ignore_errors=True)


def remove(request: dict[str, Any]) -> dict[str, Any]:
    """Remove folders, each first renamed so that nothing half-removed keeps its name."""
    for number, path in enumerate(request["folders"]):
        garbage = path if ".tmp-" in path else f"{path}.tmp-garbage-{os.getpid()}-{number}"
        with contextlib.suppress(FileNotFoundError):
            if garbage != path:
                os.rename(path, garbage)
            shutil.rmtree(garbage, ignore_errors=True)
    return {}


def take(request: dict[str, Any]) -> dict[str, Any]:
    """Copy wheels that an untrusted build left, only plain files with proper names, into our own folder."""
    source, target, wanted = Path(request["source"]), Path(request["target"]), set(request["names"])
    target.mkdir(parents=True, exist_ok=True)
    taken = []
    folder = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for name in sorted(os.listdir(folder)):
            match = re.fullmatch(
                r"([A-Za-z0-9_.]+)-[A-Za-z0-9_.!+]+(-\d[A-Za-z0-9_.]*)?(-[A-Za-z0-9_.]+){3}\.whl", name
            )
            if match is None or _normal(match[1]) not in wanted:
                continue
            descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
            with os.fdopen(descriptor, "rb") as wheel:
                if stat.S_ISREG(os.fstat(wheel.fileno()).st_mode):
                    with (target / name).open("wb") as copy:
                        shutil.copyfileobj(wheel, copy)
                    taken.append(_normal(match[1]))
    finally:
        os.close(folder)
    return {"taken": taken}


def _die_with_parent() -> None:
    """Nothing goes on writing when the daemon was killed: the next one clears away what was unfinished."""
    with contextlib.suppress(OSError, AttributeError):  # a C library without prctl: nothing is lost but this
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _say(message: dict[str, Any]) -> None:
    """One line, whole: several processes write to the same pipe, and short writes to a pipe are not mixed."""
    os.write(1, json.dumps(message).encode() + b"\n")


_ACTIONS = {
    "split": split,
    "compile": compile_folders,
    "assemble": assemble,
    "remove": remove,
    "take": take,
}

if __name__ == "__main__":
    sys.exit(main())
