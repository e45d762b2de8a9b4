"""The calls about groups of jobs."""

from __future__ import annotations

from labbox.client.transport import Transport, segment
from labbox.protocol import Empty, Group, GroupBody, Groups


class GroupCalls:
    """What can be asked about groups of jobs and done with them. A job joins one by its spec's `group`."""

    _transport: Transport

    def list_groups(self, owner: str | None = None) -> Groups:
        """Your groups with their limits, and how many of their jobs wait and run; root sees everybody's.

        Example:
            for group in box.list_groups().groups:
                print(group.name, group.parallel, group.waiting, group.active)
        """
        return self._transport.get("/v1/groups", Groups, {"owner": owner})

    def set_group(self, name: str, parallel: int | None = None, owner: str | None = None) -> Group:
        """Say how many jobs of a group may run at once; None: no limit. It holds at once for jobs that wait.

        A group that is not there yet is made. `owner` names somebody else, for administrators.

        Example:
            box.set_group("sims", parallel=4)
            box.submit_job(path="study", group="sims")
        """
        query = {"owner": owner}
        return self._transport.send(
            "POST", f"/v1/groups/{segment(name)}", Group, GroupBody(parallel=parallel), query
        )

    def remove_group(self, name: str, owner: str | None = None) -> None:
        """Forget a group and its limit; its jobs go on, and keep its name.

        Example:
            box.remove_group("sims")
        """
        self._transport.send("DELETE", f"/v1/groups/{segment(name)}", Empty, query={"owner": owner})
