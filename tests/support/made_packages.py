"""Packages that tests make themselves: wheels and source distributions."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

PLACEHOLDER = "/opt/placeholder_placehold_placehold_placehold_placehold_placehold_placehold_placehold"


def make_wheel(
    folder: Path,
    name: str,
    version: str = "1.0",
    files: Mapping[str, str] | None = None,
    *,
    requires: tuple[str, ...] = (),
    scripts: str = "",
) -> Path:
    """A small pure wheel with a right RECORD."""
    contents = dict(files or {f"{name}.py": f"version = {version!r}\n"})
    information = f"{name}-{version}.dist-info"
    contents[f"{information}/METADATA"] = (
        f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        + "".join(f"Requires-Dist: {each}\n" for each in requires)
    )
    contents[f"{information}/WHEEL"] = (
        "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    if scripts:
        contents[f"{information}/entry_points.txt"] = f"[console_scripts]\n{scripts}\n"
    record = io.StringIO()
    for path, text in contents.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record.write(f"{path},sha256={digest},{len(text.encode())}\n")
    record.write(f"{information}/RECORD,,\n")
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**contents, f"{information}/RECORD": record.getvalue()}.items():
            archive.writestr(path, text)
    wheel.chmod(0o644)
    return wheel


def make_source(folder: Path, name: str, backend: str, version: str = "1.0") -> Path:
    """A source distribution whose build script (a backend of its own, needing nothing) is `backend`."""
    top = f"{name}-{version}"
    files = {
        "pyproject.toml": '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        f'[project]\nname = "{name}"\nversion = "{version}"\n',
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        "backend.py": backend,
    }
    path = folder / f"{top}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for file, text in files.items():
            entry = tarfile.TarInfo(f"{top}/{file}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    path.chmod(0o644)
    return path


def add_package(
    channel: Path, name: str, version: str, files: dict[str, str], depends: tuple[str, ...] = ()
) -> None:
    """A package of text files; programs are in bin/."""
    index = {
        "name": name,
        "version": version,
        "build": "0",
        "build_number": 0,
        "depends": depends,
        "subdir": "noarch",
    }
    paths = []
    folder = channel / "noarch"
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / f"{name}-{version}-0.tar.bz2", "w:bz2") as archive:

        def add(path: str, data: bytes, mode: int = 0o644) -> None:
            entry = tarfile.TarInfo(path)
            entry.size, entry.mode = len(data), mode
            archive.addfile(entry, io.BytesIO(data))

        for path, text in files.items():
            data = text.encode()
            add(path, data, 0o755 if path.startswith("bin/") else 0o644)
            known = {"_path": path, "path_type": "hardlink", "sha256": hashlib.sha256(data).hexdigest()}
            if PLACEHOLDER in text:
                known |= {"prefix_placeholder": PLACEHOLDER, "file_mode": "text"}
            paths.append({**known, "size_in_bytes": len(data)})
        add("info/index.json", json.dumps(index).encode())
        add("info/paths.json", json.dumps({"paths": paths, "paths_version": 1}).encode())


# A PEP 517 backend that does `%(work)s` and then makes a wheel with the module %(name)s.
BACKEND = """
import base64, hashlib, os, subprocess, zipfile

def _work():
%(work)s

def prepare_metadata_for_build_wheel(folder, settings=None):
    information = "%(name)s-1.0.dist-info"
    os.makedirs(os.path.join(folder, information))
    with open(os.path.join(folder, information, "METADATA"), "w") as file:
        file.write("Metadata-Version: 2.1\\nName: %(name)s\\nVersion: 1.0\\n")
    return information

def build_wheel(folder, settings=None, metadata=None):
    found = _work()
    information = "%(name)s-1.0.dist-info"
    files = {
        "%(name)s.py": "found = " + repr(found) + "\\n",
        information + "/METADATA": "Metadata-Version: 2.1\\nName: %(name)s\\nVersion: 1.0\\n",
        information + "/WHEEL": "Wheel-Version: 1.0\\nGenerator: t\\n"
        "Root-Is-Purelib: true\\nTag: py3-none-any\\n",
    }
    record = ""
    for path, text in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        record += "%%s,sha256=%%s,%%d\\n" %% (path, digest, len(text.encode()))
    files[information + "/RECORD"] = record + information + "/RECORD,,\\n"
    wheel = "%(name)s-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, wheel), "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
    return wheel
"""


def backend(name: str, work: str = "return None") -> str:
    indented = "".join(f"    {line}\n" for line in work.splitlines())
    return BACKEND % {"name": name, "work": indented}
