"""How a command ended."""

from __future__ import annotations

from dataclasses import dataclass

_FAULTS = ("Traceback (most recent call last)", "Exception in thread", "Exception ignored in")


def no_fault(said: str) -> None:
    """A verb that ends with a traceback, of whatever thread, has a fault, however well the rest went."""
    assert not [fault for fault in _FAULTS if fault in said], said


@dataclass
class Done:
    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        no_fault(self.err)
