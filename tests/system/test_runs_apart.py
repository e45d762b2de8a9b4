"""Runs and operations on files are apart, and a run is easily found."""

from __future__ import annotations

import os
import time

import pytest
from harness import Box
from person import Person

pytestmark = [pytest.mark.engine, pytest.mark.root]


def _used(ada: Person) -> int:
    return sum(int(row["jobs"]) for row in ada.json("usage")["rows"] if row["owner"] == "ada")


def test_file_operations_leave_runs_alone(ada: Person, box: Box) -> None:
    ada.project("r", {"run.sh": "echo hi >/output/o\n"})
    before, notices = _used(ada), len(ada.json("notices", "--all")["notices"])
    number = ada.run("job", "submit", "r", "--name", "'Réaction time/1 (σ)'", "--quiet").stdout.strip()
    ada.run("job", "log", number, "--follow")
    folder = ada.job(number)["results"]
    assert folder == time.strftime("jobs/%Y/%m/%d/") + f"{number}-Reaction-time-1"
    for words in (("cp", "r", "r2"), ("rm", "r2"), ("mkdir", "m"), ("sum", "r/run.sh"), ("diff", "r", "m")):
        ada.run("file", *words)
    assert ada.run("file", "cp", "r", "r3", "--quiet").returncode == 0
    runs = ada.json("job", "list", "--limit", "500")["jobs"]
    files = ada.json("job", "list", "--files", "--limit", "500")["jobs"]
    assert {one["kind"] for one in files} == {"transfer"} and len(files) >= 5
    assert "transfer" not in {one["kind"] for one in runs} and str(runs[0]["id"]) == number
    both = ada.json("job", "list", "--any-kind", "--limit", "500")["jobs"]
    assert len(both) == len(runs) + len(files)

    top = box.state / "results/ada"
    below = {path.name for path in top.glob("[0-9]*/*/*/*")}
    assert f"{number}-Reaction-time-1" in below
    assert not below & {str(one["id"]) for one in files}
    assert os.path.realpath(top / "latest") == str(top / folder.removeprefix("jobs/"))
    assert (top / "latest").lstat().st_uid == 0
    assert (top / "latest/output/o").read_text() == "hi\n"

    assert _used(ada) == before + 1
    told = ada.json("notices", "--all")["notices"][: len(ada.json("notices", "--all")["notices"]) - notices]
    assert [one["job"] for one in told] == [int(number)]
    copied = str(files[0]["id"])
    assert "results" not in ada.run("job", "show", copied).stdout
    refused = ada.run("job", "fetch", copied)
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
