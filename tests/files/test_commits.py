from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from labbox.errors import LabboxError
from labbox.files import work

IDENTITY = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "a@b",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "a@b",
}


def git(folder: Path, *words: str, data: bytes = b"") -> str:
    done = subprocess.run(
        ["git", "-c", "init.defaultBranch=main", *words],
        cwd=folder,
        env={**os.environ, **IDENTITY, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"},
        input=data,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


class Repository:
    def __init__(self, folder: Path) -> None:
        self.work = folder / "work"
        self.bare = folder / "study.git"
        self.target = folder / "target"
        self.work.mkdir()
        self.target.mkdir()
        git(self.work, "init", "-q")

    def commit(self) -> str:
        git(self.work, "add", "-A", "-f")
        git(self.work, "commit", "-q", "-m", "x")
        git(self.work.parent, "clone", "-q", "--bare", str(self.work), str(self.bare))
        return git(self.work, "rev-parse", "HEAD")

    def export(self, lab: Any, commit: str) -> work.Exported:
        bare, target = os.open(self.bare, os.O_RDONLY), os.open(self.target, os.O_RDONLY)
        try:
            found = lab.ask(work.Export(commit=commit), bare, target)
        finally:
            os.close(bare)
            os.close(target)
        assert isinstance(found, work.Exported)
        return found


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    (tmp_path / "git").mkdir()
    return Repository(tmp_path / "git")


def test_a_commits_files_come_with_modes_links_and_hostile_names(lab: Any, repository: Repository) -> None:
    top = repository.work
    (top / "code").mkdir()
    (top / "code/app.py").write_text("print(1)")
    (top / "run.sh").write_text("echo")
    (top / "run.sh").chmod(0o755)
    (top / "link").symlink_to("code/app.py")
    (top / "new\nline\x1b").write_text("x")
    (top / "big").write_bytes(os.urandom(3 << 20))
    (top / "empty").write_text("")
    found = repository.export(lab, repository.commit())
    target = repository.target
    assert found.files == 6
    assert (target / "code/app.py").read_text() == "print(1)"
    assert (target / "run.sh").stat().st_mode & 0o111
    assert not (target / "code/app.py").stat().st_mode & 0o111
    assert (target / "link").readlink() == Path("code/app.py")
    assert (target / "new\nline\x1b").read_text() == "x"
    assert (target / "big").read_bytes() == (top / "big").read_bytes()
    assert (target / "empty").read_bytes() == b""


def test_no_filter_attribute_or_hook_of_the_repository_runs(
    lab: Any, repository: Repository, tmp_path: Path
) -> None:
    witness = tmp_path / "witness"
    (repository.work / "app.py").write_text("$Format:%H$ $Id$\n")
    (repository.work / ".gitattributes").write_text(
        "app.py filter=evil export-subst ident\n* export-ignore\n"
    )
    commit = repository.commit()
    for key in (
        "filter.evil.smudge",
        "filter.evil.process",
        "core.fsmonitor",
        "core.pager",
        "core.sshCommand",
    ):
        git(repository.bare, "config", key, f"touch {witness}")
    repository.export(lab, commit)
    assert (repository.target / "app.py").read_text() == "$Format:%H$ $Id$\n"
    assert not witness.exists()


@pytest.mark.parametrize("path", ["../up", ".git/hooks/x", "a/../../b", ".GIT/config"])
def test_a_tree_with_a_path_that_leads_out_is_refused(lab: Any, repository: Repository, path: str) -> None:
    (repository.work / "x").write_text("x")
    repository.commit()
    blob = git(repository.bare, "hash-object", "-w", "--stdin", data=b"evil")
    tree = blob
    kind, mode = "blob", "100644"
    for part in reversed(path.split("/")):
        entry = f"{mode} {kind} {tree}\t{part}\n".encode()
        tree, kind, mode = git(repository.bare, "mktree", "--missing", data=entry), "tree", "040000"
    commit = git(repository.bare, "commit-tree", tree, "-m", "evil")
    with pytest.raises(LabboxError, match="cannot take the commit: it holds the path"):
        repository.export(lab, commit)
    assert list(repository.target.iterdir()) == []


@pytest.mark.parametrize("commit", ["main", "--upload-pack=x", "HEAD", "", "0" * 39, "x" * 40])
def test_only_full_ids_are_taken(lab: Any, repository: Repository, commit: str) -> None:
    (repository.work / "x").write_text("x")
    repository.commit()
    with pytest.raises(LabboxError, match="cannot read the commit"):
        repository.export(lab, commit)


def test_a_commit_that_is_not_there_is_named(lab: Any, repository: Repository) -> None:
    (repository.work / "x").write_text("x")
    repository.commit()
    with pytest.raises(LabboxError, match="cannot find the commit 000000000000"):
        repository.export(lab, "0" * 40)


def test_an_exported_commit_is_handed_in_from_its_descriptor(lab: Any, repository: Repository) -> None:
    (repository.work / "app.py").write_text("print(1)")
    (repository.work / "job.toml").write_text("[git]\nsubmit = true\n")
    repository.export(lab, repository.commit())
    target = os.open(repository.target, os.O_RDONLY)
    handed = lab.ask(work.HandIn(look=lab.look("study")), lab.descriptor, target)
    os.close(target)
    assert handed.inspection.submit_on_push
    assert handed.inspection.name == "study"
    assert (lab.code(handed) / "app.py").read_text() == "print(1)"


def test_submodules_are_empty_folders_and_named(lab: Any, repository: Repository) -> None:
    """With `.gitmodules` or without, as a repository inside another becomes one."""
    inner = repository.work / "lib/inner"
    inner.mkdir(parents=True)
    git(inner, "init", "-q")
    (inner / "x.py").write_text("")
    git(inner, "add", "x.py")
    git(inner, "commit", "-q", "-m", "x")
    (repository.work / "app.py").write_text("print(1)")
    found = repository.export(lab, repository.commit())
    assert found.skipped == ("lib/inner",)
    assert list((repository.target / "lib/inner").iterdir()) == []
