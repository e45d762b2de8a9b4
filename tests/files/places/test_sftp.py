"""Other hosts by SFTP: the suite of all places over a real OpenSSH server, and what only hosts do wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from conformance import Conformance, Opener
from sshd import Sshd

from labbox.files.places.credentials import Credential, Secret
from labbox.files.places.sftp import SftpPlace

pytestmark = pytest.mark.root


def credential(sshd: Sshd, **changes: object) -> Credential:
    made = Credential(
        "root",
        sshd.address,
        sshd.port,
        private_key=Secret(sshd.key.read_text()),
        host_keys=(sshd.host_key,),
    )
    return made._replace(**changes)  # type: ignore[arg-type]


@asynccontextmanager
async def opened_at(sshd: Sshd, path: str) -> AsyncIterator[tuple[SftpPlace, str]]:
    async with await SftpPlace.connect(credential(sshd)) as place:
        yield place, path


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    with Sshd(tmp_path_factory.mktemp("sshd")) as made:
        yield made


class TestSftp(Conformance):
    vague = frozenset({"limit"})

    @pytest.fixture
    def opened(self, sshd: Sshd) -> Opener:
        return lambda folder: opened_at(sshd, str(folder))
