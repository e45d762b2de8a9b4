"""The output of a run goes into a project, or where all share: its people read it and work on it."""

from __future__ import annotations

import pytest
from harness import Box
from person import Person

pytestmark = [pytest.mark.engine, pytest.mark.root]

SCRIPT = """\
umask 077
mkdir -p /output/deep
echo of ada > /output/deep/table.csv
chmod 400 /output/deep/table.csv
"""


@pytest.mark.parametrize("place", ["project:maps", "shared:"])
def test_what_is_delivered_others_read_change_and_delete(
    box: Box, ada: Person, grace: Person, place: str
) -> None:
    if "maps" not in {one.name for one in box.client().list_projects().projects}:
        box.client().add_project("maps", ("ada", "grace"))
    ada.project("measured", {"run.sh": SCRIPT})
    done = ada.run("job", "submit", "measured", "--deliver", f"{place}/run1", "--follow", "--memory", "64M")
    assert done.returncode == 0, done.stdout + done.stderr
    got = f"got-{place.partition(':')[0]}.csv"
    top = box.state / ("shared" if place == "shared:" else "projects/maps") / "run1"
    assert (top / "deep/table.csv").read_text() == "of ada\n"
    for words in (
        ("cp", f"{place}/run1/deep/table.csv", f"~/{got}"),
        ("cp", f"~/{got}", f"{place}/run1/deep/new.csv"),
        ("mv", f"{place}/run1/deep/table.csv", f"{place}/run1/renamed.csv"),
        ("rm", "--yes", f"{place}/run1"),
    ):
        did = grace.run("file", *words)
        assert did.returncode == 0, (words, did.stdout + did.stderr)
    assert (box.state / "homes/grace" / got).read_text() == "of ada\n"
    assert not top.exists()


def test_what_is_for_a_project_of_others_is_refused_before_it_runs(box: Box, ada: Person) -> None:
    box.client().add_project("closed", ("grace",))
    ada.project("measured", {"run.sh": SCRIPT})
    before = len(ada.json("job", "list")["jobs"])
    for place in ("project:closed/run1", "project:nobody/run1"):
        done = ada.run("job", "submit", "measured", "--deliver", place, "--follow")
        assert done.returncode != 0
        assert place.partition("/")[0].partition(":")[2] in done.stderr, done.stderr
        assert len(ada.json("job", "list")["jobs"]) == before, done.stderr
    assert not (box.state / "projects/closed/run1").exists()
