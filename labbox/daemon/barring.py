"""What ends at once when somebody may come in no more: their logins, their requests, if wished their jobs."""

from __future__ import annotations

from labbox.daemon.api.server import Api
from labbox.daemon.gate import Gate
from labbox.daemon.jobs.service import Jobs
from labbox.daemon.people import Account
from labbox.daemon.workers import Workers


class Barring:
    """The end of what a suspended or expired person has open, as `People.barring` wants it."""

    def __init__(self, gate: Gate, api: Api, jobs: Jobs, workers: Workers) -> None:
        """The parts that hold something open."""
        self._gate = gate
        self._api = api
        self._jobs = jobs
        self._workers = workers

    async def __call__(self, account: Account, why: str, cancel_running: bool) -> None:
        """End connections with their sessions, then requests and streams, then running jobs."""
        self._gate.send_away(account.name, f"{why}: ask an administrator of the box")
        await self._api.end_requests(account.name)
        self._workers.dismiss(account.name)
        if cancel_running:
            await self._jobs.cancel_running(account.name, "box")
