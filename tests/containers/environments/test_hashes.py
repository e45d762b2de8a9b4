"""Hashes in requirements are what pip makes of them: nothing else is installed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_packages import backend, make_source

from labbox.errors import LabboxError
from labbox.files.software.asked import FileKind
from labbox.files.software.reading import Reading
from labbox.files.software.requirements import RequirementsReader

WRONG = "0" * 64


def sum_of(path: Path, kind: str = "sha256") -> str:
    return f"{kind}:{hashlib.new(kind, path.read_bytes()).hexdigest()}"


async def test_a_wrong_hash_is_refused_with_both(box: Any, wheel: Callable[..., Path]) -> None:
    right = sum_of(wheel("labone"))
    for text in (
        f"labone==1.0 --hash=sha256:{WRONG}\n",
        f"LabOne == 1.0 \\\n    --hash=sha256:{WRONG}\n",
        f"--require-hashes\nlabone==1.0 \\\n  --hash sha256:{WRONG} \\\n --hash=sha256:{'1' * 64}\n",
    ):
        with pytest.raises(LabboxError) as caught:
            await box.prepare(("requirements", text))
        assert caught.value.code == "invalid"
        assert WRONG in caught.value.message
        assert right in caught.value.message
    conda = ("conda", f"dependencies:\n  - pip\n  - pip:\n    - labone==1.0 --hash=sha256:{WRONG}\n")
    with pytest.raises(LabboxError, match=WRONG):
        await box.prepare(conda)


async def test_a_right_hash_is_installed_and_a_wrong_one_is_no_way_to_what_stands(
    box: Any, wheel: Callable[..., Path]
) -> None:
    made = wheel("labone")
    plain = await box.prepare(("requirements", "labone==1.0\n"))
    good = await box.prepare(("requirements", f"labone==1.0 --hash=sha256:{WRONG} --hash={sum_of(made)}\n"))
    assert good.lock == plain.lock
    strong = await box.prepare(("requirements", f"labone==1.0 --hash={sum_of(made, 'sha512')}\n"))
    assert (await box.run(strong, "python3", "-c", "import labone; print(labone.version)")).lines == ("1.0",)
    wrong = f"sha512:{'0' * 128}"
    with pytest.raises(LabboxError) as caught:
        await box.prepare(("requirements", f"labone==1.0 --hash={wrong}\n"))
    assert wrong in caught.value.message
    assert sum_of(made, "sha512") in caught.value.message


async def test_what_a_package_needs_must_have_its_hash_too(box: Any, wheel: Callable[..., Path]) -> None:
    base = wheel("labbase")
    top = wheel("labtop", requires=("labbase",))
    alone = f"labtop==1.0 --hash={sum_of(top)}\n"
    with pytest.raises(LabboxError, match=r"cannot install labbase==1\.0"):
        await box.prepare(("requirements", alone))
    both = await box.prepare(("requirements", f"{alone}labbase==1.0 --hash={sum_of(base)}\n"))
    assert len(both.lock.splitlines()) == 2


def settled(package: str, digits: str) -> tuple[tuple[FileKind, str], ...]:
    """A pyproject.toml that needs a package, and the uv.lock that settles it."""
    project = f'[project]\nname = "study"\nversion = "1"\ndependencies = ["{package}"]\n'
    entry = f'[[package]]\nname = "{package}"\nversion = "1.0"\nsource = {{ registry = "https://x" }}\n'
    return ("pyproject", project), (
        "uv-lock",
        f'{entry}sdist = {{ url = "https://x/y", hash = "{digits}" }}\n',
    )


async def test_hashes_of_a_lock_beside_a_pyproject(box: Any, wheel: Callable[..., Path]) -> None:
    made = wheel("labone")
    with pytest.raises(LabboxError) as caught:
        await box.prepare(*settled("labone", f"sha256:{WRONG}"))
    assert WRONG in caught.value.message
    assert sum_of(made) in caught.value.message
    assert "labone==1.0" in (await box.prepare(*settled("labone", sum_of(made)))).lock


async def test_a_version_for_other_pythons_has_no_say(box: Any, wheel: Callable[..., Path]) -> None:
    made = wheel("labone")
    text = (
        f"labone==0.9 ; python_version < '3' --hash=sha256:{WRONG}\n"
        f"labone==1.0 ; python_version >= '3' --hash={sum_of(made)}\n"
    )
    assert "labone==1.0" in (await box.prepare(("requirements", text))).lock


async def test_sources_are_checked_before_they_are_built(open_box: Callable[..., Any], links: Path) -> None:
    made = make_source(links, "labsource", backend("labsource"))
    pip = next(Path("/usr/share/python-wheels").glob("pip-*.whl"))
    (links / pip.name).write_bytes(pip.read_bytes())
    box = await open_box()
    with pytest.raises(LabboxError) as caught:
        await box.prepare(("requirements", f"labsource==1.0 --hash=sha256:{WRONG}\n"))
    assert WRONG in caught.value.message
    assert sum_of(made) in caught.value.message
    good = await box.prepare(("requirements", f"labsource==1.0 --hash={sum_of(made)}\n"))
    assert (await box.run(good, "python3", "-c", "import labsource; print(1)")).lines == ("1",)
    with pytest.raises(LabboxError, match=WRONG):
        await box.prepare(*settled("labsource", f"sha256:{WRONG}"))
    assert "labsource==1.0" in (await box.prepare(*settled("labsource", sum_of(made)))).lock


def read(text: str, **others: str) -> list[tuple[str, int | None]]:
    """The errors of a requirements.txt, and their lines."""
    reading = Reading({name.replace("_", "."): value.encode() for name, value in others.items()}.get)
    reader = RequirementsReader(reading)
    reader.file("requirements.txt", text.encode())
    reader.result()
    return [(one.text, one.line) for one in reading.findings if one.level == "error"]


def test_lines_without_a_hash_where_hashes_are_asked_for() -> None:
    good = f"six==1.16.0 --hash=sha256:{WRONG}\n"
    assert read(good) == []
    ((text, line),) = read(f"{good}numpy==2.1\n")
    assert line == 2
    assert "has no --hash" in text
    assert [line for _, line in read("--require-hashes\nsix==1.16.0\nnumpy\n")] == [2, 3]
    ((text, _),) = read("-r base.txt\n" + good, base_txt="numpy==2.1\n")
    assert "base.txt" in text
    ((text, _),) = read("numpy==2.1\n-r base.txt\n", base_txt=good)
    assert "numpy==2.1" in text


@pytest.mark.parametrize(
    ("hashed", "says"),
    [
        ("md5:" + "0" * 32, "proves nothing"),
        ("sha1:" + "0" * 40, "proves nothing"),
        ("sha256:" + "0" * 63, "is no hash"),
        ("sha256:" + "z" * 64, "is no hash"),
        ("0" * 64, "is no hash"),
        ("sha256", "is no hash"),
    ],
)
def test_what_is_no_hash_that_proves_anything(hashed: str, says: str) -> None:
    ((text, line),) = read(f"six==1.16.0 --hash={hashed}\n")
    assert says in text
    assert line == 1
