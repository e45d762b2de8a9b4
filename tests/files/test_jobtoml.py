from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labbox.files import jobtoml
from labbox.files.ignoring import ignoring
from labbox.model import Sweep

EXAMPLE = jobtoml.__doc__ or ""


def mistakes(text: str) -> list[tuple[int | None, str, str]]:
    return [
        (one.line, one.text.removeprefix("cannot use job.toml: "), one.hint)
        for one in jobtoml.read(text.encode())[1]
    ]


def test_the_example_in_the_documentation_is_right() -> None:
    text = "\n".join(line.removeprefix("    ") for line in EXAMPLE.splitlines()[2:])
    job, found = jobtoml.read(text.encode())
    assert found == ()
    assert job.words() == ("python", "app.py", "--fast")
    assert job.memory == 4 << 30
    assert job.time == 7200
    assert job.array == tuple(range(1, 21))
    assert job.group == "sims"
    assert job.sweeps() == (
        Sweep(name="lr", values=("0.1", "0.2")),
        Sweep(name="seed", values=("1", "2", "3", "4", "5")),
    )
    assert job.variables() == {"OMP_NUM_THREADS": "2"}
    assert job.git.submit


def test_every_wrong_key_is_named_with_its_line() -> None:
    text = '''nme = "x"
cpus = "two"
memory = "lots"
command = """
cpus = 3
"""
array = "9-1"

[env]
"A-B" = "x"
LABBOX_JOB = "x"
C = [1]

[sweep]
lr = []
seed = "5:1"

[git]
submitt = true
'''
    assert mistakes(text) == [
        (1, "nme: unknown key", "did you mean “name”?"),
        (2, 'cpus: cannot use "two": a number of CPUs from 0.01 up, without quotes is wanted', ""),
        (
            3,
            "memory: cannot read “lots” as a size",
            "write a number of bytes or a number with K, M, G or T: 512M, 2G, 4Gi, 1.5 TB",
        ),
        (
            7,
            "array: cannot read “9-1” as an array",
            "write indexes such as 1-20 or 1,3,7-9; 1-100%8 runs 8 at once",
        ),
        (10, "env.A-B: it cannot be the name of an environment variable", "use letters, digits and _"),
        (11, "env.LABBOX_JOB: names that start with LABBOX_ are labbox's own", "choose another name"),
        (12, "env.C: text or a number is wanted", 'write it in quotes: "2"'),
        (15, "sweep.lr: a list of texts or numbers is wanted", 'write [0.1, 0.2] or "1:5"'),
        (16, "sweep.seed: cannot count as “5:1” says", "write first:last or first:last:step, as in 1:5"),
        (19, "git.submitt: unknown key", "did you mean “submit”?"),
    ]


@pytest.mark.parametrize(
    ("text", "line"), [("name = ", 1), ("a = 1\na = 2\n", 2), ("x\n", 1), ("a = 1\n\n[b\n", 3)]
)
def test_what_is_no_toml_has_a_line_too(text: str, line: int) -> None:
    ((found, _, _),) = mistakes(text)
    assert found == line


def test_windows_editors_may_leave_their_mark() -> None:
    assert jobtoml.read(b"\xef\xbb\xbfcpus = 2\r\n")[0].cpus == 2


def test_a_file_that_is_too_large_or_no_text_is_refused() -> None:
    assert "larger than 256 KiB" in mistakes("#" * (257 << 10))[0][1]
    assert jobtoml.read(b"a = '\xff'")[1][0].line == 1


@given(st.binary(max_size=300))
def test_no_bytes_break_it(data: bytes) -> None:
    _, found = jobtoml.read(data)
    assert all(one.level == "error" and one.text.startswith("cannot ") for one in found)


def test_an_array_may_say_how_many_run_at_once() -> None:
    assert jobtoml.read(b'array = "1-100%8"')[0].parallel == 8
    assert jobtoml.read(b'array = "1-100%8"\nparallel = 3')[0].parallel == 3
    assert jobtoml.read(b'array = "1-100"')[0].parallel is None
    assert mistakes('array = "1-100%0"')[0][1].startswith("array: cannot read")


@pytest.mark.parametrize("name", ['"a b"', '""', '"-x"', '"none"', '"\\u001b[1m"', "7", '"' + "x" * 41 + '"'])
def test_a_group_has_a_name_that_can_be_one(name: str) -> None:
    ((line, text, _),) = mistakes(f"cpus = 1\ngroup = {name}")
    assert line == 2
    assert text.startswith("group: cannot use ")
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("pattern", "path", "folder", "out"),
    [
        ("*.tmp", "a/b.tmp", False, True),
        ("*.tmp", "a/tmp", False, False),
        ("raw/", "input/raw", True, True),
        ("raw/", "input/raw", False, False),
        ("/raw", "raw", True, True),
        ("/raw", "input/raw", True, False),
        ("input/*.csv", "input/a.csv", False, True),
        ("input/*.csv", "input/b/a.csv", False, False),
        ("input/**/*.csv", "input/b/c/a.csv", False, True),
        ("input/**/*.csv", "input/a.csv", False, True),
        ("run[0-9]", "run7", True, True),
        ("run[!0-9]", "run7", True, False),
        ("[z-a]", "[z-a]", False, True),
        ("a.c", "abc", False, False),
        ("new\nline", "new\nline", False, True),
    ],
)
def test_patterns(pattern: str, path: str, folder: bool, out: bool) -> None:
    assert ignoring([pattern])(path, path.rpartition("/")[2], folder) is out


@given(st.lists(st.text(max_size=12), max_size=3), st.text(min_size=1, max_size=12))
def test_no_pattern_breaks_it(patterns: list[str], name: str) -> None:
    ignoring(patterns)(name, name, False)
