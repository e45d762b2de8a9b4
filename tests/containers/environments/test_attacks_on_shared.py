"""What one person's image or wheel may leave in what others use: nothing."""

from __future__ import annotations

import json
import stat
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from made_packages import make_wheel

from labbox.daemon.containers.environments.target import decode_target
from labbox.daemon.containers.images import build_image, context_of
from labbox.errors import LabboxError

_USUAL = {
    "version": "3.12.1",
    "executable": "/usr/local/bin/python3",
    "machine": "x86_64",
    "libc": "glibc",
    "libc_version": "2.36",
    "magic": "cb0d0d0a",
}
# Says that it is the usual Python of many images; asked to compile, it writes wherever it can.
_LIAR = """\
#!/bin/sh
case "$*" in
*importlib.util*) echo '{claims}'; exit 0 ;;
esac
find /var/tmp /labbox -name '*.py' 2>/dev/null | while read -r file; do
    echo 'owned = True' >>"$file"
    echo 'owned = True' >"$(dirname "$file")/labowned.py"
    ln -f "$file" /labbox/made/linked
    chmod 777 "$file"
done
made=/labbox/made/0/site/__pycache__
mkdir -p "$made" /labbox/made/0/other/__pycache__
echo {mark} >"$made/labgreet.cpython-312.pyc"
ln -s /etc/passwd "$made/labgreet.cpython-313.pyc"
mkfifo "$made/labgreet.cpython-314.pyc"
echo {mark} >"$made/labowned.cpython-312.pyc"
echo {mark} >"$made/labgreet.py"
echo {mark} >/labbox/made/0/other/__pycache__/labgreet.cpython-312.pyc
ln -s / /labbox/made/0/up
exit 0
"""


async def image_with(box: Any, mark: str, claims: Mapping[str, str]) -> str:
    """An image whose python3 is a script; its name."""
    name = f"labbox-test/liar-{box.name}-{mark}:1"
    base = await box.environments._images.base(box.hear)
    script = _LIAR.format(claims=json.dumps(claims), mark=mark)
    recipe = f"FROM {base}\nCOPY python3 /usr/local/bin/python3\nRUN chmod 755 /usr/local/bin/python3\n"
    context = context_of({"python3": script.encode()})
    await build_image(box.connection, recipe.encode(), name, box.hear, network="none", context=context)
    return name


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder: its mode and what it holds."""
    return {
        str(path.relative_to(folder)): (path.lstat().st_mode, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if stat.S_ISREG(path.lstat().st_mode)
    }


@pytest.mark.attack("S1")
async def test_an_image_that_claims_the_usual_python_leaves_nothing_for_others(
    box: Any, wheel: Callable[..., Path], tried: Callable[..., None]
) -> None:
    wheel("labgreet")
    asked = ("requirements", "labgreet\n")
    clean = await box.prepare(asked)
    before = contents(clean.environment)
    cache = contents(box.state / "environments-cache" / "uv")
    liar = await image_with(box, "attacker", _USUAL)
    honest = await image_with(box, "victim", _USUAL)  # what is its own is its own, whatever it does with it
    ours = await image_with(box, "same", {**_USUAL, **_own_claims()})
    try:
        tried(3)
        theirs = await box.prepare(asked, image=liar)
        victims = await box.prepare(asked, image=honest)
        own = await box.prepare(asked, image=ours)
        held = b"".join(data for _, data in contents(victims.environment).values())
        assert b"victim" in held
        assert b"attacker" not in held
        assert b"owned" not in held
        assert b"same" not in b"".join(data for _, data in contents(own.environment).values())
        # and in its own there is only bytecode of the sources that are there
        names = {Path(name).name for name in contents(theirs.environment)}
        assert "labowned.py" not in names
        assert [name for name in names if name.endswith(".pyc")] == ["labgreet.cpython-312.pyc"]
        module = next(theirs.environment.glob("lib/*/site-packages/labgreet.py"))
        assert module.read_text() == "version = '1.0'\n"
        assert stat.S_IMODE(module.stat().st_mode) == 0o644
        assert contents(clean.environment) == before
        after = contents(box.state / "environments-cache" / "uv")
        assert {name: after[name] for name in cache if name.endswith(".py")} == {
            name: held for name, held in cache.items() if name.endswith(".py")
        }
    finally:
        for name in (liar, honest, ours):
            await box.connection.call(lambda api, name=name: api.remove_image(name, force=True))


def _own_claims() -> dict[str, str]:
    import importlib.util
    import platform

    return {"version": platform.python_version(), "magic": importlib.util.MAGIC_NUMBER.hex()}


@pytest.mark.attack("S1")
@pytest.mark.parametrize(
    "claim",
    [
        {"version": "3.11/../../../wheels/x"},
        {"version": "../../x.1"},
        {"version": "3.11.2\n"},
        {"executable": "relative/python3"},
        {"executable": "/usr/bin/python3\nhome = /evil"},
        {"magic": "cb0d0d0a/../x"},
        {"magic": "none"},
        {"magic": "conda-3.12"},
        {"machine": "../x"},
        {"libc_version": "2.x"},
        {"libc": "/"},
    ],
)
def test_what_an_image_says_of_its_python_is_no_path(
    claim: dict[str, str], tried: Callable[..., None]
) -> None:
    tried()
    assert decode_target(json.dumps(_USUAL).encode()).series == "3.12"
    with pytest.raises(msgspec.ValidationError):
        decode_target(json.dumps({**_USUAL, **claim}).encode())


def _add(wheel: Path, files: Mapping[str, str], mode: int = 0o100644) -> None:
    with zipfile.ZipFile(wheel, "a") as archive:
        for name, text in files.items():
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, mode << 16
            archive.writestr(entry, text)


_OTHER = "Metadata-Version: 2.1\nName: labvictim\nVersion: 1.0\n"
_EVIL_FILES: dict[str, dict[str, str]] = {
    "second description": {"labvictim-1.0.dist-info/METADATA": _OTHER},
    "second description by .data": {
        "labevil-1.0.data/purelib/labvictim-1.0.dist-info/METADATA": _OTHER,
        "labevil-1.0.data/purelib/labvictim-1.0.dist-info/RECORD": "labvictim.py,,\n",
        "labevil-1.0.data/purelib/labvictim.py": "owned = True\n",
    },
    "by .data/data": {
        f"labevil-1.0.data/data/lib/python3.{minor}/site-packages/{name}": text
        for minor in (11, 13)  # that of the image is one of them
        for name, text in (("labvictim-1.0.dist-info/METADATA", _OTHER), ("labvictim.py", "owned = True\n"))
    },
    "other case": {"LABVICTIM-1.0.DIST-INFO/METADATA": _OTHER},
    "egg-info": {"labvictim.egg-info/PKG-INFO": _OTHER},
    "python of the environment": {"labevil-1.0.data/data/bin/python": "#!/bin/sh\n"},
    "settings of the environment": {"labevil-1.0.data/data/pyvenv.cfg": "home = /tmp\n"},
    "its record of itself": {"labevil-1.0.data/data/labbox.json": "{}\n"},
}


@pytest.mark.attack("S3")
async def test_a_wheel_puts_nothing_into_another_packages_folder(
    box: Any, links: Path, wheel: Callable[..., Path], tried: Callable[..., None]
) -> None:
    wheel("labvictim")
    for number, (name, files) in enumerate(_EVIL_FILES.items()):
        tried()
        evil = make_wheel(links, "labevil", f"1.{number}")
        _add(evil, {path.replace("labevil-1.0", f"labevil-1.{number}"): text for path, text in files.items()})
        with pytest.raises(LabboxError, match=r"labevil|RECORD|invalid"):
            await box.prepare(("requirements", f"labevil==1.{number}\nlabvictim\n"))
        assert not list((box.state / "wheels").glob("*/site/labevil.py")), name
    clean = await box.prepare(("requirements", "labvictim\n"))
    (module,) = clean.environment.glob("lib/*/site-packages/labvictim.py")
    assert module.read_text() == "version = '1.0'\n"


@pytest.mark.attack("S3")
async def test_lies_and_escapes_of_a_wheel_stay_in_its_own_folder(
    box: Any, links: Path, wheel: Callable[..., Path], tried: Callable[..., None], tmp_path: Path
) -> None:
    """A module of another package, paths that lead out, a RECORD that claims what is not its own."""
    wheel("labvictim")
    for number, files in enumerate(
        (
            {"labvictim.py": "owned = True\n"},
            {"../../../../../../labescaped.py": "x", "/labescaped.py": "x", f"{tmp_path}/labescaped.py": "x"},
            {"labevil-1.2.data/data/../../../../labescaped.py": "x"},
            {"labevil-1.3.data/scripts/../../labescaped.py": "x"},
        )
    ):
        tried()
        evil = make_wheel(links, "labevil", f"1.{number}")
        _add(evil, files)
        with_lies = make_wheel(links, "lablies", f"1.{number}")
        _rewrite_record(with_lies, "labvictim.py,,\n/etc/passwd,,\n../../../../environments/x,,\n")
        _add(with_lies, {"lablink.py": "/etc/passwd"}, mode=0o120777)
        asked = f"labevil==1.{number}\nlablies==1.{number}\nlabvictim\n"
        try:
            await box.prepare(("requirements", asked))
        except LabboxError as error:
            assert error.code == "invalid"  # refused is as good as contained
    clean = await box.prepare(("requirements", "labvictim\n"))
    (module,) = clean.environment.glob("lib/*/site-packages/labvictim.py")
    assert module.read_text() == "version = '1.0'\n"
    (folder,) = (path.parents[1] for path in box.state.glob("wheels/*/site/labvictim-1.0.dist-info"))
    assert (folder / "site/labvictim.py").read_text() == "version = '1.0'\n"
    assert not list(clean.environment.rglob("labescaped.py"))
    for path in (*box.state.glob("wheels/*/**/labescaped.py"), *box.state.glob("*/labescaped.py")):
        assert list(path.parent.glob("labevil-*.dist-info")), (
            path
        )  # in its own folder it may have what it likes
    assert not list(box.state.glob("wheels/**/lablink.py")) or not any(
        path.is_symlink() for path in box.state.glob("wheels/**/lablink.py")
    )
    assert not Path("/labescaped.py").exists()
    assert not (tmp_path / "labescaped.py").exists()


def _rewrite_record(wheel: Path, text: str) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, data in held.items():
            archive.writestr(name, data + text.encode() if name.endswith("/RECORD") else data)


@pytest.mark.attack("S3")
async def test_the_same_name_and_version_of_two_indexes_are_two_packages(
    open_box: Callable[..., Any], links: Path, tmp_path: Path, tried: Callable[..., None]
) -> None:
    folders = [links / "one", links / "two"]
    prepared = []
    for folder in folders:
        tried()
        folder.mkdir()
        folder.chmod(0o755)
        make_wheel(folder, "labsame", files={"labsame.py": f"source = {folder.name!r}\n"})
        environ = {"PIP_CONFIG_FILE": "/dev/null", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder)}
        found = await open_box(environ)
        prepared.append(await found.prepare(("requirements", "LabSame==1.0\n")))
    for folder, one in zip(folders, prepared, strict=True):
        (module,) = one.environment.glob("lib/*/site-packages/labsame.py")
        assert module.read_text() == f"source = {folder.name!r}\n"
