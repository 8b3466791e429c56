"""The front's door: what it adds to a request, over real sockets; contacts and quarantine as staff have them."""

from __future__ import annotations

import asyncio
import http.client
import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest

from provisioner.front.door import Door
from provisioner.front.neighbours import Neighbours
from provisioner.phones.limits import Limits
from tests.front.harness import Front
from tests.phones.samples import AGENTS, password, renderer
from tests.phones.test_proof import site

POLYCOM, YEALINK, GRANDSTREAM = AGENTS
FILE = f"/{YEALINK}.cfg"


def get(front: Front, path: str, headers: dict[str, str]) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", front.http, timeout=10)
    try:
        connection.request("GET", path, headers={"User-Agent": AGENTS[YEALINK], **headers})
        answer = connection.getresponse()
        answer.body = answer.read()  # type: ignore[attr-defined]
        return answer
    finally:
        connection.close()


@pytest.mark.parametrize("header", ["Forwarded", "X-Forwarded-For"])
def test_a_proxy_here_is_not_the_phone(front: Front, header: str) -> None:
    assert get(front, FILE, {}).status == 200
    assert front.journal.of("requests")[-1]["rule"] == "adopted"
    forwarded = {header: "192.0.2.9"}
    assert get(front, FILE, forwarded).status == 200  # its first contact
    front.door.trust.proofs.contacts.proved(YEALINK, "192.0.2.7", 0.0, 0.0)
    refused = get(front, FILE, forwarded)
    assert refused.status == 401
    assert password(YEALINK).encode() not in refused.body  # type: ignore[attr-defined]
    offers = refused.headers.get_all("WWW-Authenticate")
    assert [each.split("algorithm=")[1].split(",")[0] for each in offers or []] == ["MD5", "SHA-256"]


def test_too_many_requests_says_when(front: Front) -> None:
    front.door.trust.sources.limits = Limits(phone_burst=0)
    front.door.trust.proofs.contacts.proved(YEALINK, "127.0.0.1", 0.0, 0.0)
    front.lookup.renderer = type(front.lookup.renderer)(site(), front.lookup.renderer.addresses)  # type: ignore[union-attr]
    folder = site().credentials[YEALINK].path_secret
    answer = get(front, f"/{folder}{FILE}", {"X-Forwarded-For": "192.0.2.9"})
    assert (answer.status, answer.headers["Retry-After"]) == (429, "60")
    assert front.journal.of("requests")[-1]["path"] == f"/***{FILE}"


class Table(Neighbours):
    """A neighbour table with fixed entries."""

    def __init__(self, macs: dict[str, str]) -> None:
        super().__init__()
        self._macs = macs

    def mac(self, address: str) -> str:
        return self._macs.get(address, "")


@pytest.fixture
def told() -> list[tuple[str, dict[str, Any]]]:
    return []


@pytest.fixture
def door(tmp_path: Path, told: list[Any]) -> Door:
    table = Table({"192.0.2.7": YEALINK, "192.0.2.66": "0200000000ff"})
    return Door(tmp_path, table, lambda *what: told.append(what), lambda: 5000.0, lambda: 100.0)


def rule(door: Door, path: str, address: str, **more: Any) -> str:
    return door.judge(renderer(), door.asker(path, address, AGENTS[YEALINK], **more)).rule


def test_what_the_kernel_knows_is_added(door: Door) -> None:
    assert rule(door, FILE, "192.0.2.7") == "neighbour"
    assert rule(door, FILE, "192.0.2.66") == "other-neighbour"
    assert rule(door, FILE, "127.0.0.1") == "adopted"
    assert rule(door, f"/{YEALINK}.cfg", "192.0.2.7", method="PUT") == "upload-refused"


def test_quarantine_is_told_listed_and_ended(
    door: Door, told: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        for number in range(9):
            rule(door, f"/0004f2{number:06x}.cfg", "192.0.2.66")
    row = {
        "source": "0200000000ff",
        "mac": "0200000000ff",
        "address": "192.0.2.66",
        "reason": "sweep",
        "until": 8600.0,
        "hits": 0,
    }
    assert told == [("quarantine", row)]
    assert door.quarantine() == [row]
    assert "192.0.2.66 (MAC 0200000000ff) asked for the files of too many phones" in caplog.text
    assert door.release(" 192.0.2.66 ")
    assert not door.release("192.0.2.66")
    for number in range(9):
        rule(door, f"/0004f2{number:06x}.cfg", "198.51.100.1", certificate="x")
    assert [(held["source"], held["mac"]) for held in door.quarantine()] == [("198.51.100.1", "")]


def test_contacts_are_kept(door: Door, tmp_path: Path) -> None:
    door.load()
    asyncio.run(door.tick(renderer()))
    assert not (tmp_path / "contacts.json").exists()
    rule(door, FILE, "192.0.2.7")
    asyncio.run(door.tick(None))
    assert not (tmp_path / "contacts.json").exists()
    asyncio.run(door.tick(renderer()))
    held = msgspec.json.decode((tmp_path / "contacts.json").read_bytes())
    assert held == {YEALINK: {"address": "192.0.2.7", "began": 5000.0, "welcome": 0.0, "proved": True}}
    again = Door(tmp_path, Table({}), lambda *_: None)
    again.load()
    assert rule(again, FILE, "192.0.2.9") == "proof-required"


def test_quarantine_outlives_a_restart(door: Door, told: list[Any], tmp_path: Path) -> None:
    for number in range(9):
        rule(door, f"/0004f2{number:06x}.cfg", "192.0.2.66")
    asyncio.run(door.tick(None))
    again = Door(tmp_path, Table({}), lambda *_: None, lambda: 5060.0, lambda: 7.0)
    again.load()
    assert again.quarantine() == [told[0][1]]
    assert again.release("192.0.2.66")
    asyncio.run(again.tick(None))
    once_more = Door(tmp_path, Table({}), lambda *_: None)
    once_more.load()
    assert once_more.quarantine() == []


def test_a_wall_clock_that_was_set_back_makes_no_quarantine_longer(door: Door, tmp_path: Path) -> None:
    for number in range(9):
        rule(door, f"/0004f2{number:06x}.cfg", "192.0.2.66")
    asyncio.run(door.tick(None))
    again = Door(tmp_path, Table({}), lambda *_: None, lambda: -1e9, lambda: 7.0)
    again.load()
    assert [held["until"] for held in again.quarantine()] == [-1e9 + 86400]


def test_a_quarantine_that_cannot_be_read_or_written(
    door: Door, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "quarantine.json").write_text('[{"source": 5}]')
    door.load()
    assert "cannot be read (ValidationError): nobody is in quarantine" in caplog.text
    (tmp_path / "quarantine.json").unlink()
    (tmp_path / "quarantine.json").mkdir()
    for number in range(9):
        rule(door, f"/0004f2{number:06x}.cfg", "192.0.2.66")
    asyncio.run(door.tick(None))
    assert "quarantine.json cannot be written" in caplog.text
    assert door.trust.sources.changed


def test_contacts_that_cannot_be_read_or_written(
    door: Door, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "contacts.json").write_text("{")
    door.load()
    assert "cannot be read (DecodeError)" in caplog.text
    (tmp_path / "contacts.json").unlink()
    (tmp_path / "contacts.json").mkdir()
    rule(door, FILE, "192.0.2.7")
    asyncio.run(door.tick(renderer()))
    assert "free some disk space" in caplog.text
    assert door.trust.proofs.contacts.changed
