"""A box that dies under an open interface, on its own machine."""

from __future__ import annotations

import sys

import pytest
from harness import Terminal, temporary_box

pytestmark = [pytest.mark.root]

# Only the stream of events may find out: the box is not asked how it is while the test lasts.
SCRIPT = """
import sys
from labbox.client import connect
from labbox.tui import app
app.STATUS_EVERY = app.STATUS_SOON = 10**6
raise SystemExit(app.main(connect(sys.argv[1]), "jobs"))
"""
SOON = 12  # seconds; on an idle machine it is one. The client alone would wait for 20 in silence.


def test_a_killed_box_is_said_at_once_and_found_again() -> None:
    with temporary_box(("ada",)) as box:
        shown = Terminal([sys.executable, "-c", SCRIPT, str(box.state / "api.sock")])
        try:
            shown.wait_for("No jobs yet", "CPU 0/")
            died = len(shown.data)
            box.kill()
            shown.wait_for("The box does not answer; trying again", seconds=SOON, start=died)
            box.start()
            back = len(shown.data)
            box.client(act_as="ada").submit_job(path=box.put("ada", "study", {"code/run.sh": "echo"}))
            shown.wait_for("study", start=back)
        finally:
            shown.close()
