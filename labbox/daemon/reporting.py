"""What the daemon says of itself: its log on standard error."""

from __future__ import annotations

import logging
import os
import sys
from typing import Final

from labbox.text import visible_line

_LEVELS: Final = {
    logging.DEBUG: "<7>",
    logging.INFO: "<6>",
    logging.WARNING: "<4>",
    logging.ERROR: "<3>",
    logging.CRITICAL: "<2>",
}


class _Lines(logging.Formatter):
    """One line per event, control characters made visible; a traceback follows indented.

    Under systemd the journal has the time and takes the level from the prefix of sd-daemon(3).
    """

    def __init__(self, *, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        level = _LEVELS.get(record.levelno, "<6>") if self._journal else f"{record.levelname.lower():<7} "
        stamp = "" if self._journal else self.formatTime(record, "%Y-%m-%d %H:%M:%S") + " "
        line = f"{level if self._journal else ''}{stamp}{'' if self._journal else level}{record.name}: "
        line += visible_line(record.getMessage())
        if record.exc_info:
            line += "".join(f"\n    {visible_line(part)}" for part in self._trace(record).splitlines())
        return line

    def _trace(self, record: logging.LogRecord) -> str:
        return self.formatException(record.exc_info) if record.exc_info else ""


def set_up_log() -> None:
    """Send what the daemon has to say to standard error; libraries only from warnings up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Lines(journal="JOURNAL_STREAM" in os.environ))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("labbox").setLevel(os.environ.get("LABBOX_LOG", "INFO").upper())
