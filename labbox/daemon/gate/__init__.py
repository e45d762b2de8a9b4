"""The SSH front door: who may come in, what they may start, and the way of their bytes."""

from labbox.daemon.gate.server import Gate
from labbox.daemon.gate.sessions import SessionInfo, Sessions

__all__ = ["Gate", "SessionInfo", "Sessions"]
