"""`labbox project`: made, listed, changed and removed; what others than administrators may."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

import labbox.client
from labbox.errors import LabboxError

if TYPE_CHECKING:
    from done import Done
    from serving import Served

Run = Callable[..., "Done"]


@pytest.fixture
def box(labbox: Run) -> Run:
    return labbox


def test_projects_are_made_listed_changed_and_removed(served: Served, box: Run) -> None:
    done = box("project", "add", "atlas", "--member", "ada")
    assert (done.code, done.out) == (0, "project atlas: ada\n")
    assert (
        box("project", "member", "atlas", "--add", "grace", "--remove", "ada").out == "project atlas: grace\n"
    )
    lines = box("project", "list").out.splitlines()
    assert [line.split()[0::2] for line in lines] == [["NAME", "MEMBERS"], ["atlas", "grace"]]
    page = json.loads(box("project", "list", "--json").out)
    assert page["projects"][0]["members"] == ["grace"]
    shown = box("project", "member", "atlas")
    assert (shown.code, shown.out) == (0, "grace\n")
    assert json.loads(box("project", "member", "atlas", "--json").out)["members"] == ["grace"]
    assert box("project", "member", "nothing").err.startswith("error: cannot find a project “nothing”\n")
    assert box("project", "member", "atlas", "--add", "eve").code == 1
    with labbox.client.connect(str(served.socket), act_as="grace") as grace:
        assert grace.whoami().projects == {"atlas": str(served.folder / "projects/atlas")}
        assert grace.whoami().shared == str(served.folder / "shared")
    assert box("project", "remove", "atlas").out == (
        "project atlas is removed; its folder stays on the disk, --delete-files would delete it\n"
    )
    assert (served.folder / "projects/atlas").is_dir()
    box("project", "add", "mars")
    refused = box("project", "remove", "mars", "--delete-files")
    assert (refused.code, (served.folder / "projects/mars").is_dir()) == (2, True)
    assert refused.err.startswith("error: cannot delete the files of mars without a yes")
    assert box("project", "remove", "mars", "--delete-files", "--yes").code == 0
    entries = json.loads(box("audit", "--json").out)["entries"]
    assert [one["action"] for one in entries if one["action"].startswith("project")] == [
        "project remove",
        "project add",
        "project remove",
        "project member remove",
        "project member add",
        "project add",
    ]


def test_members_see_their_projects_and_change_none(served: Served, box: Run) -> None:
    box("project", "add", "atlas", "--member", "ada")
    box("project", "add", "other", "--member", "grace")
    with labbox.client.connect(str(served.socket), act_as="ada") as ada:
        assert [one.name for one in ada.list_projects().projects] == ["atlas"]
        for refused in (
            lambda: ada.add_project("mine"),
            lambda: ada.join_project("other", "ada"),
            lambda: ada.leave_project("atlas", "ada"),
            lambda: ada.remove_project("atlas", delete_files=True),
        ):
            with pytest.raises(LabboxError) as caught:
                refused()
            assert caught.value.code == "forbidden"
