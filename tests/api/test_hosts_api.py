"""Hosts over the API: each caller's own, and no secret by token."""

from __future__ import annotations

import pytest
from serving import Logged, Peers, Served

import labbox.client
from labbox.errors import LabboxError
from labbox.model import Scope


def refused(call: object, *args: object) -> LabboxError:
    with pytest.raises(LabboxError) as caught:
        call(*args)  # type: ignore[operator]
    return caught.value


def be(served: Served, peers: Peers, name: str) -> None:
    account = served.do(served.people.account(name))
    assert account is not None
    peers.uid = account.uid


def test_each_caller_has_their_own_hosts_administrators_too(
    served: Served, peers: Peers, box: labbox.client.Client
) -> None:
    be(served, peers, "ada")
    made = box.add_host("me@my-pc:2222", password="seven purple elephants")
    assert (made.name, made.kind, made.public_key) == ("me@my-pc:2222", "password", None)
    assert box.host_secret("me@my-pc:2222").password == "seven purple elephants"
    assert [one.name for one in box.list_hosts().hosts] == ["me@my-pc:2222"]
    for other in ("grace", "boss"):
        be(served, peers, other)
        assert box.list_hosts().hosts == ()
        assert refused(box.host_secret, "me@my-pc:2222").code == "not_found"
        assert refused(box.remove_host, "me@my-pc:2222").code == "not_found"
    be(served, peers, "ada")
    box.remove_host("me@my-pc:2222")
    assert box.list_hosts().hosts == ()


@pytest.mark.parametrize("scope", list(Scope))
def test_no_token_is_enough_for_a_secret(
    served: Served, peers: Peers, box: labbox.client.Client, scope: Scope
) -> None:
    be(served, peers, "ada")
    key = box.add_host("me@my-pc").public_key
    served.login = Logged(scope)
    with labbox.client.connect(str(served.socket)) as session:
        assert [one.public_key for one in session.list_hosts().hosts] == [key]
        for call, words in (
            (session.host_secret, ("me@my-pc",)),
            (session.add_host, ("me@other",)),
            (session.trust_host, ("me@my-pc", "ssh-ed25519 AAAA")),
            (session.remove_host, ("me@my-pc",)),
        ):
            error = refused(call, *words)
            assert (error.code, f"token of scope {scope}" in error.message) == ("forbidden", True)


def test_an_address_of_brackets_goes_through_the_path(served: Served, ada: labbox.client.Client) -> None:
    made = ada.add_host("me@[fe80::1]:2222")
    assert (made.user, made.host, made.port) == ("me", "[fe80::1]", 2222)
    assert ada.host_secret(made.name).host == "[fe80::1]"
    assert ada.add_host("[::1]").host == "[::1]"


def test_root_is_asked_for_whom(box: labbox.client.Client) -> None:
    error = refused(box.list_hosts)
    assert (error.code, "--as NAME" in error.hint) == ("invalid", True)
