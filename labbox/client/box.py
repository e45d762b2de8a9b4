"""The calls about the box as a whole: its health, its stream of changes, its trail."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec

from labbox.client.transport import PATIENCE, Transport
from labbox.errors import LabboxError
from labbox.protocol import AuditPage, Caller, Empty, Event, Notices, Seen, Status


class BoxCalls:
    """Everything that can be asked about the box itself."""

    _transport: Transport

    def status(self) -> Status:
        """The box at a glance.

        Example:
            for problem in box.status().problems:
                print(problem)
        """
        return self._transport.get("/v1/status", Status)

    def openapi(self) -> dict[str, Any]:
        r"""The box's description of its API, as OpenAPI 3.1; docs/api.md is the same for reading.

        Example:
            print(*box.openapi()["paths"], sep="\n")
        """
        return self._transport.get("/v1/openapi.json", dict[str, Any])

    def whoami(self) -> Caller:
        """Who the box takes the caller for.

        Example:
            print(box.whoami().name)
        """
        return self._transport.get("/v1/whoami", Caller)

    def events(
        self,
        after: int | None = None,
        follow: bool = False,
        mine: bool = False,
        patience: float = PATIENCE,
        until: float | None = None,
    ) -> Iterator[Event]:
        """Every change after the cursor `after`, in order; None starts with what happens from now on.

        With `follow` it never ends by itself and goes on through lost connections and restarts of the box
        without missing a change. An event of kind "alive" comes every 15 seconds at least, with `after` None
        first of all; its cursor is the `after` of whoever comes back. `mine` leaves out other people's jobs.
        `patience`: seconds in which a box that went away is waited for in silence; after them, LabboxError
        "unavailable". `until` (of `time.monotonic`) ends it with a TimeoutError.

        Example:
            page = box.list_jobs()
            for event in box.events(after=page.cursor, follow=True):
                if event.job:
                    print(event.job.id, event.job.state)
        """
        deadline = time.monotonic() + patience
        while True:
            try:
                for line in self._transport.lines(
                    "/v1/events", {"after": after, "follow": follow, "mine": mine}, until
                ):
                    event = msgspec.json.decode(line, type=Event)
                    after = event.cursor if after is None else max(after, event.cursor)
                    deadline = time.monotonic() + patience
                    yield event
            except LabboxError as error:
                if not self._transport.pause_before_retry(error, deadline):
                    raise
            else:
                if not follow:
                    return
                time.sleep(0.1)  # the box closed the stream: it restarts, or found this reader too slow

    def notices(self, everything: bool = False) -> Notices:
        """What the caller has not yet looked at, newest first: jobs that ended, limits that were reached.

        `everything`: also what they have looked at, as far as it is kept. `see_notices` says that they have.

        Example:
            for notice in box.notices().notices:
                print(notice.text)
        """
        return self._transport.get("/v1/notices", Notices, {"all": everything})

    def see_notices(self, up_to: int) -> None:
        """The caller has looked at all notices up to this id.

        Example:
            box.see_notices(box.notices().notices[0].id)
        """
        self._transport.send("POST", "/v1/notices/seen", Empty, Seen(up_to=up_to))

    def audit(self, limit: int = 100, before: int | None = None) -> AuditPage:
        """The trail of who did what, newest first; for administrators.

        Example:
            for entry in box.audit(limit=20).entries:
                print(entry.at, entry.who, entry.action, entry.target)
        """
        return self._transport.get("/v1/audit", AuditPage, {"limit": limit, "before": before})
