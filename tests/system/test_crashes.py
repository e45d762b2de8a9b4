"""The daemon is killed twenty times under load; nothing may be lost or done twice."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from crash import crash
from harness import Box, percentile

pytestmark = [pytest.mark.engine, pytest.mark.root]


@pytest.mark.timeout(900)  # at a load of 15, seven times what it takes alone
def test_twenty_kills_lose_nothing() -> None:
    folder = Path(tempfile.mkdtemp(prefix="labbox-crash-", dir="/var/tmp"))
    folder.chmod(0o755)
    box = Box(folder, ("ada",), "[jobs]\ncpus = 4\n")
    try:
        findings = crash(box, kills=20)
    finally:
        box.stop()
        shutil.rmtree(folder, ignore_errors=True)
    assert findings.clean, findings
    assert findings.jobs > 10
    assert percentile(findings.own_recoveries, 0.99) < 3, findings.own_recoveries
