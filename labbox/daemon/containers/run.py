"""One confined run: what it may see and use, and the engine's words for that. Pure but for the spool folder.

The confinement is DESIGN.md's: the user's ids, no capability, no new privilege, the engine's seccomp profile,
a read-only root, limits on CPU, memory, processes and file sizes, no network unless asked for.
"""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path
from typing import Any, Final

import msgspec

from labbox.daemon.containers.layers import Layer, volume_mounts
from labbox.errors import LabboxError
from labbox.model import GIB, Value

BUSYBOX: Final = Path("/bin/busybox")  # static (Debian's busybox-static): runs in every image
NETWORK: Final = "labbox"  # a bridge on which containers do not reach each other
OWNER_LABEL: Final = "labbox.owner"
HOSTS_LABEL: Final = "labbox.hosts"  # the hosts that are open to it, by spaces: a new daemon opens them again
GATE_LABEL: Final = "labbox.gate"
GPU_LABEL: Final = "labbox.gpus"  # the indexes of the devices that a container has, by commas

# Where the engine may not raise limits (no CAP_SYS_RESOURCE), more than it has itself cannot be given.
_OPEN_FILES: Final = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
_OOM_SCORE: Final = 500  # of -1000 to 1000: where the whole box lacks memory, jobs go before its services
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,200}")
_HOST: Final = re.compile(r"(?P<host>[A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):(?P<port>[0-9]{1,5})")

# What runs first in every container, in a shell that is labbox's own; `$1` is what goes before the image's
# PATH, the command's words are arguments of their own to the end, so no quoting touches them. The program is
# looked up here, because busybox would take its own `sh` or `sort` for the image's. Nothing set is exported.
_BEGIN: Final = """\
/labbox/busybox mkdir -p "$HOME"
[ -z "$1" ] || export PATH="$1:$PATH"
labbox_program=$2
shift 2
"""
_WAIT_FOR_HOSTS: Final = "until [ -e /labbox/gate/open ]; do /labbox/busybox sleep 0.01; done\n"
# Somebody must hold the pipe open for writing while the daemon restarts, until the input is said to have
# ended: this waits for the daemon to open the second pipe. Init's child, which the command never waits for.
_HOLD_INPUT: Final = "( { read -r _ </labbox/close; } 3>/labbox/stdin & )\n"
_FIND: Final = """\
case $labbox_program in */*) ;; *)
    set -f
    IFS=:
    for labbox_folder in $PATH; do
        if [ -f "$labbox_folder/$labbox_program" ] && [ -x "$labbox_folder/$labbox_program" ]; then
            labbox_program=$labbox_folder/$labbox_program
            break
        fi
    done
    case $labbox_program in */*) ;; *)
        echo "cannot run $labbox_program: there is no such program in the image" >>/labbox/stderr
        exit 127 ;;
    esac ;;
esac
"""
_EXEC: Final = 'exec "$labbox_program" "$@" >>/labbox/stdout 2>>/labbox/stderr'


class Bind(Value):
    """A folder or file of the box in the container; `source` is a path that only root can rearrange."""

    source: Path
    target: str
    read_only: bool = True


class Opening(Value):
    """A `host:port` outside that a run without network may reach, and where it finds it inside."""

    host: str
    port: int
    address: str  # of the loopback device in the container
    literal: bool  # the host is an address itself, no name


class RunSpec(Value):
    """All that decides how one container runs; sizes are bytes.

    `spool` belongs to this run alone: its `stdout` and `stderr` get what the command writes.
    `path` goes before the image's own PATH. `environment` is mounted at its own path.
    """

    name: str
    image: str
    command: tuple[str, ...]
    uid: int
    gid: int
    user_name: str
    output: Path
    spool: Path
    cpus: float
    memory: int
    code: Path | None = None  # mounted read-only
    layers: tuple[Layer, ...] = ()
    input: Path | None = None
    environment: Path | None = None
    mounts: tuple[Bind, ...] = ()
    env: dict[str, str] = msgspec.field(default_factory=dict)
    path: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    gpus: int = 0
    pids: int = 512
    tmp_bytes: int = GIB
    file_bytes: int | None = None  # the largest file that it may write
    network: bool = False
    hosts: tuple[str, ...] = ()  # "host:port" to open where there is no network
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    stdin: bool = False
    cwd: str = "/code"
    home: str = "/tmp/home"  # noqa: S108 - inside the container's own tmpfs
    hostname: str = "job"


def check(run: RunSpec) -> None:
    """LabboxError "invalid" for what the engine would take for something else, or not at all."""

    def refuse(why: str) -> LabboxError:
        return LabboxError("invalid", f"cannot run {run.name}: {why}")

    if not _NAME.fullmatch(run.name):
        raise LabboxError("invalid", "cannot run a container of that name: letters, digits, . _ - only")
    if run.uid <= 0 or run.gid <= 0 or 0 in run.groups:
        raise refuse("no job runs as root")
    if not run.command:
        raise refuse("there is no command")
    for word in (*run.command, *run.env.keys(), *run.env.values()):
        if "\0" in word:
            raise refuse("a NUL in the command or its environment")
        try:
            word.encode()
        except UnicodeEncodeError:
            raise refuse("the command or its environment holds a name that is not UTF-8") from None
    if any("=" in name or not name for name in run.env):
        raise refuse("an environment variable without a proper name")


def openings(hosts: tuple[str, ...]) -> tuple[Opening, ...]:
    """What to listen on inside, for each `host:port`: every host has a loopback address of its own."""
    addresses: dict[str, str] = {}
    found: list[Opening] = []
    for text in hosts:
        match = _HOST.fullmatch(text)
        if match is None or not 0 < int(match["port"]) < 65536:
            raise LabboxError(
                "invalid",
                f"cannot open {text!r} to a job: it is no host:port",
                'write it as "licence.example:27000"',
            )
        host = match["host"].strip("[]")
        if ":" in host:
            raise LabboxError(
                "invalid", f"cannot open {text!r} to a job: IPv6 addresses cannot be opened", "give its name"
            )
        if host == "localhost":  # a server on the box itself; inside, the name has its address already
            host = "127.0.0.1"
        literal = re.fullmatch(r"[0-9.]+", host) is not None
        address = addresses.setdefault(host, host if literal else f"127.0.1.{len(addresses) + 1}")
        found.append(Opening(host=host, port=int(match["port"]), address=address, literal=literal))
    return tuple(found)


def container_config(run: RunSpec, *, gpus: tuple[int, ...] = (), cgroup_parent: str = "") -> dict[str, Any]:
    """The body of `POST /containers/create` (engine API 1.41) for a run whose spool is prepared."""
    opened = openings(run.hosts) if run.hosts and not run.network else ()
    script = _BEGIN + (_WAIT_FOR_HOSTS if opened else "") + (_HOLD_INPUT if run.stdin else "") + _FIND + _EXEC
    if run.stdin:
        script += " </labbox/stdin"
    env = {"HOME": run.home, "USER": run.user_name, "LOGNAME": run.user_name, "TMPDIR": "/tmp", **run.env}  # noqa: S108 - inside
    labels = dict(run.labels)
    if gpus:
        labels[GPU_LABEL] = ",".join(str(one) for one in gpus)
    if opened:
        labels[HOSTS_LABEL] = " ".join(run.hosts)
        labels[GATE_LABEL] = str(run.spool / "gate")
    return {
        "Image": run.image,
        "Entrypoint": ["/labbox/busybox", "sh", "-c", script, "labbox"],
        "Cmd": [":".join(run.path), *run.command],
        "User": f"{run.uid}:{run.gid}",
        "WorkingDir": run.cwd,
        "Env": [f"{name}={value}" for name, value in env.items()],
        "Labels": labels,
        "Hostname": run.hostname,
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGTERM",
        "HostConfig": {
            "Init": True,
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "GroupAdd": [str(group) for group in run.groups],
            "NanoCpus": max(10_000_000, round(run.cpus * 1e9)),
            "Memory": run.memory,
            "MemorySwap": run.memory,  # memory and swap together: so no swap
            "ShmSize": run.tmp_bytes,
            "PidsLimit": run.pids,
            "OomScoreAdj": _OOM_SCORE,
            "Ulimits": [
                {"Name": name, "Soft": limit, "Hard": limit}
                for name, limit in (("nofile", _OPEN_FILES), ("core", 0), ("fsize", run.file_bytes))
                if limit is not None
            ],
            # The owner matters: runc up to 1.1 gives it the mode of the image's /tmp, whatever is asked for.
            "Tmpfs": {  # inside the container
                "/tmp": f"rw,exec,nosuid,nodev,mode=1777,uid={run.uid},gid={run.gid},size={run.tmp_bytes}"  # noqa: S108 - inside
            },
            "Mounts": [*(_mount(bind) for bind in _binds(run, bool(opened))), *_volumes(run)],
            "NetworkMode": NETWORK if run.network else "none",
            "ExtraHosts": sorted({f"{one.host}:{one.address}" for one in opened if not one.literal}),
            "CgroupParent": cgroup_parent,
            "LogConfig": {"Type": "none"},  # the spool has it
            "DeviceRequests": [
                {"DeviceIDs": [str(one) for one in gpus], "Capabilities": [["gpu"]]},
            ]
            if gpus
            else [],
        },
    }


def _binds(run: RunSpec, gate: bool) -> list[Bind]:
    binds = [
        Bind(source=BUSYBOX, target="/labbox/busybox"),
        Bind(source=run.spool / "stdout", target="/labbox/stdout", read_only=False),
        Bind(source=run.spool / "stderr", target="/labbox/stderr", read_only=False),
        Bind(source=run.spool / "passwd", target="/etc/passwd"),
        Bind(source=run.spool / "group", target="/etc/group"),
        Bind(source=run.output, target="/output", read_only=False),
    ]
    if run.code is not None:
        binds.append(Bind(source=run.code, target="/code"))
    for layer in run.layers:
        if layer.copied:
            binds += [Bind(source=layer.written, target=one, read_only=False) for one in layer.targets]
    if run.input is not None:
        binds.append(Bind(source=run.input, target="/input"))
    if run.environment is not None:
        binds.append(Bind(source=run.environment, target=str(run.environment)))
    if run.stdin:
        binds += [
            Bind(source=run.spool / name, target=f"/labbox/{name}", read_only=False)
            for name in ("stdin", "close")
        ]
    if gate:
        binds.append(Bind(source=run.spool / "gate", target="/labbox/gate"))
    return [*binds, *run.mounts]


def _volumes(run: RunSpec) -> list[dict[str, Any]]:
    return [
        mount
        for layer in run.layers
        if not layer.copied
        for mount in volume_mounts(layer, run.name, run.labels)
    ]


def _mount(bind: Bind) -> dict[str, Any]:
    return {
        "Type": "bind",  # unlike "Binds", never makes a source that is missing
        "Source": str(bind.source),
        "Target": bind.target,
        "ReadOnly": bind.read_only,
        "BindOptions": {"Propagation": "rprivate"},
    }


def make_spool(folder: Path, gid: int) -> None:
    """The folder of a run's files: nobody but its user (whose group is theirs alone) gets into it."""
    folder.mkdir(mode=0o710, parents=True, exist_ok=True)
    folder.chmod(0o710)
    if os.geteuid() == 0:
        os.chown(folder, 0, gid)


def prepare_spool(run: RunSpec) -> None:
    """Make the files that the container is given, where they are missing; keep what they hold.

    The folder is the daemon's, passed through by the user alone; the files that the command writes are the
    user's, those that it reads are its group's to read.
    """
    make_spool(run.spool, run.gid)
    gid_names = "".join(f"group{gid}:x:{gid}:{run.user_name}\n" for gid in run.groups if gid != run.gid)
    _write(
        run.spool / "passwd",
        f"root:x:0:0:root:/root:/usr/sbin/nologin\n{run.user_name}:x:{run.uid}:{run.gid}::{run.home}:/bin/sh\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        run.gid,
    )
    groups = f"root:x:0:\n{run.user_name}:x:{run.gid}:\n{gid_names}nogroup:x:65534:\n"
    _write(run.spool / "group", groups, run.gid)
    for name in ("stdout", "stderr"):
        descriptor = os.open(run.spool / name, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        _give(descriptor, run)
        os.close(descriptor)
    if run.stdin:
        for name in ("stdin", "close"):
            path = run.spool / name
            if not path.exists():
                os.mkfifo(path, 0o600)
            if os.geteuid() == 0:
                os.chown(path, run.uid, run.gid, follow_symlinks=False)
    if run.hosts:
        (run.spool / "gate").mkdir(mode=0o755, exist_ok=True)


def _give(descriptor: int, run: RunSpec) -> None:
    if os.geteuid() == 0:
        os.fchown(descriptor, run.uid, run.gid)


def _write(path: Path, text: str, gid: int) -> None:
    path.touch(mode=0o640)
    path.write_text(text)
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 0, gid)
