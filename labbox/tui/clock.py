"""The time that screens show; a module of its own so that pictures of screens can stand still."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """The present time, UTC."""
    return datetime.now(UTC)
