"""What a worker can be asked, what it answers, and the frames in which both travel.

A stream socket carries frames: four bytes of length (network order), then one JSON message. Descriptors come
with the length; each request says which ones it takes, in order. One request is asked at a time and gets any
number of `Report`s, then one `Done` or `Failed`. Closing the socket ends what is being done. A `Transfer` is
steered meanwhile.
"""

from __future__ import annotations

import socket
import struct
from typing import Final

import msgspec

from labbox.errors import Code
from labbox.files.leavings import Leavings
from labbox.files.project import Defaults, ProjectPlan, TemplateView
from labbox.files.removing import Usage
from labbox.files.software.asked import ProjectFile, Software
from labbox.files.tree import Tree
from labbox.model import JobSpec, Progress, TransferSpec, Value
from labbox.protocol import HostSecret, Inspection, TransferSummary

MAX_FRAME: Final = 32 << 20  # bytes; the files that describe an environment travel in one
MAX_DESCRIPTORS: Final = 48  # the folders of a person and of their projects, to be counted
HEADER: Final = struct.Struct("!I")


class Inspect(Value, tag="inspect"):
    """Look at a project folder. Descriptors: none, or the folder itself if it is no path of the person's."""

    path: str  # relative to the home, or absolute below it
    spec: JobSpec
    templates: tuple[TemplateView, ...]
    defaults: Defaults
    places: tuple[str, ...] = ()  # the addresses of the box's own package indexes


class HandIn(Value, tag="hand_in"):
    """Inspect, and snapshot if nothing is wrong. Descriptors: the snapshots; then as for `Inspect`."""

    look: Inspect
    room: int | None = None  # bytes that the person may store; None: no limit


class Prune(Value, tag="prune"):
    """Remove trees not in `keep` nor used since (seconds of the epoch). Descriptors: the snapshots."""

    keep: tuple[str, ...]
    unused_since: float


class Measure(Value, tag="measure"):
    """Count what is below folders. Descriptors: the folders; none for the person's home.

    Of the last `shared` of them only what is the person's own counts, since others store there as well.
    """

    shared: int = 0


class Remove(Value, tag="remove"):
    """Remove an entry with everything below it. Descriptors: the folder that it stands in."""

    name: str


class Export(Value, tag="export"):
    """Write the files of a commit into an empty folder. Descriptors: the bare repository, the folder."""

    commit: str


class BringBack(Value, tag="bring_back"):
    """Move what a run left in its code to its results. Descriptors: what it wrote, snapshot, target."""

    most_bytes: int
    most_files: int
    below: str = ""  # the folder in the target that they go to


class CopyTree(Value, tag="copy_tree"):
    """Copy a snapshot for a run that may write it. Descriptors: the snapshot, an empty folder."""

    most_bytes: int


class TakeIn(Value, tag="take_in"):
    """Give to their people what a login put into shared folders. Descriptors: an SFTP log, or none."""

    began: int  # when the login did, ns of the epoch
    folders: tuple[str, ...]  # all that are shared with the person
    targets: tuple[str, ...] = ()  # without a log: where the login has put something
    start: int = 0  # where to begin in the log


class TookIn(Value, tag="took_in"):
    """Done; `read`: where to begin in the log the next time."""

    read: int = 0


class Understand(Value, tag="understand"):
    """Say what files ask for that an earlier version of labbox handed in."""

    files: tuple[ProjectFile, ...]
    places: tuple[str, ...] = ()


class Pack(Value, tag="pack"):
    """Make a build context of a snapshot. Descriptors: its tree, an empty file to write into."""

    recipe: str
    beside: dict[str, bytes] = msgspec.field(default_factory=dict)


class Transfer(Value, tag="transfer"):
    """Do a transfer, or go on with it where its folder holds a journal.

    Descriptors: the folder; of an undo, that of the transfer which it takes back too.
    """

    spec: TransferSpec
    shared: str = ""  # the folders behind shared:, project: and job:, where there are such
    projects: dict[str, str] = msgspec.field(default_factory=dict)
    jobs: dict[int, str] = msgspec.field(default_factory=dict)
    logins: tuple[HostSecret, ...] = ()
    paused: bool = False  # begin so


Request = (
    Inspect
    | HandIn
    | Understand
    | Pack
    | Prune
    | Measure
    | Remove
    | Export
    | BringBack
    | CopyTree
    | Transfer
    | TakeIn
)


class Looked(Value, tag="looked"):
    """What a project folder holds; `plan` where it can run."""

    inspection: Inspection
    plan: ProjectPlan | None


class HandedIn(Value, tag="handed_in"):
    """What was handed in; without `plan` and trees where the inspection holds an error."""

    inspection: Inspection
    plan: ProjectPlan | None = None
    code: Tree | None = None
    input: Tree | None = None
    beside: Tree | None = None


class UnderstoodFiles(Value, tag="understood"):
    """What they ask for; LabboxError in words instead where they cannot be used."""

    software: Software


class Packed(Value, tag="packed"):
    """It is written."""


class Pruned(Value, tag="pruned"):
    """So many trees are gone."""

    trees: int


class Measured(Value, tag="measured"):
    """One for each folder, in order."""

    usages: tuple[Usage, ...]


class Removed(Value, tag="removed"):
    """It is gone, or was not there."""


class Exported(Value, tag="exported"):
    """The commit's files stand in the folder; `skipped` paths are submodules: empty folders."""

    files: int
    size: int
    skipped: tuple[str, ...] = ()


class BroughtBack(Value, tag="brought_back"):
    """What a run left."""

    leavings: Leavings


class CopiedTree(Value, tag="copied_tree"):
    """The copy is there."""

    size: int


class Transferred(Value, tag="transferred"):
    """The transfer has ended; None: it was cancelled before its end."""

    summary: TransferSummary | None


Result = (
    Looked
    | HandedIn
    | UnderstoodFiles
    | Packed
    | Pruned
    | Measured
    | Removed
    | Exported
    | BroughtBack
    | CopiedTree
    | Transferred
    | TookIn
)


class Ask(Value, tag="ask"):
    """To the worker: do this."""

    id: int
    home: str
    request: Request


class Steer(Value, tag="steer"):
    """To the worker, while it transfers: pause or go on; `cancel`: clean up and end."""

    paused: bool = False
    cancel: bool = False


class Report(Value, tag="report"):
    """From the worker: how far it is; of a transfer now and then what it did so far, too."""

    id: int
    progress: Progress
    summary: TransferSummary | None = None


class Done(Value, tag="done"):
    """From the worker: the answer."""

    id: int
    result: Result


class Failed(Value, tag="failed"):
    """From the worker: a LabboxError."""

    id: int
    code: Code
    message: str
    hint: str = ""


FromWorker = Report | Done | Failed

encode: Final = msgspec.json.Encoder().encode
decode_ask: Final = msgspec.json.Decoder(Ask).decode
decode_steer: Final = msgspec.json.Decoder(Steer).decode
decode_from_worker: Final = msgspec.json.Decoder(FromWorker).decode


def frame(message: Ask | Steer | FromWorker) -> bytes:
    """A message with its length in front; ValueError above MAX_FRAME."""
    data = encode(message)
    if len(data) > MAX_FRAME:
        raise ValueError("the message is too large")
    return HEADER.pack(len(data)) + data


def receive(sock: socket.socket) -> tuple[bytes, list[int]] | None:
    """The next message and its descriptors from a blocking socket; None where the other side has gone."""
    header, descriptors, _flags, _address = socket.recv_fds(sock, HEADER.size, MAX_DESCRIPTORS)
    if not header:
        return None
    header += _exactly(sock, HEADER.size - len(header))
    (length,) = HEADER.unpack(header)
    if length > MAX_FRAME:
        raise ConnectionError("the message is too large")
    return _exactly(sock, length), descriptors


def _exactly(sock: socket.socket, count: int) -> bytes:
    parts = []
    while count > 0:
        part = sock.recv(min(count, 1 << 20))
        if not part:
            raise ConnectionError("the other side ended within a message")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
