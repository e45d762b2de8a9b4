"""From what was handed in to what the environments and the engine are asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from labbox.custom import Template
from labbox.daemon.containers.environments import EnvironmentPlan, Prepared
from labbox.daemon.containers.layers import Layer
from labbox.daemon.containers.run import Bind, RunSpec, make_spool
from labbox.daemon.jobs import expand, results
from labbox.daemon.jobs.handed import Handed, tree
from labbox.daemon.jobs.parts import Parts
from labbox.daemon.jobs.writable import PROJECT
from labbox.daemon.people.accounts import Account
from labbox.daemon.store.attempts import AttemptRow
from labbox.daemon.store.jobs import JobRow
from labbox.errors import LabboxError
from labbox.files.software.asked import Software as Wishes
from labbox.model import Value

_PARAMETERS: Final = "/labbox/params.json"
_PLAIN: Final = Template(name="command", title="A command", entries=(), command=())


class Software(Value):
    """What was asked for, and what stands ready."""

    plan: EnvironmentPlan
    prepared: Prepared


async def plan_of(parts: Parts, handed: Handed, account: Account) -> EnvironmentPlan:
    """The environment that a run needs; LabboxError where its template is no longer there."""
    configuration = parts.configuration
    template = _PLAIN if handed.template is None else configuration.template(handed.template)
    if template is None:
        raise LabboxError(
            "not_found",
            f"cannot run with the template {handed.template}: this box no longer has it",
            "labbox job submit the folder again",
        )
    asked = handed.software
    if asked is None:
        asked = await parts.folders.understand(account, handed.files) if handed.files else Wishes()
    context = None
    if asked.recipe is not None and handed.code is not None:
        context = parts.folders.context(account, handed.code)
    return EnvironmentPlan(
        template=template,
        software=asked,
        files=handed.files,
        context=context,
        image=handed.image,
        asker=str(account.uid),
    )


def _imports(roots: tuple[str, ...]) -> dict[str, str]:
    """Where a project that is not installed is imported from."""
    paths = [f"/code/{root}".rstrip("/") for root in roots]
    return {"PYTHONPATH": ":".join(paths)} if paths else {}


def run_spec(
    parts: Parts,
    *,
    row: JobRow,
    attempt: AttemptRow,
    account: Account,
    handed: Handed,
    software: Software,
    folder: Path,
    spool: Path,
    count: int | None,
    layers: tuple[Layer, ...],
) -> RunSpec:
    """The container of an attempt; writes the file with its parameters."""
    settings, prepared = parts.settings, software.prepared
    make_spool(spool, account.gid)
    parameters = spool / "params.json"
    results.write_whole(parameters, expand.parameters_file(row, count), 0o640, account.gid, lasting=False)
    code, data = (tree(parts.state, row.owner, one) for one in (handed.code, handed.input))
    return RunSpec(
        name=attempt.container,
        image=prepared.image,
        command=handed.command or prepared.command,
        uid=account.uid,
        gid=account.gid,
        groups=account.groups,
        user_name=account.name,
        output=folder / "output",
        spool=spool,
        cpus=row.resources.cpus,
        memory=row.resources.memory,
        gpus=row.resources.gpus,
        code=None if layers else code,
        layers=layers,
        input=data,
        environment=prepared.environment,
        mounts=(Bind(source=parameters, target=_PARAMETERS), *_in_project(data, folder, handed)),
        env={
            **expand.environment(row, count),
            **software.plan.template.env,
            **prepared.env,
            **_imports(software.plan.software.roots),
            **handed.env,
        },
        path=prepared.path,
        pids=settings.pids,
        tmp_bytes=settings.tmp,
        file_bytes=settings.disk,
        network=handed.network,
        hosts=software.plan.template.hosts,
        labels={
            "labbox.box": parts.box_id,
            "labbox.job": str(row.id),
            "labbox.attempt": str(attempt.number),
            "labbox.owner": row.owner,
        },
        stdin=handed.stdin,
        cwd=_start(handed, prepared, code),
    )


def _start(handed: Handed, prepared: Prepared, code: Path | None) -> str:
    """The folder that the command starts in: an image's own command expects its own."""
    if not handed.command and prepared.cwd:
        return prepared.cwd
    if handed.beside is not None:
        return PROJECT if handed.at_top else f"{PROJECT}/code"
    return "/output" if code is None else "/code"


def _in_project(data: Path | None, folder: Path, handed: Handed) -> list[Bind]:
    """Input and output once more, where they stand in the folder that was handed in."""
    if handed.beside is None:
        return []
    binds = [Bind(source=folder / "output", target=f"{PROJECT}/output", read_only=False)]
    return binds if data is None else [*binds, Bind(source=data, target=f"{PROJECT}/input")]
