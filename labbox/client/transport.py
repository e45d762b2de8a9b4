"""How requests reach a box: HTTP/1.1 over its Unix socket, or over what ``ssh … api`` reads and writes."""

from __future__ import annotations

import http.client
import os
import select
import socket
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Final, Protocol, TypeVar, cast, get_args
from urllib.parse import quote, urlencode

import msgspec

from labbox.client.ssh import Words, why
from labbox.errors import Code, LabboxError
from labbox.protocol import ErrorBody

Message = TypeVar("Message")
Query = Mapping[str, str | int | float | bool | None]

CONNECT_TIMEOUT: Final = 10.0  # seconds
REQUEST_TIMEOUT: Final = 60.0  # seconds
LONG_TIMEOUT: Final = 3600.0  # seconds; a submission copies its folder first
STREAM_SILENCE: Final = 45.0  # seconds; the box says something every 15
PATIENCE: Final = 20.0  # seconds in which a box that answered before may restart
MAX_MESSAGE: Final = 64 << 20  # bytes
_CODES: Final = frozenset(get_args(Code))


class Route(Protocol):
    """A way to a box."""

    @property
    def where(self) -> str:
        """The address, for people."""

    def open(self) -> socket.socket:
        """A connected stream socket; LabboxError "unavailable" where there is none."""

    def why_lost(self, sock: socket.socket | None) -> LabboxError | None:
        """The way's own word on why this socket ended; None where it has none."""


class UnixRoute:
    """The Unix socket of a box on this machine."""

    def __init__(self, path: str) -> None:
        """Keep the path; it may not exist yet."""
        self.where = path

    def open(self) -> socket.socket:
        """Connect to the socket."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(CONNECT_TIMEOUT)
        try:
            sock.connect(self.where)
        except FileNotFoundError as error:
            sock.close()
            raise LabboxError(
                "unavailable",
                f"cannot reach the box: there is no socket at {self.where}",
                "./autoboot.sh starts it; --socket or LABBOX_SOCKET name another: STATE/api.sock",
            ) from error
        except (OSError, ValueError) as error:
            sock.close()
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise LabboxError(
                "unavailable",
                f"cannot reach the box at {self.where}: {reason or 'no answer in time'}",
                "is it running? ./autoboot.sh status says so, ./autoboot.sh starts it",
            ) from error
        return sock

    def why_lost(self, sock: socket.socket | None) -> LabboxError | None:
        """A socket says nothing of itself."""
        return None


class SshRoute:
    """A box reached by the system's own ``ssh``, which asks for keys, passwords and host keys as always."""

    def __init__(self, target: str, port: int | None) -> None:
        """Keep ``user@host`` and the port (None: what ssh's configuration says)."""
        self.target = target
        self.port = port
        self._words: weakref.WeakKeyDictionary[socket.socket, Words] = weakref.WeakKeyDictionary()

    @classmethod
    def parse(cls, address: str) -> SshRoute:
        """From ``ssh://[user@]host[:port]``."""
        rest = address.removeprefix("ssh://").rstrip("/")
        user, at, place = rest.rpartition("@")
        host, colon, port = place.rpartition(":")
        if not colon or place.endswith("]"):
            host, port = place, ""
        host = host.strip("[]")
        if not host or rest.startswith("-") or host.startswith("-") or (port and not port.isdigit()):
            raise LabboxError(
                "usage", f"cannot understand the address {address!r}", "write it as ssh://USER@HOST:PORT"
            )
        return cls(f"{user}{at}{host}", int(port) if port else None)

    @property
    def where(self) -> str:
        """The address, for people."""
        return f"ssh://{self.target}" + (f":{self.port}" if self.port else "")

    def open(self) -> socket.socket:
        """Start ``ssh … api`` with one end of a socket pair as its standard input and output."""
        import subprocess

        command = ["ssh", "-T", "-e", "none", "-o", "ServerAliveInterval=15", "-o", "ConnectTimeout=15"]
        if self.port:
            command += ["-p", str(self.port)]
        command += ["--", self.target, "api"]
        ours, theirs = socket.socketpair()
        try:
            process = subprocess.Popen(  # noqa: S603 - no shell, and the target cannot be an option
                command, stdin=theirs.fileno(), stdout=theirs.fileno(), stderr=subprocess.PIPE
            )
        except OSError as error:
            ours.close()
            raise LabboxError(
                "unavailable", f"cannot start ssh: {error.strerror}", "install an OpenSSH client"
            ) from error
        finally:
            theirs.close()
        ours.settimeout(REQUEST_TIMEOUT)
        # Someone has to collect its exit status when it ends.
        threading.Thread(target=process.wait, name="ssh", daemon=True).start()
        if process.stderr is not None:
            self._words[ours] = Words(process.stderr)
        # The far end takes our end's closing for a client that may still want an answer. Nobody does when the
        # socket is gone, nor when a script ends without `close`: its ssh would keep its standard error open.
        weakref.finalize(ours, process.terminate)
        return ours

    def why_lost(self, sock: socket.socket | None) -> LabboxError | None:
        """What ssh said before it ended."""
        words = self._words.get(sock) if sock is not None else None
        return why(words.all(), self.target, self.port) if words is not None else None


class _Connection(http.client.HTTPConnection):
    """An HTTP connection over a `Route`."""

    def __init__(self, route: Route) -> None:
        super().__init__("labbox", timeout=REQUEST_TIMEOUT)
        self._route = route

    def connect(self) -> None:
        self.sock = self._route.open()

    def __del__(self) -> None:
        self.close()  # the thread that used it has ended

    def shut(self) -> None:
        """Wake up whoever waits on it in another thread; they close it, lest it vanish under them."""
        sock: socket.socket | None = self.sock
        if sock is not None:
            with suppress(OSError):  # it was not connected any more
                sock.shutdown(socket.SHUT_RDWR)

    @property
    def usable(self) -> bool:
        """Open, and not closed by the other side while it was idle."""
        if self.sock is None:
            return False
        readable, _, _ = select.select([self.sock], [], [], 0)
        return not readable

    def limit(self, seconds: float) -> None:
        """Wait at most so long for each piece of an answer."""
        if self.sock is None:
            self.connect()
        self.sock.settimeout(seconds)


class Transport:
    """Sends requests; one persistent connection per thread, made anew when the box was restarted."""

    def __init__(self, route: Route, act_as: str | None = None) -> None:
        """Keep the route; nothing is opened yet."""
        self.route = route
        self._headers = {"Accept": "application/json"}
        if act_as is not None:
            self._headers["Labbox-As"] = quote(act_as)
        self._mine = threading.local()
        self._all: weakref.WeakSet[_Connection] = weakref.WeakSet()
        self._reached = False
        self._closed = False

    def close(self) -> None:
        """Close all connections, of all threads, for good."""
        self._closed = True
        for connection in list(self._all):
            connection.shut()
        mine: _Connection | None = getattr(self._mine, "connection", None)
        if mine is not None:
            mine.close()

    @property
    def closed(self) -> bool:
        """Whether it was closed for good."""
        return self._closed

    def get(self, path: str, answer: type[Message], query: Query | None = None) -> Message:
        """Ask for something; asked again for a while if the box is being restarted."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return msgspec.json.decode(self._exchange("GET", _target(path, query), None), type=answer)
            except LabboxError as error:
                if not self.pause_before_retry(error, deadline):
                    raise

    def send(
        self,
        method: str,
        path: str,
        answer: type[Message],
        body: msgspec.Struct | None = None,
        query: Query | None = None,
        timeout: float = REQUEST_TIMEOUT,
    ) -> Message:
        """Ask for a change; never sent twice."""
        try:
            data = None if body is None else msgspec.json.encode(body)
        except UnicodeEncodeError as error:
            raise LabboxError(
                "invalid",
                f"cannot send {error.object[:80]!r}: it is not text in UTF-8",
                "rename the file or folder",
            ) from error
        return msgspec.json.decode(
            self._exchange(method, _target(path, query), data, timeout=timeout), type=answer
        )

    def lines(self, path: str, query: Query, until: float | None = None) -> Iterator[bytes]:
        """The lines of one streamed answer, on a connection of its own; ends or raises "unavailable".

        TimeoutError at `until` (monotonic), whether lines come or not.
        """
        connection = _Connection(self.route)
        self._all.add(connection)
        try:
            response = self._request(connection, "GET", _target(path, query), None, STREAM_SILENCE)
            sock = connection.sock
            self._reached = True
            if response.status >= 400:
                raise _refusal(response.status, response.read(MAX_MESSAGE))
            pieces = _split(response, lambda: self._lost(sock))
            while True:
                if until is not None and sock is not None:
                    left = until - time.monotonic()
                    if left <= 0:
                        raise TimeoutError("the stream was to end by now")
                    sock.settimeout(min(left, STREAM_SILENCE))
                try:
                    line = next(pieces, None)
                except LabboxError:
                    if until is not None and time.monotonic() >= until:
                        raise TimeoutError("the stream was to end by now") from None
                    raise
                if line is None:
                    return
                yield line
        finally:
            connection.close()

    def upgrade(self, path: str, protocol: str, query: Query) -> socket.socket:
        """Turn a new connection into a raw one; LabboxError where the box refuses."""
        sock = self.route.open()
        try:
            sock.settimeout(REQUEST_TIMEOUT)
            headers = {
                "Host": "labbox",
                "Connection": "Upgrade",
                "Upgrade": protocol,
                "Content-Length": "0",
                **self._headers,
            }
            lines = [f"POST {_target(path, query)} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items())]
            sock.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("ascii"))
            head = b""
            while not head.endswith(b"\r\n\r\n"):  # byte by byte: what follows belongs to the caller
                piece = sock.recv(1)
                if not piece or len(head) > 65536:
                    raise self._lost(sock)
                head += piece
            status = int(head.split(b" ", 2)[1])
            if status != 101:
                raise _refusal(status, _rest(sock, head))
            sock.settimeout(None)
        except OSError as error:
            lost = self._lost(sock)
            sock.close()
            raise lost from error
        except LabboxError:
            sock.close()
            raise
        return sock

    def pause_before_retry(self, error: LabboxError, deadline: float) -> bool:
        """Wait a little if it is worth asking again before `deadline` (monotonic); else False.

        Only a box that has answered before, and does not answer now, is waited for.
        """
        refused = isinstance(error, RefusedError)
        hopeless = self._closed or not self._reached or time.monotonic() >= deadline
        if error.code != "unavailable" or refused or hopeless:
            return False
        time.sleep(0.1)
        return True

    def _exchange(
        self, method: str, target: str, data: bytes | None, timeout: float = REQUEST_TIMEOUT
    ) -> bytes:
        connection: _Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = _Connection(self.route)
            self._all.add(connection)
        elif not connection.usable:
            connection.close()
        try:
            response = self._request(connection, method, target, data, timeout)
            body = response.read(MAX_MESSAGE)
        except (OSError, http.client.HTTPException) as error:
            lost = self._lost(connection.sock)
            connection.close()
            raise lost from error
        except BaseException:
            connection.close()  # an interrupted exchange leaves half an answer behind
            raise
        self._reached = True
        if response.status >= 400:
            raise _refusal(response.status, body)
        return body

    def _request(
        self, connection: _Connection, method: str, target: str, data: bytes | None, timeout: float
    ) -> http.client.HTTPResponse:
        if self._closed:
            raise LabboxError("unavailable", "cannot ask the box: this client was closed")
        headers = self._headers if data is None else {**self._headers, "Content-Type": "application/json"}
        sock: socket.socket | None = None
        try:
            connection.limit(timeout)
            if self._closed:  # meanwhile, by another thread, which saw nothing yet that it could close
                raise OSError("closed")
            sock = connection.sock  # it lets go of it when the answer ends at once
            connection.request(method, target, body=data, headers=headers)
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            lost = self._lost(sock)
            connection.close()
            raise lost from error

    def _lost(self, sock: socket.socket | None) -> LabboxError:
        """Why a connection ended, in the words of the way where it has some."""
        return (None if self._closed else self.route.why_lost(sock)) or _lost(self.route.where)


class RefusedError(LabboxError):
    """The box answered with a refusal; asking again would not help."""


def segment(text: str) -> str:
    """One segment of a path."""
    return quote(text, safe="")


def _target(path: str, query: Query | None) -> str:
    words = {
        key: str(value).lower() if isinstance(value, bool) else str(value)
        for key, value in (query or {}).items()
        if value is not None
    }
    return f"{path}?{urlencode(words)}" if words else path


def _lost(where: str) -> LabboxError:
    return LabboxError(
        "unavailable",
        f"cannot hear the box at {where}: the connection was lost",
        "`labbox status` says whether it runs",
    )


def _refusal(status: int, body: bytes) -> RefusedError:
    try:
        error = msgspec.json.decode(body, type=ErrorBody)
    except msgspec.DecodeError:
        return RefusedError("internal", f"cannot understand the box's answer (status {status})")
    code = cast("Code", error.code) if error.code in _CODES else "internal"
    return RefusedError(code, error.message, error.hint)


def _split(response: http.client.HTTPResponse, lost: Callable[[], LabboxError]) -> Iterator[bytes]:
    """Lines out of a stream, each without its end; a line is capped at `MAX_MESSAGE`."""
    rest = b""
    while True:
        try:
            piece = response.read1(1 << 16)
        except (OSError, http.client.HTTPException) as error:
            raise lost() from error
        if not piece:
            if rest:
                raise lost()
            return
        *whole, rest = (rest + piece).split(b"\n")
        yield from (line for line in whole if line)
        if len(rest) > MAX_MESSAGE:
            raise LabboxError("internal", "cannot read the box's answer: a message is too long")


def _rest(sock: socket.socket, head: bytes) -> bytes:
    """The body of a refusal whose head was read by hand."""
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = min(int(value), MAX_MESSAGE)
    body = b""
    while len(body) < length:
        piece = sock.recv(length - len(body))
        if not piece:
            break
        body += piece
    return body


def pump(sock: socket.socket, read: int, write: int, *, linger: float | None = None) -> None:
    """Carry raw bytes between a socket and two descriptors until the socket closes.

    The end of the input closes that direction of the socket; with `linger` it does not (an HTTP server would
    take that for the end of all), and so many seconds of silence after it end everything.
    """
    reading = True
    while True:
        watched: list[int] = [sock.fileno()] + ([read] if reading else [])
        readable, _, _ = select.select(watched, [], [], None if reading else linger)
        if not readable:
            return
        if read in readable:
            data = os.read(read, 1 << 16)
            if data:
                sock.sendall(data)
            else:
                reading = False
                if linger is None:
                    sock.shutdown(socket.SHUT_WR)
        if sock.fileno() in readable:
            data = sock.recv(1 << 16)
            if not data:
                return
            view = memoryview(data)
            while view:
                view = view[os.write(write, view) :]
