"""job.json: how a job went, and all that is needed to run it again, also years later."""

from __future__ import annotations

from typing import Final

import msgspec

from labbox.daemon.jobs.handed import Handed
from labbox.daemon.jobs.outcome import Outcome
from labbox.daemon.store.attempts import AttemptRow
from labbox.daemon.store.jobs import JobRow
from labbox.daemon.store.times import moment, moment_or_none
from labbox.model import JobSpec

FORMAT: Final = 1


def job_json(
    row: JobRow,
    attempt: AttemptRow,
    outcome: Outcome,
    spec: JobSpec,
    handed: Handed,
    output_bytes: int | None,
    now: int,
) -> bytes:
    """The record of one attempt; `spec` can be given to `client.submit_job` as it stands.

    The files that describe the environment stand in it as text, so that the record needs no snapshot to be
    understood.
    """
    record = {
        "format": FORMAT,
        "id": row.id,
        "name": row.name,
        "owner": row.owner,
        "project": row.project,
        "group": row.group,
        "state": outcome.state,
        "reason": outcome.reason,
        "exit_code": outcome.exit_code,
        "attempt": attempt.number,
        "submitted_at": moment(row.submitted_at),
        "started_at": moment_or_none(attempt.running_at),
        "ended_at": moment(max(now, row.started_at or now)),
        "held_resources_seconds": attempt.seconds,
        "cpu_seconds": outcome.cpu_seconds,
        "peak_memory": outcome.peak_memory,
        "output_bytes": output_bytes,
        "resources": row.resources,
        "time_limit": row.time_limit,
        "array": row.array,
        "index": row.index,
        "parameters": row.parameters,
        "command": handed.command,
        "entry": handed.entry,
        "template": handed.template,
        "environment": attempt.environment,
        "image": attempt.image,
        "environment_files": {file.name: file.content.decode("utf-8", "replace") for file in handed.files},
        "network": handed.network,
        "env": handed.env,
        "code": handed.code,
        "input": handed.input,
        "beside": handed.beside,
        "container": attempt.container,
        "spec": spec,
    }
    return msgspec.json.format(msgspec.json.encode(record), indent=2) + b"\n"
