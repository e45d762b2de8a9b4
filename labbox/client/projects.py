"""The calls about projects: groups of people who share a folder."""

from __future__ import annotations

from labbox.client.transport import Transport, segment
from labbox.protocol import Empty, Project, ProjectAdd, ProjectPage


class ProjectCalls:
    """What can be asked about projects and done with them. Their files are at `project:NAME/`."""

    _transport: Transport

    def list_projects(self) -> ProjectPage:
        """Your projects with their members; administrators see all.

        Example:
            for project in box.list_projects().projects:
                print(project.name, *project.members)
        """
        return self._transport.get("/v1/projects", ProjectPage)

    def add_project(self, name: str, members: tuple[str, ...] = ()) -> Project:
        """Make a project with a folder and members; for administrators.

        Example:
            box.add_project("atlas", ("ada", "grace"))
        """
        body = ProjectAdd(name=name, members=members)
        return self._transport.send("POST", "/v1/projects", Project, body)

    def remove_project(self, name: str, delete_files: bool = False) -> None:
        """Forget a project; its folder stays on the disk unless `delete_files`.

        Example:
            box.remove_project("atlas")
        """
        query = {"files": "delete" if delete_files else "keep"}
        self._transport.send("DELETE", f"/v1/projects/{segment(name)}", Empty, query=query)

    def join_project(self, name: str, member: str) -> Project:
        """Take somebody in; from their next login on they reach its folder.

        Example:
            box.join_project("atlas", "ada")
        """
        path = f"/v1/projects/{segment(name)}/members/{segment(member)}"
        return self._transport.send("POST", path, Project, Empty())

    def leave_project(self, name: str, member: str) -> Project:
        """Let somebody go; what runs of theirs keeps its rights until it ends.

        Example:
            box.leave_project("atlas", "ada")
        """
        path = f"/v1/projects/{segment(name)}/members/{segment(member)}"
        return self._transport.send("DELETE", path, Project)
