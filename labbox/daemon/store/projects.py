"""The tables of projects and of who is in them."""

from __future__ import annotations

import sqlite3

from labbox.daemon.store.times import moment, now, stamp
from labbox.protocol import Project


def insert(connection: sqlite3.Connection, name: str, gid: int) -> None:
    """A new project without members."""
    connection.execute(
        "INSERT INTO projects (name, gid, created_at) VALUES (?, ?, ?)", (name, gid, stamp(now()))
    )


def delete(connection: sqlite3.Connection, name: str) -> None:
    """The project goes, with its memberships; the gid stays taken."""
    connection.execute("DELETE FROM projects WHERE name = ?", (name,))


def join(connection: sqlite3.Connection, name: str, member: str) -> None:
    """Take somebody in, who may be in it already."""
    connection.execute(
        "INSERT INTO project_members (project, member) VALUES (?, ?) ON CONFLICT DO NOTHING", (name, member)
    )


def leave(connection: sqlite3.Connection, name: str, member: str) -> bool:
    """Let somebody go; False where they were not in it."""
    gone = connection.execute("DELETE FROM project_members WHERE project = ? AND member = ?", (name, member))
    return gone.rowcount == 1


def find(connection: sqlite3.Connection, name: str) -> Project | None:
    """One project."""
    return next((one for one in everything(connection) if one.name == name), None)


def everything(connection: sqlite3.Connection) -> tuple[Project, ...]:
    """All projects with their members, by name."""
    members: dict[str, list[str]] = {}
    for row in connection.execute("SELECT project, member FROM project_members ORDER BY member"):
        members.setdefault(row["project"], []).append(row["member"])
    return tuple(
        Project(
            name=row["name"],
            gid=row["gid"],
            created_at=moment(row["created_at"]),
            members=tuple(members.get(row["name"], ())),
        )
        for row in connection.execute("SELECT * FROM projects ORDER BY name")
    )
