"""A client that one thread closes while another reads: the reader is told in words, and nothing breaks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import labbox.client
from labbox.errors import LabboxError

if TYPE_CHECKING:
    from serving import Served


def test_a_stream_that_is_closed_by_another_thread_ends_in_words(served: Served) -> None:
    with labbox.client.connect(str(served.socket), act_as="ada") as asking:
        for turn in range(40):
            ended = _closed_while_reading(served, turn)
            assert all(isinstance(error, LabboxError) for error in ended), ended
            assert asking.whoami().name == "ada"


def _closed_while_reading(served: Served, turn: int) -> list[Exception]:
    box = labbox.client.connect(str(served.socket), act_as="ada")
    reading = threading.Event()
    ended: list[Exception] = []

    def watch() -> None:
        try:
            box.whoami()
            reading.set()
            for _ in box.events(after=0, follow=True):
                pass
        except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at by the caller
            ended.append(error)

    watcher = threading.Thread(target=watch)
    watcher.start()
    if turn % 2:
        reading.wait(20)
    box.close()
    watcher.join(20)
    assert not watcher.is_alive()
    return ended
