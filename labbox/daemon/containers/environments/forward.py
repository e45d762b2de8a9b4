"""Inside a container without a way out: ports of its loopback lead to sockets that it was given.

``python3 -I -S forward.py PORT=SOCKET… -- PROGRAM WORD…`` listens, says ``ready``, and becomes the program.
It runs with the Python of any image, so it needs nothing but the standard library.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading


def pump(source: socket.socket, target: socket.socket) -> None:
    """Hand on what comes until it ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def connect(near: socket.socket, path: str) -> None:
    """One connection to the socket `path`, both ways."""
    with near, socket.socket(socket.AF_UNIX) as far:
        with contextlib.suppress(OSError):
            far.connect(path)
            back = threading.Thread(target=pump, args=(far, near))
            back.start()
            pump(near, far)
            back.join()


def accept(listening: socket.socket, path: str) -> None:
    """Serve one port for good."""
    while True:
        near, _ = listening.accept()
        threading.Thread(target=connect, args=(near, path), daemon=True).start()


def main() -> None:
    """Listen, leave that to a child, and become the program."""
    split = sys.argv.index("--")
    listeners = []
    for word in sys.argv[1:split]:
        port, _, path = word.partition("=")
        listening = socket.create_server(("127.0.0.1", int(port)), backlog=128)
        listeners.append((listening, path))
    if os.fork() == 0:
        for pair in listeners[1:]:
            threading.Thread(target=accept, args=pair, daemon=True).start()
        accept(*listeners[0])
    for listening, _ in listeners:
        listening.close()
    os.write(1, b"ready\n")
    os.execvp(sys.argv[split + 1], sys.argv[split + 1 :])  # noqa: S606 - that is what it was given


if __name__ == "__main__":
    main()
