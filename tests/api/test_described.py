"""The API is what its description says: paths, queries, bodies, scopes, and whom each call is for."""

from __future__ import annotations

import gzip
import http.client
import json
import logging
import re
import socket
import zlib
from pathlib import Path
from typing import Any

import pytest
from serving import Logged, Peers, Served

import labbox.client
from labbox.daemon.api import server
from labbox.daemon.api.call import Route
from labbox.daemon.api.openapi import answer_of, document
from labbox.daemon.api.page import page
from labbox.daemon.api.routes import ROUTES
from labbox.errors import LabboxError
from labbox.model import Scope

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
WORDS = {"id": "1", "name": "ada", "member": "grace", "fingerprint": "SHA256:x"}


def ask(
    served: Served, method: str, path: str, body: bytes = b"", **headers: str
) -> tuple[int, dict[str, Any]]:
    connection = http.client.HTTPConnection("labbox", timeout=20)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(20)
    connection.sock.connect(str(served.socket))
    try:
        connection.request(method, path, body, {key.replace("_", "-"): text for key, text in headers.items()})
        response = connection.getresponse()
        assert response.headers.get_content_type() == "application/json", (method, path)
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def say(served: Served, request: bytes) -> tuple[int, dict[str, Any]]:
    """The answer to bytes that no client of ours would send."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(str(served.socket))
        sock.sendall(request)
        response = http.client.HTTPResponse(sock)
        response.begin()
        assert response.headers.get_content_type() == "application/json", request[:80]
        return response.status, json.loads(response.read())


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)\}", lambda word: WORDS[word.group(1)], path)


def references(value: object) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(references, value.values()))
    return set().union(*map(references, value)) if isinstance(value, list) else set()


def test_the_box_describes_every_route(served: Served) -> None:
    status, described = ask(served, "GET", "/v1/openapi.json")
    assert (status, described["openapi"]) == (200, "3.1.0")
    for reference in references(described):
        place: Any = described
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        assert place
    found = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert found == {(route.method, route.path) for route in ROUTES}
    operations = [one for methods in described["paths"].values() for one in methods.values()]
    assert len({one["operationId"] for one in operations}) == len(operations)
    for route in ROUTES:
        one = described["paths"][route.path][route.method.lower()]
        assert len(one["summary"]) > 4, route.path
        answer = answer_of(route)
        if answer is not None:
            assert f"#/components/schemas/{answer.__name__}" in references(
                one["responses"][str(route.status)]
            )
        if route.body is not None:
            assert references(one["requestBody"]) == {f"#/components/schemas/{route.body.__name__}"}
            assert described["components"]["schemas"][route.body.__name__]["additionalProperties"] is False
    jobs = described["paths"]["/v1/jobs"]
    assert jobs["post"]["x-labbox-scope"] == "submit"
    assert {one.get("name") for one in jobs["get"]["parameters"]} >= {"before", "kind", "limit", "state"}
    assert {"404", "409", "422"} <= set(described["paths"]["/v1/jobs/{id}/cancel"]["post"]["responses"])


def test_the_page_is_as_the_routes_are() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(document(ROUTES)), "run: python docs/write_api.py"


def test_the_page_leads_nowhere_that_is_not() -> None:
    text = PAGE.read_text(encoding="utf-8")
    titles = {title.lower() for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= titles


def test_unknown_query_keys_are_refused_with_the_known_ones(served: Served) -> None:
    for route in ROUTES:
        _refuses_unknown_keys(served, route)


def _refuses_unknown_keys(served: Served, route: Route) -> None:
    for key in ("ownr", "limits", "", "Limit", "\u202e"):
        query = f"?{'' if key else 'limit=1&'}{_quoted(key)}=1"
        status, error = ask(served, route.method, filled(route.path) + query, Labbox_As="ada")
        if not key and all(known.name != "limit" for known in route.query):
            key = "limit"
        assert (status, error["code"]) == (422, "invalid")
        assert f"there is no query key {key!r} here" in error["message"]
        known = ", ".join(parameter.name for parameter in route.query)
        assert error["hint"] == (f"the known ones are {known}" if known else "this route takes no query")
    for parameter in route.query:
        path = f"{filled(route.path)}?{parameter.name}=1&{parameter.name}=2"
        assert "is there twice" in ask(served, route.method, path, Labbox_As="ada")[1]["message"]


def _quoted(key: str) -> str:
    return "".join(f"%{byte:02x}" for byte in key.encode())


def test_what_a_token_may_is_what_is_described(served: Served, peers: Peers) -> None:
    account = served.do(served.people.account("ada"))
    assert account is not None
    peers.uid = account.uid
    for scope in (Scope.READ, Scope.SUBMIT):
        served.login = Logged(scope)
        for route in ROUTES:
            _, error = ask(served, route.method, f"{filled(route.path)}?no=1")
            allowed = route.scope is Scope.READ or route.scope is scope
            assert ("with a token of scope" in error["message"]) is not allowed, (scope, route.path)


def test_who_may_is_what_is_described(served: Served, peers: Peers) -> None:
    account = served.do(served.people.account("grace"))
    assert account is not None
    peers.uid = account.uid
    for route in ROUTES:
        if route.lines is not None or route.upgrade:
            continue
        for name in ("grace", "ada"):
            path = filled(route.path).replace("/ada", f"/{name}")
            status, error = ask(served, route.method, path)
            if name == "grace":
                refused = status == 403 and "only administrators may" in error["message"]
                assert refused is route.admin, (route.method, path)
            if route.admin:
                assert status == 403


def test_bodies_that_are_none_are_refused(served: Served) -> None:
    for route in ROUTES:
        if route.body is not None:
            _refuses_odd_bodies(served, route)


def _refuses_odd_bodies(served: Served, route: Route) -> None:
    plain = b'{"name": "ada"}'
    path = filled(route.path)
    whole = gzip.compress(plain)
    for encoding, body in (
        ("gzip", whole),
        ("gzip", whole[:-6]),
        ("gzip", b"\x1f\x8b\x08" + b"\xff" * 40),
        ("GZIP", plain),
        ("deflate", zlib.compress(plain)),
        ("x-gzip", b""),
        ("br", plain),
        ("identity, gzip", whole),
    ):
        status, error = ask(served, route.method, path, body, Labbox_As="boss", Content_Encoding=encoding)
        assert (status, error["message"]) == (400, "cannot read the request: it is compressed"), encoding
    status, error = ask(served, route.method, path, b'{"no_such_field": 1}', Labbox_As="boss")
    assert (status, error["code"]) == (422, "invalid")
    assert "no_such_field" in error["message"]


def test_a_body_said_to_be_as_it_is_is_taken(served: Served) -> None:
    status, _ = ask(
        served, "POST", "/v1/jobs", b'{"path": "study"}', Labbox_As="ada", Content_Encoding="Identity"
    )
    assert status == 201


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (b"GET /v1/status?" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", "longer than 8,190 bytes"),
        (b"GET /v1/" + b"%20" * 60_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", "longer than 8,190 bytes"),
        (b"GET /v1/status HTTP/1.1\r\nX: " + b"y" * 9000 + b"\r\n\r\n", "longer than 8,190 bytes"),
        (b"GET /v1/status HTTP/1.1\r\n" + b"y" * 9000 + b": 1\r\n\r\n", "longer than 8,190 bytes"),
        (b"GET /v1/status HTTP/1.1\r\n" + b"A: 1\r\n" * 200 + b"\r\n", "cannot read the request"),
        (b"hello\r\n\r\n", "it is not HTTP/1.1"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "it is not HTTP/1.1"),
        (b"GET /v1/status HTTP/1.1\r\nNo colon\r\n\r\n", "it is not HTTP/1.1"),
        (b"POST /v1/jobs HTTP/1.1\r\nContent-Length: many\r\n\r\n", "it is not HTTP/1.1"),
        (b"POST /v1/jobs HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "it is not HTTP/1.1"),
        (
            b"POST /v1/jobs HTTP/1.1\r\nLabbox-As: ada\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
            "cannot read the request",
        ),
    ],
    ids=["line", "path", "header", "name", "many", "text", "tls", "colon", "length", "below", "chunks"],
)
def test_what_cannot_be_read_gets_a_sentence_too(
    served: Served, request_: bytes, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    status, error = say(served, request_)
    assert (status, error["code"]) == (400, "usage")
    assert error["message"].startswith("cannot read the request: ")
    assert words in error["message"]
    assert "Traceback" not in caplog.text
    assert ask(served, "GET", "/v1/status")[0] == 200


@pytest.mark.parametrize("name", ["", " ", "%20", "%09%0a", "%E2%80%83"])
def test_nobody_is_acted_for_by_an_empty_name(served: Served, name: str) -> None:
    status, error = ask(served, "GET", "/v1/whoami", Labbox_As=name)
    assert (status, error["message"]) == (422, "cannot act for nobody: Labbox-As is empty")
    with labbox.client.connect(str(served.socket), act_as="") as box, pytest.raises(LabboxError) as caught:
        box.whoami()
    assert caught.value.message == "cannot act for nobody: Labbox-As is empty"


def test_slow_answers_are_logged_and_streams_are_not(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="labbox.api")
    assert ask(served, "GET", "/v1/status")[0] == 200
    assert "slow request" not in caplog.text
    monkeypatch.setattr(server, "SLOW", -1.0)
    assert ask(served, "GET", "/v1/status")[0] == 200
    assert "slow request: GET /v1/status 0.0 s" in caplog.text
    assert ask(served, "GET", "/v1/jobs/99", Labbox_As="ada")[0] == 404
    assert "slow request: GET /v1/jobs/99" in caplog.text  # what is refused late was slow as well
    with labbox.client.connect(str(served.socket), act_as="ada") as ada:
        job = ada.submit_job(path="study")
        assert [record.end for record in ada.job_log(job.id)] == [True]
    assert f"/v1/jobs/{job.id}/log" not in caplog.text
