"""Runs and operations on files are apart, and a run is easily found."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from harness import Box
from person import Person

from labbox.protocol import UserAdd

pytestmark = [pytest.mark.engine, pytest.mark.root]


@pytest.fixture
def newcomer(box: Box) -> Iterator[Person]:
    """Somebody without a past: lists, notices and use hold what the test did, whatever ran before it."""
    name = "newcomer"
    box.client().add_user(UserAdd(name=name, keys=(box.key.with_suffix(".pub").read_text(),)))
    yield Person(box, name)
    box.client().remove_user(name, files="delete")


def _used(newcomer: Person) -> int:
    return sum(int(row["jobs"]) for row in newcomer.json("usage")["rows"] if row["owner"] == newcomer.name)


def test_file_operations_leave_runs_alone(newcomer: Person, box: Box) -> None:
    newcomer.project("r", {"run.sh": "echo hi >/output/o\n"})
    number = newcomer.run("job", "submit", "r", "--name", "'Réaction time/1 (σ)'", "--quiet").stdout.strip()
    newcomer.run("job", "log", number, "--follow")
    folder = newcomer.job(number)["results"]
    assert folder == time.strftime("jobs/%Y/%m/%d/") + f"{number}-Reaction-time-1"
    for words in (("cp", "r", "r2"), ("rm", "r2"), ("mkdir", "m"), ("sum", "r/run.sh"), ("diff", "r", "m")):
        newcomer.run("file", *words)
    assert newcomer.run("file", "cp", "r", "r3", "--quiet").returncode == 0
    runs = newcomer.json("job", "list", "--limit", "500")["jobs"]
    files = newcomer.json("job", "list", "--files", "--limit", "500")["jobs"]
    assert {one["kind"] for one in files} == {"transfer"} and len(files) == 5
    assert "transfer" not in {one["kind"] for one in runs} and str(runs[0]["id"]) == number
    both = newcomer.json("job", "list", "--any-kind", "--limit", "500")["jobs"]
    assert len(both) == len(runs) + len(files)

    top = box.state / "results" / newcomer.name
    below = {path.name for path in top.glob("[0-9]*/*/*/*")}
    assert f"{number}-Reaction-time-1" in below
    assert not below & {str(one["id"]) for one in files}
    assert os.path.realpath(top / "latest") == str(top / folder.removeprefix("jobs/"))
    assert (top / "latest").lstat().st_uid == 0
    assert (top / "latest/output/o").read_text() == "hi\n"

    assert _used(newcomer) == 1
    told = newcomer.json("notices", "--all")["notices"]
    assert [one["job"] for one in told] == [int(number)]
    copied = str(files[0]["id"])
    assert "results" not in newcomer.run("job", "show", copied).stdout
    refused = newcomer.run("job", "fetch", copied)
    assert refused.returncode == 1 and "worked on files" in refused.stderr


def test_what_an_operation_left_is_still_there_to_be_read(ada: Person) -> None:
    ada.project("many", {f"f{number:03}": "x" for number in range(300)})
    found = ada.run("file", "find", "many", "--name", "f*")
    assert len(found.stdout.splitlines()) == 300  # more than a summary holds
    number = ada.json("job", "list", "--files")["jobs"][0]["id"]
    assert "report.jsonl" in ada.run("file", "ls", f"job:{number}/output").stdout


def test_elements_have_folders_by_name_and_number(ada: Person) -> None:
    ada.project("e", {"run.sh": "true\n"})
    parent = ada.run("job", "submit", "e", "--array", "7-8", "--quiet").stdout.strip()
    ada.run("job", "submit", "e", "--after", parent, "--follow")
    elements = ada.json("job", "list", "--array", parent)["jobs"]
    assert sorted(one["results"].rpartition("/")[2] for one in elements) == sorted(
        f"{one['id']}-e-{one['index']}" for one in elements
    )
