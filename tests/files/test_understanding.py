"""Understanding people's files in a child with bounds, and patterns that never backtrack."""

from __future__ import annotations

import io
import mmap
import os
import re
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labbox.errors import LabboxError
from labbox.files.bounded import At, Bounds, bounded
from labbox.files.contexts import pack
from labbox.files.following import Meter
from labbox.files.ignoring import ignoring
from labbox.files.masks import expression
from labbox.model import MIB


def test_what_the_work_gives_and_what_it_says_come_over() -> None:
    assert bounded(lambda _at: b"x" * 300_000) == b"x" * 300_000

    def refuse(_at: At) -> bytes:
        raise LabboxError("invalid", "cannot read it", "mend it")

    with pytest.raises(LabboxError, match="cannot read it") as caught:
        bounded(refuse)
    assert (caught.value.code, caught.value.hint) == ("invalid", "mend it")


def _spin(at: At) -> bytes:
    at("environment.yml")
    while True:
        pass


def _hoard(at: At) -> bytes:
    at("environment.yml")
    return b"".join([b"x" * MIB for _ in range(10_000)])


def _backtrack(at: At) -> bytes:
    at("environment.yml")
    re.fullmatch("(a|a)*b", "a" * 40)
    return b""


def _say_too_much(at: At) -> bytes:
    at("environment.yml")
    return b"x" * (8 * MIB)


def _write(at: At) -> bytes:
    at("environment.yml")
    with tempfile.TemporaryFile() as file:  # a disk is nothing that a parser needs
        file.write(b"x" * MIB)
        file.flush()
    return b"written"


def _crash(at: At) -> bytes:
    at("environment.yml")
    os._exit(3)


@pytest.mark.attack("S4")
@pytest.mark.parametrize("work", [_spin, _hoard, _backtrack, _say_too_much, _crash, _write])
def test_work_beyond_its_bounds_ends_in_words(
    work: Callable[[At], bytes], tried: Callable[..., None]
) -> None:
    tried()
    started = time.monotonic()
    with pytest.raises(
        LabboxError, match=r"cannot understand environment\.yml: .* takes more than"
    ) as caught:
        bounded(work, Bounds(processor=1, memory=64 * MIB))
    assert caught.value.code == "limit"
    assert time.monotonic() - started < 25


def test_work_that_nobody_wants_any_more_ends() -> None:
    place = mmap.mmap(-1, 8)

    def child() -> int:
        return int.from_bytes(place[:8], "little")

    def spin(at: At) -> bytes:
        place[:8] = os.getpid().to_bytes(8, "little")
        return _spin(at)

    def gone() -> None:
        if child():
            raise ConnectionResetError

    with place:
        with pytest.raises(ConnectionResetError):
            bounded(spin, Bounds(processor=60), gone)
        with pytest.raises(ChildProcessError):  # it has ended and was waited for
            os.waitpid(child(), os.WNOHANG)


@pytest.mark.attack("S4")
@pytest.mark.parametrize(
    "pattern",
    [
        "*a" * 60 + "b",
        "**/a" * 40 + "b",
        "**a" * 60 + "b",
        "a*" * 100 + "b",
        "**/*a*/" * 20 + "x",
        "?*" * 150,
    ],
)
def test_patterns_take_no_longer_than_what_they_are_matched_with(
    pattern: str, tried: Callable[..., None]
) -> None:
    tried()
    started = time.monotonic()
    for path in ("a" * 255, "a/" * 120 + "a", "a" * 4000, "aa/" * 1300):
        re.fullmatch(expression(pattern, path=True), path)
        ignoring([pattern])(path, path.rpartition("/")[2], False)
    assert time.monotonic() - started < 10


def _plainly(pattern: str, path: str) -> bool:
    """The same meaning, by trying everything."""
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    words = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.fullmatch("(?s:" + "".join(words.get(p) or re.escape(p) for p in parts) + ")", path) is not None


@given(
    st.lists(st.sampled_from(["a", "b", "/", "*", "?", "/**/", "/**"]), max_size=8).map("".join),
    st.text("ab/", min_size=1, max_size=10),
)
def test_patterns_mean_what_they_meant(pattern: str, path: str) -> None:
    pattern = pattern.strip("/")
    if "***" in pattern:
        return
    assert (re.fullmatch(expression(pattern, path=True), path) is not None) == _plainly(pattern, path)


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ("", {"a.py", "data/big.bin", "data/keep.csv", "notes.md", "sub/a.py", "sub/x.log"}),
        ("data\n", {"a.py", "notes.md", "sub/a.py", "sub/x.log"}),
        ("/data/\n*.md\n", {"a.py", "sub/a.py", "sub/x.log"}),
        ("data\n!data/keep.csv\n", {"a.py", "data/keep.csv", "notes.md", "sub/a.py", "sub/x.log"}),
        ("*\n!*.py\n", {"a.py"}),
        ("**/*.py\n# data\n", {"data/big.bin", "data/keep.csv", "notes.md", "sub/x.log"}),
        ("sub/*.log\n\ufeff", {"a.py", "data/big.bin", "data/keep.csv", "notes.md", "sub/a.py"}),
        (
            "Dockerfile\n*.dockerignore\n",
            {"a.py", "data/big.bin", "data/keep.csv", "notes.md", "sub/a.py", "sub/x.log"},
        ),
    ],
)
def test_a_build_context_is_less_what_its_dockerignore_names(
    tmp_path: Path, rules: str, kept: set[str]
) -> None:
    for name in ("a.py", "data/big.bin", "data/keep.csv", "notes.md", "sub/a.py", "sub/x.log", "Dockerfile"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / ".dockerignore").write_text(rules)
    names = _packed(tmp_path)
    assert names - {"Dockerfile", ".dockerignore"} == kept
    assert "Dockerfile" in names


def _packed(folder: Path) -> set[str]:
    target = io.BytesIO()
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        pack(descriptor, target, "FROM labbox/base\n", {}, Meter())
    finally:
        os.close(descriptor)
    target.seek(0)
    with tarfile.open(fileobj=target) as archive:
        content = archive.extractfile("Dockerfile")
        assert content is not None
        assert content.read() == b"FROM labbox/base\n"
        return {entry.name for entry in archive if not entry.isdir()}


@pytest.mark.attack("S4")
def test_a_dockerignore_without_end_is_refused_in_words(tmp_path: Path, tried: Callable[..., None]) -> None:
    for rules in ("x\n" * 2000, "a" * 5000, "*a" * 600):
        tried()
        (tmp_path / ".dockerignore").write_text(rules)
        with pytest.raises(LabboxError, match=r"cannot use \.dockerignore"):
            _packed(tmp_path)


@pytest.mark.attack("S4")
@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("environment.yml", "a: &a [x, x]\ndependencies: *a\n", "YAML alias"),
        ("environment.yml", "dependencies: " + "[" * 5000, "nested too deeply"),
        ("environment.yml", "dependencies: [" + "a, " * 30_000 + "a]", "too long"),
        ("requirements.txt", "six\n" * 6000, "more than 5,000 packages"),
        ("requirements.txt", "a" * 70_000, "names no package"),
        ("requirements.txt", "a" * 2_000, "names no package"),
        ("pyproject.toml", "x = " + "[" * 100_000, "nested too deeply"),
        ("pyproject.toml", "x = " + "1" * 10_000, "number without end"),
        ("job.toml", "cpus = " + "9" * 10_000, "number without end"),
        ("job.toml", "cpus = " + "9" * 30, "a number of CPUs"),
        ("job.toml", "[sweep]\nx = [" + "9" * 30 + "]", "too large a number"),
        ("job.toml", f"ignore = {['x'] * 600}", "at most 500 patterns"),
        ("apt.txt", "a " * 600, "over 500 packages"),
        ("Dockerfile", "FROM " + "a" * 2000 + "\n", "is no image name"),
    ],
)
def test_what_is_beyond_its_caps_is_refused_in_words(
    lab: Any, name: str, content: str, says: str, tried: Callable[..., None]
) -> None:
    tried()
    lab.project({"run.sh": "true\n", name: content})
    assert any(says in error.text for error in lab.errors()), lab.errors()


@pytest.mark.attack("S4")
def test_a_hundred_files_that_include_each_other_are_too_many(lab: Any, tried: Callable[..., None]) -> None:
    tried()
    lab.project(
        {
            "run.sh": "true\n",
            "requirements.txt": "".join(f"-r r{n}.txt\n" for n in range(300)),
            **{f"r{n}.txt": "six\n" for n in range(300)},
        }
    )
    with pytest.raises(LabboxError, match="one of more than 100 files"):
        lab.inspect()
    tried()
    lab.project({"requirements.txt": "\n" * 40_000})
    with pytest.raises(LabboxError, match="more than 30,000 lines"):
        lab.inspect()
