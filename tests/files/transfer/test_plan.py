from __future__ import annotations

import os
from typing import Any

from transferring import Desk, planned


def test_a_plan_counts_and_names_what_is_in_the_way(both: Desk) -> None:
    both.write("t/a", "1234", mtime=1_500_000_000_000_000_000)
    both.write("t/sub/b", "12")
    (both.home / "t/link").symlink_to("a")
    both.write("out/t/a", "12", mtime=1_600_000_000_000_000_000)
    made = planned(both, "copy", ("~/t",), "~/out")
    assert (made.files, made.folders, made.links, made.size) == (2, 2, 1, 6)
    assert made.conflict_count == 1
    (clash,) = made.conflicts
    assert (clash.path, clash.source_size, clash.target_size) == ("t/a", 4, 2)
    assert clash.source_mtime < clash.target_mtime
    assert made.free is not None
    assert made.problems == ()
    assert planned(both, "copy", ("~/t",), "~/new").conflict_count == 0
    assert planned(both, "copy", ("~/t",), "~/out", exclude=("a",)).files == 1
    assert planned(both, "trash", ("~/t", "~/out"), None).files == 3


def test_a_plan_for_another_name_looks_at_that_name(both: Desk) -> None:
    both.write("t", "1234")
    both.write("out/taken", "12")
    assert planned(both, "copy", ("~/t",), "~/other", exact=True).conflict_count == 0
    assert planned(both, "copy", ("~/t",), "~/out/other", exact=True).conflict_count == 0
    assert planned(both, "copy", ("~/t",), "~/out/taken", exact=True).conflict_count == 1


def test_a_plan_names_what_cannot_work(both: Desk) -> None:
    both.write("t/a", "1")
    both.write("u/t/a", "1")
    os.mkfifo(both.home / "t/pipe")

    def codes(*words: Any) -> set[str]:
        return {problem.path for problem in planned(both, "copy", *words).problems}

    assert codes(("~/t",), "~/out") == {"t/pipe"}
    assert codes(("~/t",), "~/t") == {"t"}
    assert codes(("~/t",), "~") == {"t"}
    assert codes(("~/none",), "~/out") == {"none"}
    assert "t" in codes(("~/t", "~/u/t"), "~/out")
    assert "~/t/a" in codes(("~/u",), "~/t/a")


def test_unpacking_is_planned(desk: Desk) -> None:
    desk.write("study/data.csv", "1,2")
    desk.write("study/raw/one.log", "x" * 100_000)
    (desk.home / "study/link").symlink_to("raw/one.log")
    desk.write("note.txt", "n")
    desk.do("pack", ("~/study", "~/note.txt"), "~/all.tar.gz")
    made = planned(desk, "unpack", ("~/all.tar.gz",), "~/out")
    assert (made.files, made.links, made.size, made.conflict_count) == (3, 1, 100_004, 0)
    assert made.free is not None and made.problems == ()
    desk.write("out/all/note.txt", "another")
    desk.write("out/all/mine", "stays")
    made = planned(desk, "unpack", ("~/all.tar.gz",), "~/out")
    assert [clash.path for clash in made.conflicts] == ["all.tar.gz", "all.tar.gz/note.txt"]
    assert made.conflicts[1].source_size == 1 and made.conflicts[1].target_size == 7
    assert planned(desk, "unpack", ("~/all.tar.gz",), "~/out/exactly", exact=True).conflict_count == 0
    assert planned(desk, "unpack", ("~/all.tar.gz",), "~/out/all", exact=True).conflict_count == 2
    assert planned(desk, "unpack", ("~/all.tar.gz",), "~", exclude=("*.log",)).files == 2
    desk.write("broken.zip", "no zip at all")
    made = planned(desk, "unpack", ("~/broken.zip", "~/all.tar.gz"), "~/out")
    assert [problem.path for problem in made.problems] == ["broken.zip"] and made.files == 3


def test_many_clashes_are_counted_and_the_first_listed(both: Desk) -> None:
    for number in range(1100):
        both.write(f"t/{number}", "")
        both.write(f"out/t/{number}", "")
    made = planned(both, "copy", ("~/t",), "~/out")
    assert made.conflict_count == 1100
    assert len(made.conflicts) == 1000


def test_a_synchronisation_counts_all_that_is_new(both: Desk) -> None:
    for name in ("same/a", "new/b", "new/deep/c", "other/d"):
        both.write(f"t/{name}", "12345", mtime=10**18)
    both.write("out/t/same/a", "12345", mtime=10**18)
    both.write("out/t/other", "a file here")
    made = planned(both, "sync", ("~/t",), "~/out/t")
    assert (made.files, made.folders, made.size) == (3, 3, 15)
    assert made.line_count == 2
    assert planned(both, "sync", ("~/t",), "~/nowhere").files == 4
    assert planned(both, "sync", ("~/t",), "~/nowhere", exclude=("deep",)).files == 3
    assert planned(both, "compare", ("~/t",), "~/out/t").line_count == 2
