# pathlib is slow over the many thousand files of an environment, so os it is:
# ruff: noqa: PTH103, PTH104, PTH102, PTH108, PTH112, PTH118, PTH120, PTH208
"""The trusted installer's hands: stages wheels, compiles bytecode, assembles environments.

Run as a program of its own (``python -I -S helper.py UID GID``, ids -1 to stay as is): gives up its ids
before anything else, reads one request as JSON from standard input, writes progress and its answer as
lines of JSON.
Needs nothing but the standard library, as it also runs with the Python of an image (``compile``).
"""

from __future__ import annotations

import compileall
import contextlib
import ctypes
import errno
import importlib.util
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
_LONGEST_METADATA = 1 << 20  # bytes
_MAX_LOCK = 8 << 20  # bytes
_MAX_HASHES = 2_000  # wheels of one version
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


def stage(request: dict[str, Any]) -> dict[str, Any]:
    """Move what each wheel put into a prefix of its own into the folder of that wheel.

    The folder has ``site`` (packages), ``bin`` and ``data`` (share, etc, include). What counts is what lies
    there, not what the wheel's RECORD says: that is the wheel's word. ``refused`` says why one is not taken;
    the others' folders are then left as they are, unfinished.
    """
    for wheel in request["wheels"]:
        if why := _stage(wheel):
            return {"refused": why, "name": wheel["name"], "version": wheel["version"]}
    return {}


def _stage(request: dict[str, Any]) -> str:
    """Move one; why it is not taken, "" where it is."""
    prefix, folder = Path(request["stage"]), Path(request["folder"])
    site = next(prefix.glob("lib/python*/site-packages"), None)
    why = (
        "it holds no packages"
        if site is None
        else _foreign(prefix, site, request["name"], request["version"])
    )
    if site is None or why:
        return why
    folder.mkdir()
    site.rename(folder / "site")
    (folder / "data").mkdir()
    for entry in list(prefix.iterdir()):
        if entry.name == "bin":
            entry.rename(folder / "bin")
        elif entry.name not in (".lock", "lib64"):
            entry.rename(folder / "data" / entry.name)
    return ""


def _foreign(prefix: Path, site: Path, name: str, version: str) -> str:
    """Why a wheel is not taken: another package's name, links, files that are the environment's."""
    owned = [
        entry.name for entry in site.iterdir() if entry.name.lower().endswith((".dist-info", ".egg-info"))
    ]
    if len(owned) != 1 or not owned[0].endswith(".dist-info"):
        return f"it describes {len(owned)} packages: {', '.join(sorted(owned))[:200]}"
    said = _described(site / owned[0] / "METADATA")
    folder_name, _, folder_version = owned[0].removesuffix(".dist-info").partition("-")
    for kind, found in (("folder", (folder_name, folder_version)), ("METADATA", said)):
        if _normal(found[0]) != _normal(name) or _plain_version(found[1]) != _plain_version(version):
            return f"its {kind} says that it is {' '.join(found)[:200]}"
    for directory, _names, files in os.walk(prefix):
        for file in (*_names, *files):
            path = os.path.join(directory, file)
            mode = os.lstat(path).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and path != f"{prefix}/lib64":
                return f"{os.path.relpath(path, prefix)[:200]} is a link or a device"
    for entry in prefix.iterdir():
        if entry.name in ("pyvenv.cfg", "labbox.json", "conda-meta"):
            return f"it holds {entry.name}, which is the environment's"
    if any(entry.name.startswith("python") for entry in (prefix / "bin").glob("*")):
        return "it holds a program called python"
    return ""


def _described(metadata: Path) -> tuple[str, str]:
    """Name and version by the first such lines of METADATA."""
    found = {"name": "", "version": ""}
    with contextlib.suppress(FileNotFoundError), metadata.open("rb") as file:
        for line in file.read(_LONGEST_METADATA).decode("utf-8", "replace").split("\n"):
            key, colon, value = line.partition(":")
            if not line.strip():
                break
            if colon and not found.get(key.lower(), "x"):
                found[key.lower()] = value.strip()
    return found["name"], found["version"]


def _plain_version(version: str) -> tuple[str, ...]:
    """A version in one of its many spellings (PEP 440): `1.0-RC1`, `1.0.0_rc1` and `v1.0c1` are the same."""
    words = re.findall(r"\d+|[a-z]+", version.lower().strip().removeprefix("v"))
    same = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc", "rev": "post", "r": "post"}
    words = [same.get(word, word) if not word.isdigit() else word.lstrip("0") or "0" for word in words]
    release = next((number for number, word in enumerate(words) if not word.isdigit()), len(words))
    numbers = words[:release]
    while len(numbers) > 1 and numbers[-1] == "0":
        numbers.pop()
    return (*numbers, *words[release:])


def compile_folders(request: dict[str, Any]) -> dict[str, Any]:
    """Compile all Python files below the folders, shared out to several processes by size.

    The bytecode is not checked against its source at import: nobody can change either, and hard links and
    restored backups keep their bytecode valid whatever their times. With ``into``, a folder for each, it is
    written there: a Python of an image is not trusted with the folders (`adopt`).
    """
    apart = request.get("into") or [None] * len(request["folders"])
    files = sorted(
        (
            (size, path, into and f"{into}/{os.path.relpath(path, folder)}")
            for folder, into in zip(request["folders"], apart, strict=True)
            for size, path in _python_files(folder)
        ),
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


def _compile(files: list[tuple[int, str, str | None]]) -> None:
    unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
    for count, (_size, path, into) in enumerate(files, start=1):
        # what does not compile (templates, tests for other versions) stays source, as with pip
        if into is None:
            compileall.compile_file(path, quiet=2, invalidation_mode=unchecked, ddir=None)
        else:
            with contextlib.suppress(Exception):
                made = importlib.util.cache_from_source(into)
                py_compile.compile(path, cfile=made, dfile=path, doraise=True, invalidation_mode=unchecked)
        if count % _REPORT_EVERY == 0 or count == len(files):
            _say({"compiled": (count - 1) % _REPORT_EVERY + 1})


def _python_files(folder: str) -> Iterator[tuple[int, str]]:
    """Plain files, where their bytecode stays beside them: conda's packages may hold links."""
    for directory, _names, names in os.walk(folder):
        if Path(directory, "__pycache__").is_symlink():
            continue
        for name in names:
            if name.endswith(".py"):
                path = f"{directory}/{name}"
                found = os.lstat(path)
                if stat.S_ISREG(found.st_mode):
                    yield found.st_size, path


def adopt(request: dict[str, Any]) -> dict[str, Any]:
    """Copy bytecode that a Python of an image made: only plain files, beside a source that is there.

    What it holds is that image's word, so the folders are that image's alone.
    """
    for folder, made in request["folders"]:
        for directory, _names, names in os.walk(made):
            inside = os.path.relpath(directory, made)
            if not directory.endswith("/__pycache__"):
                continue
            beside = os.path.normpath(os.path.join(folder, os.path.dirname(inside)))
            cache = f"{beside}/__pycache__"
            if os.path.realpath(cache) != cache or not os.path.isdir(beside):
                continue
            sources = {name: os.lstat(f"{beside}/{name}").st_size for name in os.listdir(beside)}
            for name in names:
                match = re.fullmatch(r"(.+)\.[a-z]+-?[0-9]+t?\.pyc", name)
                source = sources.get(f"{match[1]}.py") if match else None
                if source is not None:
                    with contextlib.suppress(OSError):
                        _adopt(f"{directory}/{name}", cache, name, 64 * source + (1 << 16))
    return {}


def _adopt(made: str, folder: str, name: str, limit: int) -> None:
    descriptor = os.open(made, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > limit:
            return
        os.makedirs(folder, exist_ok=True)
        with Path(f"{folder}/{name}").open("xb") as copy:
            shutil.copyfileobj(file, copy)


def assemble(request: dict[str, Any]) -> dict[str, Any]:
    """Publish new wheels, link all into one folder and give it its name in one step.

    Without `layout` the folder stands already (conda) and only gets the packages.
    """
    for source, destination in request["publish"]:
        _publish(source, destination)
    work, final = Path(request["work"]), Path(request["final"])
    library = _folder_in(work, "lib", f"python{request['version']}", "site-packages")
    scripts = _folder_in(work, "bin")
    if request["layout"]:
        _layout(work, request["executable"], request["version"], request["full_version"])
    for wheel in request["wheels"]:
        _link_tree(f"{wheel}/site", str(library))
        _link_tree(f"{wheel}/data", str(work))
        with contextlib.suppress(FileNotFoundError):
            for entry in os.scandir(f"{wheel}/bin"):
                _install_script(Path(entry.path), scripts / entry.name, final / "bin" / "python")
        os.utime(wheel)
    record = work / "labbox.json"
    record.unlink(missing_ok=True)
    with record.open("x", encoding="utf-8") as file:
        file.write(json.dumps(request["record"], indent=1) + "\n")
    _publish(str(work), str(final))
    return {}


def _folder_in(work: Path, *names: str) -> Path:
    """A folder below another, through no link: conda's packages may hold any."""
    work.mkdir(exist_ok=True)
    for name in names:
        work /= name
        with contextlib.suppress(FileExistsError):
            work.mkdir()
        _check_folder(str(work))
    return work


def _check_folder(path: str) -> None:
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)


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
            _check_folder(path)
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


def lock(request: dict[str, Any]) -> dict[str, Any]:
    """Tell of each package of a pylock.toml (PEP 751): what an index or a build wrote is read here."""
    import tomllib  # not at the top: the Pythons of images that compile may be older

    descriptor = os.open(request["path"], os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        text = file.read(_MAX_LOCK).decode("utf-8", "replace")
    try:
        packages = tomllib.loads(text).get("packages", [])
    except (ValueError, RecursionError):
        return {"packages": 0}
    told = 0
    for package in packages if isinstance(packages, list) else ():
        wheels = package.get("wheels") or []
        hashes = {str(wheel.get("hashes", {}).get("sha256", "")) for wheel in wheels}
        _say(
            {
                "package": str(package.get("name", "")),
                "version": str(package.get("version", "")),
                "wheels": len(wheels),
                "hashes": sorted(hashes - {""})[:_MAX_HASHES],
                "unhashed": "" in hashes,
            }
        )
        told += 1
    return {"packages": told}


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
    "stage": stage,
    "adopt": adopt,
    "compile": compile_folders,
    "assemble": assemble,
    "remove": remove,
    "take": take,
    "lock": lock,
}

if __name__ == "__main__":
    sys.exit(main())
