"""What phones upload: kept whole or not at all, within quotas, made harmless, and given back to that phone only."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from provisioner.front import uploads as module
from provisioner.front.uploads import MAX_FILES, MAX_PHONE, Uploads
from provisioner.phones.boot import file_asked
from provisioner.phones.identity import Identity
from provisioner.phones.trust import Verdict
from tests.front.harness import Front
from tests.front.test_files import fetch
from tests.phones.samples import AGENTS, MODELS

POLYCOM, YEALINK, GRANDSTREAM = MODELS
AGENT = {"User-Agent": AGENTS[POLYCOM]}
OVERRIDES = """<?xml version="1.0"?>
<PHONE_CONFIG><ALL reg.1.server.1.address="192.0.2.66" up.backlight.idleIntensity="0"/>
</PHONE_CONFIG>"""


def put(
    front: Front, path: str, body: bytes, headers: dict[str, str] | None = None, method: str = "PUT"
) -> int:
    return fetch(front, path, AGENT if headers is None else headers, method=method, body=body)[0]


def test_overrides_come_back_without_what_the_appliance_owns(front: Front) -> None:
    path = f"/{POLYCOM}-phone.cfg"
    assert fetch(front, path)[0] == 404
    assert put(front, f"/overrides{path}", OVERRIDES.encode()) == 201
    status, headers, body = fetch(front, path)
    assert (status, headers["Content-Length"], headers["Content-Type"]) == (200, str(len(body)), "text/xml")
    assert b'up.backlight.idleIntensity="0"' in body
    assert b"192.0.2.66" not in body
    assert put(front, path, body) == 201
    assert fetch(front, path)[2] == body


def test_overrides_of_nothing_but_what_the_appliance_owns_are_none(front: Front) -> None:
    path = f"/{POLYCOM}-web.cfg"
    assert put(front, path, b'<PHONE_CONFIG><ALL reg.1.address="666"/></PHONE_CONFIG>') == 201
    assert fetch(front, path)[0] == 404


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"/{POLYCOM}-phone.cfg", b"not XML"),
        (f"/{POLYCOM}-phone.cfg", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a b="&b;"/>'),
        (f"/{POLYCOM}-directory.xml", b"<calls/>"),
        (f"/{POLYCOM}-calls.xml", b"<html/>"),
    ],
)
def test_what_is_not_what_its_name_says_is_refused(front: Front, path: str, body: bytes) -> None:
    assert put(front, path, body) == 400
    assert front.journal.of("requests")[-1]["rule"] == "not-readable"
    assert not list((front.folder / "uploads").rglob("*.*"))


@pytest.mark.parametrize(
    ("path", "status"), [(f"/{POLYCOM}-app.log", 413), (f"/{POLYCOM}.cfg", 403), ("/nothing", 404)]
)
def test_who_sends_too_much_reads_why(front: Front, path: str, status: int) -> None:
    body = b"x" * (2 << 20)
    head = f"PUT {path} HTTP/1.1\r\nUser-Agent: {AGENT['User-Agent']}\r\nContent-Length: {len(body)}\r\n\r\n"
    with front.connect() as phone:
        phone.sendall(head.encode() + body)
        answer = b"".join(iter(lambda: phone.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 %d " % status)


def test_a_list_of_calls_goes_back_to_its_phone_only(front: Front) -> None:
    path = f"/{POLYCOM}-calls.xml"
    calls = b'<?xml version="1.0"?>\n<callList><call number="+14155550123"/></callList>'
    assert put(front, path, calls) == 201
    assert fetch(front, path)[2] == calls
    assert fetch(front, path, {"User-Agent": AGENTS[YEALINK]})[0] == 403
    assert fetch(front, path, {"User-Agent": "curl/8"})[0] == 403
    assert "5550123" not in repr(front.journal.rows)


def test_who_cannot_prove_to_be_the_phone_gets_no_upload(front: Front) -> None:
    path = f"/{POLYCOM}-calls.xml"
    assert put(front, path, b"<callList/>") == 201
    asker = front.door.asker(path, "192.0.2.50", AGENTS[POLYCOM])._replace(neighbour="001122334455")
    verdict = front.lookup.judge(asker)
    assert (verdict.status in (401, 403), verdict.body) == (True, None)


def test_what_a_yealink_puts_or_posts_is_for_people(front: Front) -> None:
    agent = {"User-Agent": AGENTS[YEALINK]}
    path = f"/{YEALINK}-local.cfg"
    for method in ("PUT", "POST"):
        text = f"#!version:1.0.0.1\nphone_setting.backlight_time = {len(method)}\n".encode()
        assert put(front, path, text, agent, method) == 201
        assert (front.folder / "uploads" / YEALINK / f"{YEALINK}-local.cfg").read_bytes() == text
    assert fetch(front, path, agent)[0] == 404
    assert put(front, f"/{POLYCOM}-app.log", b"x", method="POST") == 405


@pytest.mark.parametrize(
    "path",
    [
        f"/../{POLYCOM}-app.log",
        f"/%2e%2e/{POLYCOM}-app.log",
        f"/..%2f{POLYCOM}-app.log",
        f"/a\\..\\{POLYCOM}-app.log",
        f"/{POLYCOM}-app.log%00.cfg",
        f"/%252e%252e/{POLYCOM}-app.log",
        f"/{POLYCOM}-app.log/",
        "/0004f2000101-app.log/../../../../etc/passwd",
        f"/{POLYCOM}-core.tar.gz",
    ],
)
def test_no_way_out_of_the_folder(front: Front, path: str) -> None:
    assert put(front, path, b"x") in (403, 404)
    assert not (front.folder / "uploads").exists()


# -- the store alone ----------------------------------------


def verdict(name: str) -> Verdict:
    asked = file_asked(f"/{name}")
    assert asked
    return Verdict("upload", Identity("polycom"), asked)


def keep(store: Uploads, name: str, data: bytes) -> str:
    return asyncio.run(store.keep(verdict(name), data)).rule


def test_the_one_before_is_kept(tmp_path: Path) -> None:
    store = Uploads(tmp_path)
    for data in (b"1", b"2", b"3", b"3"):
        assert keep(store, f"{POLYCOM}-app.log", data) == "upload"
    own = tmp_path / POLYCOM
    assert {path.name: path.read_bytes() for path in own.iterdir()} == {
        f"{POLYCOM}-app.log": b"3",
        f"{POLYCOM}-app.log.1": b"2",
    }
    assert {path.stat().st_mode & 0o777 for path in own.iterdir()} == {0o600}


def test_a_disk_that_fills_up_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Uploads(tmp_path)
    keep(store, f"{POLYCOM}-app.log", b"1")

    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, "write_atomically", full)
    assert keep(store, f"{POLYCOM}-app.log", b"2") == "no-space"
    assert (tmp_path / POLYCOM / f"{POLYCOM}-app.log").read_bytes() == b"1"


def test_the_oldest_logs_of_a_phone_go_first(tmp_path: Path) -> None:
    store = Uploads(tmp_path)
    keep(store, f"{POLYCOM}-calls.xml", b"<callList/>")
    size = 500 << 10
    for number in range(20):
        assert keep(store, f"{POLYCOM}-app-{number}.log", bytes([number]) * size) == "upload"
        os.utime(tmp_path / POLYCOM / f"{POLYCOM}-app-{number}.log", (number, number))
    kept = {path.name for path in (tmp_path / POLYCOM).iterdir()}
    assert kept == {f"{POLYCOM}-calls.xml", *(f"{POLYCOM}-app-{number}.log" for number in range(12, 20))}
    assert sum(path.stat().st_size for path in (tmp_path / POLYCOM).iterdir()) <= MAX_PHONE


def test_a_phone_has_a_number_of_files_too(tmp_path: Path) -> None:
    store = Uploads(tmp_path)
    for number in range(100):
        assert keep(store, f"{POLYCOM}-app-{number}.log", b"x") == "upload"
    assert len(list((tmp_path / POLYCOM).iterdir())) <= MAX_FILES


def test_all_together_have_a_quota(tmp_path: Path) -> None:
    store = Uploads(tmp_path, most=1000)
    assert keep(store, f"{POLYCOM}-app.log", b"x" * 600) == "upload"
    assert keep(store, "0004f2000102-app.log", b"x" * 600) == "quota"
    assert keep(store, f"{POLYCOM}-app.log", b"y" * 300) == "upload"
    assert keep(store, f"{POLYCOM}-app.log", b"z" * 300) == "upload"  # the first goes, the second stays
    assert (
        keep(Uploads(tmp_path, most=1000), "0004f2000102-app.log", b"x" * 500) == "quota"
    )  # counted at a start
    assert keep(store, "0004f2000102-app.log", b"x" * 400) == "upload"
