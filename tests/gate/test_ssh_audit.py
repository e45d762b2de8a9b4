"""`ssh-audit`, the judge of SSH servers, finds nothing to fail."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


async def test_ssh_audit_finds_nothing_to_fail(box: Any) -> None:
    program = Path(sys.executable).parent / "ssh-audit"
    done = await box.run([str(program), "--skip-rate-test", "-jj", "-p", str(box.port), "127.0.0.1"])
    report = json.loads(done.stdout)
    judged = [entry for part in ("kex", "key", "enc", "mac") for entry in report[part]]
    assert len(judged) > 10
    assert [entry["algorithm"] for entry in judged if entry["notes"].get("fail")] == []
    assert report["cves"] == []
