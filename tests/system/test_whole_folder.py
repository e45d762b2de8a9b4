"""What a folder holds is there in the run, at the same relative places."""

from __future__ import annotations

import pytest
from harness import Box
from person import Person

pytestmark = [pytest.mark.engine, pytest.mark.root]

FILES = {
    "code/analysis.sh": "cat data/trials.csv input/i.csv; echo r > result.csv; echo d >> data/trials.csv\n",
    "code/run.sh": "cat ../data/trials.csv ../input/i.csv /input/i.csv; echo o > ../output/o.txt; pwd\n"
    "echo c > c.csv; test -f /code/c.csv; echo s > ../side.csv; cat ../README.md\n",
    "data/trials.csv": "trial 1\n",
    "data/.git/config": "x",
    "input/i.csv": "input 1\n",
    "output/old.txt": "old",
    "README.md": "read me\n",
}


def test_a_command_that_names_files_of_the_folder_starts_there(ada: Person, box: Box) -> None:
    ada.project("whole", FILES)
    done = ada.run("job", "submit", "whole", "--follow", "--", "sh", "code/analysis.sh")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["trial 1", "input 1"]
    job = ada.json("job", "list")["jobs"][0]
    left = box.state / "results/ada" / str(job["results"]).removeprefix("jobs/") / "code"
    assert (left / "result.csv").read_text() == "r\n"
    assert (left / "data/trials.csv").read_text() == "trial 1\nd\n"
    again = ada.run("job", "submit", "whole", "--follow", "--", "cat", "code/run.sh", "data/trials.csv")
    assert again.stdout.splitlines()[-1] == "trial 1"  # as it was handed in
    rerun = ada.run("job", "rerun", str(job["id"]), "--quiet").stdout.strip()
    assert "trial 1" in ada.run("job", "log", rerun, "--follow").stdout


def test_code_finds_what_stands_beside_it(ada: Person, box: Box) -> None:
    ada.project("beside", FILES)
    done = ada.run("job", "submit", "beside", "--follow")
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()[-5:]
    assert lines == ["trial 1", "input 1", "input 1", "/project/code", "read me"]
    job = ada.json("job", "list")["jobs"][0]
    folder = box.state / "results/ada" / str(job["results"]).removeprefix("jobs/")
    assert (folder / "output/o.txt").read_text() == "o\n"
    assert (folder / "code/c.csv").read_text() == "c\n"
    assert (folder / "project/side.csv").read_text() == "s\n"
    assert "project/" in done.stderr and "code/" in done.stderr


def test_an_element_finds_every_variable_that_is_documented(ada: Person) -> None:
    ada.project("elements", {"run.sh": "env | grep ^LABBOX_\n"})
    number = ada.run("job", "submit", "elements", "--array", "3-4", "--quiet").stdout.strip()
    ada.run("job", "log", number, "--follow")
    element = str(int(number) + 2)
    said = ada.run("job", "log", element, "--follow").stdout
    told = dict(line.split("=", 1) for line in said.splitlines() if line.startswith("LABBOX_"))
    assert told["LABBOX_INDEX"] == told["LABBOX_ARRAY_INDEX"] == "4"
    assert told["LABBOX_ARRAY_COUNT"] == "2"
