"""A Ctrl+C that is never lost, however shortly before a wait it comes.

Python notes a signal and acts on it at its own next step. Where that step is already the call that waits, for
an answer at a terminal or for news of a job, the call knows nothing of the signal, and waits on. So a thread
hears of each signal through the wake-up pipe, and interrupts the main thread's call until it is acted on.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

_POKE: Final = signal.SIGURG  # does nothing where nobody asks for it
_END: Final = b"\0"  # the number of no signal
_FIRST: Final = (
    0.005  # seconds after a poke until the next; what is about to wait does so within microseconds
)
_LONGEST: Final = 0.5  # seconds, for a main thread that computes


@contextmanager
def heard() -> Iterator[None]:
    """Have every signal that comes meanwhile acted on at once; for the main thread, nothing in another."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    listener = _Listener()
    try:
        yield
    finally:
        listener.close()


class _Listener:
    def __init__(self) -> None:
        self._main = threading.get_ident()
        self._acted = 0
        self._over = False
        self._hears, self._tells = os.pipe()
        os.set_blocking(self._tells, False)
        self._poked_before = signal.signal(_POKE, self._act)
        self._told_before = signal.set_wakeup_fd(self._tells, warn_on_full_buffer=False)
        self._thread: threading.Thread | None = threading.Thread(
            target=self._listen, name="signals", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:  # the person has as many processes as they may: then it is as without
            self._thread = None

    def close(self) -> None:
        self._over = True
        signal.set_wakeup_fd(self._told_before)
        if self._thread is not None:
            with suppress(BlockingIOError):  # so full that it looks anyway
                os.write(self._tells, _END)  # to close it says nothing where a child has it too
            self._thread.join()
        os.close(self._tells)
        os.close(self._hears)
        signal.signal(_POKE, self._poked_before)

    def _act(self, *_: object) -> None:
        """Python acts on all signals that have come where it acts on one."""
        self._acted += 1

    def _listen(self) -> None:
        while not self._over:
            if set(os.read(self._hears, 4096)) <= {_POKE, *_END}:
                continue
            before, pause = self._acted, _FIRST
            while self._acted == before and not self._over:
                signal.pthread_kill(self._main, _POKE)
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST)
