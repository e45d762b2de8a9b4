"""Packages that exist as source only: built by anybody's code, which changes nothing that others use."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labbox.errors import LabboxError

BUILDER = 69998

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


@pytest.fixture
async def building_box(open_box: Callable[..., Any], links: Path) -> Any:
    """A box that has the machine's own index too: the build needs pip."""
    environ = dict(os.environ)
    return await open_box(
        {**environ, "PIP_FIND_LINKS": f"{environ.get('PIP_FIND_LINKS', '')} {links}".strip()}
    )


def content(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink()
    }


EVIL = """
import glob, os
said = ["%d" % os.getuid()]
own = [STATE + "/" + name for name in ("wheels", "environments", "environments-cache")]
for folder in (*own, "/build/..", "/labbox", "/usr"):
    try:
        found = os.listdir(folder)
        open(os.path.join(folder, "evil"), "w").close()
        said.append("wrote " + folder)
    except OSError:
        pass
os.makedirs("/build/wheels", exist_ok=True)
os.symlink(STATE + "/environments", "/build/wheels/labother-1.0-py3-none-any.whl")
with open("/build/wheels/labgreet-1.0-py3-none-any.whl", "w") as file:
    file.write("another one's name")
os.makedirs("/build/wheels/folder-1.0-py3-none-any.whl")
return said
"""


async def test_a_build_script_changes_nothing_that_others_use(
    building_box: Any, wheel: Callable[..., Path], source: Callable[..., Path]
) -> None:
    wheel("labgreet")
    others = await building_box.prepare(("requirements", "labgreet\n"))
    before = {name: content(building_box.state / name) for name in ("wheels", "environments")}
    source("labevil", backend("labevil", f"STATE = {str(building_box.state)!r}\n{EVIL}"))
    prepared = await building_box.prepare(("requirements", "labevil\nlabgreet\n"))
    ran = await building_box.run(
        prepared, "python3", "-c", "import labevil, labgreet; print(labevil.found, labgreet.version)"
    )
    assert ran.lines == (f"['{BUILDER}'] 1.0",)
    for name, files in before.items():
        after = content(building_box.state / name)
        assert {path: digest for path, digest in after.items() if path in files} == files
        assert not [path for path in after if path.endswith("/evil")]
    assert (await building_box.prepare(("requirements", "labgreet\n"))) == others
    assert list((building_box.state / "environments-cache/built").iterdir()) == []
    assert "labevil==1.0 --hash=sha256:" in prepared.lock


async def test_a_build_that_fails_is_told_with_its_last_words(
    building_box: Any, source: Callable[..., Path]
) -> None:
    source("labbroken", backend("labbroken", "raise SystemExit('cannot find the header lab.h')"))
    with pytest.raises(LabboxError) as caught:
        await building_box.prepare(("requirements", "labbroken\n"))
    assert caught.value.code == "invalid"
    assert caught.value.message.startswith("cannot build labbroken")
    assert "cannot find the header lab.h" in caught.value.message
    assert caught.value.hint
    assert any("lab.h" in line for line in building_box.lines)
