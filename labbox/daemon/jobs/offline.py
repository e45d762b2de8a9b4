"""A run that failed for want of a network: its last words tell, and people should read what to ask for."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import msgspec

from labbox.daemon.jobs.lacking import lacked
from labbox.daemon.jobs.outcome import Outcome
from labbox.model import JobState, ReasonCode

_TAIL: Final = 16 << 10  # bytes of each stream's end that are looked at
_SAID: Final = re.compile(  # as libc, curl, git, Java, Go, Python and R put it
    rb"name resolution|Name or service not known|Could not resolve host|No address associated with hostname"
    rb"|Network is unreachable|UnknownHostException|dial tcp: lookup|getaddrinfo|cannot open URL",
    re.IGNORECASE,
)


def with_network_missed(outcome: Outcome, spool: Path) -> Outcome:
    """The outcome of a run without network, with the way out where its last words complain of that."""
    reason = outcome.reason
    if outcome.state is not JobState.FAILED or reason is None or reason.code is not ReasonCode.EXIT:
        return outcome
    if not any(_SAID.search(_tail(spool / stream)) for stream in ("stderr", "stdout")):
        return outcome
    text = f"{reason.text}; it had no network (--network asks for it)"
    return msgspec.structs.replace(outcome, reason=msgspec.structs.replace(reason, text=text))


def with_lack_named(outcome: Outcome, spool: Path) -> Outcome:
    """The outcome of a run that failed, with what it lacked and where to write that, if that is told."""
    reason = outcome.reason
    if outcome.state is not JobState.FAILED or reason is None or reason.code is not ReasonCode.EXIT:
        return outcome
    for stream in ("stderr", "stdout"):
        if said := lacked(_tail(spool / stream)):
            text = f"{reason.text}; {said}"
            return msgspec.structs.replace(outcome, reason=msgspec.structs.replace(reason, text=text))
    return outcome


def _tail(path: Path) -> bytes:
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # it wrote nothing, or made something else of its spool
        return b""
    try:
        return os.pread(file, _TAIL, max(0, os.fstat(file).st_size - _TAIL))
    except OSError:
        return b""
    finally:
        os.close(file)
