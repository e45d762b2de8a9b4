"""Files of a person of a box, and what a command about them came to."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


def put(home: Path, path: str, content: bytes | str = b"") -> Path:
    made = home / path
    owner = home.stat()
    for folder in reversed([above for above in made.parents if above != home and home in above.parents]):
        if not folder.exists():
            folder.mkdir()
            os.chown(folder, owner.st_uid, owner.st_gid)
    made.write_bytes(content.encode() if isinstance(content, str) else content)
    os.chown(made, owner.st_uid, owner.st_gid)
    return made


def ok(done: subprocess.CompletedProcess[str], code: int = 0) -> str:
    assert done.returncode == code, (done.stdout, done.stderr)
    return done.stdout
