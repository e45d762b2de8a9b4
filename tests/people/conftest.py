from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from labbox.custom import Configuration, load
from labbox.daemon.people import Actor, People
from labbox.daemon.store import Store
from labbox.protocol import UserAdd


@pytest.fixture
def state(tmp_path: Path) -> Path:
    state = tmp_path / "state"
    state.mkdir(mode=0o711)
    return state


@pytest.fixture
def configuration() -> Configuration:
    return load(None)


@pytest.fixture
def root() -> Actor:
    return Actor(name="root", origin="local", admin=True)


@pytest.fixture
async def store(state: Path) -> AsyncIterator[Store]:
    store = await Store.open(state / "labbox.db")
    yield store
    await store.close()


@pytest.fixture
async def people(store: Store, configuration: Configuration, state: Path) -> AsyncIterator[People]:
    people = People(store, configuration, state)
    await people.start()
    yield people
    await people.close()


@pytest.fixture
async def ada(people: People, root: Actor) -> Actor:
    """A user with a password, as she herself asks for things."""
    await people.add(UserAdd(name="ada", password="correct horse"), root)
    return Actor(name="ada", origin="ssh 192.0.2.7")


@pytest.fixture(scope="session")
def keygen(tmp_path_factory: pytest.TempPathFactory) -> str:
    """OpenSSH's ssh-keygen, the judge of keys."""
    found = shutil.which("ssh-keygen")
    assert found is not None
    return found
