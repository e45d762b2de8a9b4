"""The words for how accounts stand."""

from __future__ import annotations

import json
from typing import Any


def test_people_are_suspended_let_in_again_and_edited(served: Any, labbox: Any) -> None:
    refused = labbox("user", "suspend", "grace")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert "grace is suspended: running jobs go on" in labbox("user", "suspend", "grace", "--yes").out
    assert "suspended" in labbox("user", "show", "grace").out
    assert labbox("user", "unsuspend", "grace").code == 0
    assert labbox("user", "unsuspend", "grace").code == 1
    words = ("--full-name", "Grace Hopper", "--expires", "2090-09-30")
    edited = json.loads(labbox("user", "edit", "grace", *words, "--json").out)
    assert edited["full_name"] == "Grace Hopper"
    assert edited["expires_at"].startswith(("2090-09-30", "2090-10-01"))
    listed = labbox("user", "list").out
    assert "Grace Hopper" in listed
    assert "active until 2090-09-30" in listed
    forever = json.loads(labbox("user", "edit", "grace", "--expires", "never", "--json").out)
    assert forever.get("expires_at") is None
    assert labbox("user", "edit", "grace").code == 2
    assert labbox("user", "invite", "zoe").code == 0
    assert "withdrawn" in labbox("user", "invite", "zoe", "--withdraw").out
    assert labbox("user", "invite", "zoe", "--withdraw").code == 1
