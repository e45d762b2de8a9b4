"""How a command ended."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Done:
    code: int
    out: str
    err: str
