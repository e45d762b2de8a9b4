"""What a process of the box says of itself to the service manager, where there is one."""

from __future__ import annotations

import logging
import os
import socket


def notify_systemd(state: str) -> None:
    """Tell the service manager (sd_notify(3)); nothing where there is none."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
        sock.settimeout(1.0)
        try:
            sock.sendto(state.encode(), address)
        except OSError as error:
            logging.getLogger("labbox").warning("cannot notify systemd: %s", error.strerror or error)
