"""Phones' files over HTTP: exact answers, ranges, keep-alive, uploads, and what is remembered of each."""

from __future__ import annotations

import http.client
import re

import pytest

from tests.front.harness import Front, read_all, read_until
from tests.phones.samples import AGENTS, MODELS, password

POLYCOM, YEALINK, GRANDSTREAM = MODELS
LINE = f"/{POLYCOM}-line.cfg"
AGENT = {"User-Agent": AGENTS[POLYCOM]}


def fetch(
    front: Front,
    path: str,
    headers: dict[str, str] | None = None,
    method: str = "GET",
    body: bytes | None = None,
) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", front.http, timeout=10)
    try:
        connection.request(method, path, body=body, headers=AGENT if headers is None else headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("mac", "path", "content_type"),
    [
        (POLYCOM, LINE, "text/xml"),
        (YEALINK, f"/{YEALINK}.cfg", "text/plain"),
        (GRANDSTREAM, f"/cfg{GRANDSTREAM}.xml", "text/xml"),
    ],
)
def test_each_phone_gets_its_file(front: Front, mac: str, path: str, content_type: str) -> None:
    status, headers, body = fetch(front, path, {"User-Agent": AGENTS[mac]})
    assert (status, headers["Content-Type"]) == (200, content_type)
    assert headers["Content-Length"] == str(len(body))
    assert "Transfer-Encoding" not in headers
    assert "Content-Encoding" not in headers
    assert password(mac).encode() in body
    assert fetch(front, path, {"User-Agent": AGENTS[mac], "Accept-Encoding": "gzip"})[2] == body


def test_head_tells_the_length_only(front: Front) -> None:
    whole = fetch(front, LINE)[2]
    status, headers, body = fetch(front, LINE, method="HEAD")
    assert (status, headers["Content-Length"], body) == (200, str(len(whole)), b"")


@pytest.mark.parametrize(
    ("wanted", "first", "end"),
    [("bytes=0-9", 0, 10), ("bytes=5-", 5, None), ("bytes=-7", -7, None), ("bytes=600-99999", 600, None)],
)
def test_a_range(front: Front, wanted: str, first: int, end: int | None) -> None:
    whole = fetch(front, LINE)[2]
    status, headers, body = fetch(front, LINE, {**AGENT, "Range": wanted})
    assert (status, body) == (206, whole[first:end])
    start = first % len(whole)
    assert headers["Content-Range"] == f"bytes {start}-{start + len(body) - 1}/{len(whole)}"


@pytest.mark.parametrize("wanted", ["bytes=99999-", "bytes=-0"])
def test_a_range_that_is_not_there(front: Front, wanted: str) -> None:
    whole = fetch(front, LINE)[2]
    status, headers, body = fetch(front, LINE, {**AGENT, "Range": wanted})
    assert (status, headers["Content-Range"], body) == (416, f"bytes */{len(whole)}", b"")


@pytest.mark.parametrize(
    "wanted", ["bytes=0-1,4-5", "lines=1-2", "bytes=9-2", "bytes=-", "bytes=" + "9" * 80 + "-"]
)
def test_a_range_that_is_not_understood_is_ignored(front: Front, wanted: str) -> None:
    assert fetch(front, LINE, {**AGENT, "Range": wanted})[0] == 200


def test_a_condition_changes_nothing(front: Front) -> None:
    status, headers, body = fetch(front, LINE, {**AGENT, "If-None-Match": "*", "If-Modified-Since": "x"})
    assert (status, headers["Content-Length"]) == (200, str(len(body)))
    assert "ETag" not in headers


def test_many_on_one_connection(front: Front) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", front.http, timeout=10)
    bodies = set()
    for _ in range(50):
        connection.request("GET", LINE, headers=AGENT)
        bodies.add(connection.getresponse().read())
    connection.close()
    assert len(bodies) == 1


def test_pipelined_requests_are_answered_in_order(front: Front) -> None:
    paths = [LINE, "/nothing.txt", f"/{POLYCOM}.cfg", f"/{POLYCOM}-site.cfg"] * 20
    with front.connect() as sock:
        head = f"Host: x\r\nUser-Agent: {AGENTS[POLYCOM]}\r\n"
        requests = [f"GET {path} HTTP/1.1\r\n{head}\r\n" for path in paths]
        requests[-1] = requests[-1].replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
        sock.sendall("".join(requests).encode())
        data = read_all(sock)
    assert re.findall(rb"HTTP/1.1 (\d+)", data) == [b"200", b"404", b"200", b"200"] * 20


def test_byte_by_byte(front: Front) -> None:
    with front.connect() as sock:
        for (
            byte
        ) in f"GET {LINE} HTTP/1.1\r\nUser-Agent: {AGENTS[POLYCOM]}\r\nConnection: close\r\n\r\n".encode():
            sock.send(bytes([byte]))
        assert read_all(sock).startswith(b"HTTP/1.1 200 OK\r\n")


def test_http_1_0_closes_unless_asked_to_stay(front: Front) -> None:
    request = f"GET {LINE} HTTP/1.0\r\nUser-Agent: {AGENTS[POLYCOM]}\r\n"
    with front.connect() as sock:
        sock.sendall(f"{request}\r\n".encode())
        data = read_all(sock)
    assert data.startswith(b"HTTP/1.1 200 OK")
    assert data.endswith(b"</phone>\n")
    with front.connect() as sock:
        sock.sendall(f"{request}Connection: keep-alive\r\n\r\n".encode())
        assert b"Connection: keep-alive\r\n" in read_until(sock, b"</phone>\n")
        sock.sendall(f"{request}\r\n".encode())
        assert read_all(sock).endswith(b"</phone>\n")


def test_a_phone_that_closes_its_half_still_gets_its_file(front: Front) -> None:
    with front.connect() as sock:
        sock.sendall(f"GET {LINE} HTTP/1.1\r\nUser-Agent: {AGENTS[POLYCOM]}\r\n\r\n".encode())
        sock.shutdown(1)
        assert read_all(sock).endswith(b"</phone>\n")


def test_an_upgrade_is_not_taken(front: Front) -> None:
    with front.connect() as sock:
        sock.sendall(
            f"GET {LINE} HTTP/1.1\r\nUser-Agent: {AGENTS[POLYCOM]}\r\n"
            "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n".encode()
        )
        data = read_all(sock)
    assert data.startswith(b"HTTP/1.1 200 OK")
    assert data.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01\x00", b"400"),
        (b"GET\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nA: b\r\n c\x00\r\n\r\n", b"400"),
        (b"GET /" + b"a" * 17000 + b" HTTP/1.1\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 17000 + b"\r\n\r\n", b"431"),
        (b"GET / HTTP/1.1\r\n" + b"X: a\r\n" * 9000 + b"\r\n", b"431"),
        (b"PUT /a HTTP/1.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n", b"400"),
    ],
)
def test_junk_is_refused_and_remembered(front: Front, data: bytes, status: bytes) -> None:
    with front.connect() as sock:
        sock.sendall(data)
        assert read_all(sock).startswith(b"HTTP/1.1 " + status)
    assert front.journal.of("requests")[-1]["rule"] == "bad-request"


def test_a_head_that_never_ends_is_refused(front: Front) -> None:
    with front.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nX: ")
        try:
            for _ in range(40):
                sock.sendall(b"a" * 1000)
        except ConnectionError:
            pass
        assert read_all(sock).startswith(b"HTTP/1.1 431")


def test_every_answer_is_remembered_without_a_secret(front: Front) -> None:
    fetch(front, LINE + "?password=hunter2")
    fetch(front, "/nothing.txt")
    rows = front.journal.of("requests")
    assert rows == front.events
    assert [(row["path"], row["status"], row["rule"]) for row in rows] == [
        (LINE, 200, "adopted"),
        ("/nothing.txt", 404, "no-such-file"),
    ]
    assert rows[0] | {"bytes": 0} == {
        "at": 1_700_000_000.5,
        "mac": POLYCOM,
        "address": "127.0.0.1",
        "method": "GET",
        "path": LINE,
        "status": 200,
        "bytes": 0,
        "rule": "adopted",
        "agent": AGENTS[POLYCOM],
    }
    assert rows[0]["bytes"] > 500
    assert password(POLYCOM) not in repr(front.journal.rows)
    assert "hunter2" not in repr(front.journal.rows)


def test_sightings(front: Front) -> None:
    fetch(front, "/001565000199.cfg", {"User-Agent": "Yealink SIP-T99S 66.85.0.5 00:15:65:00:01:99"})
    fetch(front, LINE, {"User-Agent": "curl/7.88"})
    fetch(front, LINE, {"User-Agent": AGENTS[YEALINK]})
    fetch(front, "/000000000000-app.log", method="PUT", body=b"x")
    assert front.journal.of("sightings") == [
        {
            "mac": "001565000199",
            "vendor": "yealink",
            "model": "T99S",
            "agent": "Yealink SIP-T99S 66.85.0.5 00:15:65:00:01:99",
            "address": "127.0.0.1",
            "last_seen": 1_700_000_000.5,
            "rule": "unknown-model",
            "firmware": "66.85.0.5",
        }
    ]


def test_a_phone_is_seen_by_the_name_that_people_know(front: Front) -> None:
    fetch(front, "/0004f2000199.cfg", {"User-Agent": "FileTransport PolycomSoundPointIP-SPIP_335-UA/4.0.4.1"})
    assert [row["model"] for row in front.journal.of("sightings")] == ["SoundPoint IP 335"]


def test_without_an_inventory_no_phone_is_told_anything(front: Front) -> None:
    front.lookup.renderer = None
    assert fetch(front, LINE)[0] == 503
    assert fetch(front, LINE, method="PUT", body=b"x")[0] == 503


def test_a_log_is_kept(front: Front) -> None:
    log = f"/{POLYCOM}-app.log"
    folder = front.folder / "uploads" / POLYCOM
    for text in (b"first", b"second", b"third"):
        assert fetch(front, log, method="PUT", body=text)[0] == 201
    assert fetch(front, f"/logs{log.replace('app', 'boot')}", method="PUT", body=b"boot")[0] == 201
    kept = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert kept == {
        f"{POLYCOM}-app.log": b"third",
        f"{POLYCOM}-app.log.1": b"second",
        f"{POLYCOM}-boot.log": b"boot",
    }
    assert fetch(front, log)[0] == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"/{POLYCOM}-license.cfg", 403),
        (LINE, 403),
        ("/0004f2000199-app.log", 403),
        (f"/{POLYCOM}-core.tar.gz", 403),
        (f"/../{POLYCOM}-app.log", 404),
        ("/etc/passwd", 404),
    ],
)
def test_other_uploads_are_refused_and_nothing_is_kept(front: Front, path: str, status: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", front.http, timeout=10)
    connection.request("PUT", path, body=b"x" * 100_000, headers=AGENT)
    answer = connection.getresponse()
    assert (answer.status, bool(answer.read())) == (status, True)
    connection.request("GET", LINE, headers=AGENT)
    assert connection.getresponse().status == 200  # the body of the refused one was taken out of the way
    connection.close()
    assert not (front.folder / "uploads").exists()


def test_an_upload_has_a_limit(front: Front) -> None:
    log = f"/{POLYCOM}-app.log"
    assert fetch(front, log, method="PUT", body=b"x" * (1 << 20))[0] == 201
    assert (
        fetch(front, log, {**AGENT, "Content-Length": str((1 << 20) + 1)}, method="PUT", body=b"")[0] == 413
    )
    head = f"PUT {log} HTTP/1.1\r\nUser-Agent: {AGENTS[POLYCOM]}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with front.connect() as sock:
        sock.sendall(head.encode() + b"100001\r\n" + b"x" * 0x100001 + b"\r\n")
        assert read_until(sock, b"\r\n").startswith(b"HTTP/1.1 413")
    assert (front.folder / "uploads" / POLYCOM / f"{POLYCOM}-app.log").stat().st_size == 1 << 20


def test_expect_continue(front: Front) -> None:
    head = f"User-Agent: {AGENTS[POLYCOM]}\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    with front.connect() as sock:
        sock.sendall(f"PUT /{POLYCOM}-app.log HTTP/1.1\r\n{head}".encode())
        assert read_until(sock, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"abc")
        assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 201")
    with front.connect() as sock:
        sock.sendall(f"PUT /{POLYCOM}-license.cfg HTTP/1.1\r\n{head}".encode())
        assert read_until(sock, b"\r\n\r\n").startswith(b"HTTP/1.1 403")


def test_a_full_disk_is_said(front: Front) -> None:
    (front.folder / "uploads").write_text("a file in the place of the folder")
    assert fetch(front, f"/{POLYCOM}-app.log", method="PUT", body=b"x")[0] == 507
    assert front.journal.of("requests")[-1]["rule"] == "no-space"


def test_who_goes_away_in_the_middle_of_an_upload(front: Front) -> None:
    with front.connect() as sock:
        head = f"PUT /{POLYCOM}-app.log HTTP/1.1\r\nUser-Agent: {AGENTS[POLYCOM]}\r\n"
        sock.sendall(f"{head}Content-Length: 9\r\n\r\nabc".encode())
    assert fetch(front, LINE)[0] == 200
    assert not (front.folder / "uploads").exists()


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods(front: Front, method: str) -> None:
    status, headers, _ = fetch(front, LINE, method=method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD, PUT")


def test_slow_senders_are_timed_out(front: Front) -> None:
    with front.connect() as slow, front.connect() as idle:
        slow.sendall(b"GET / HTTP/1.1\r\n")
        idle.sendall(b"GET / HTTP/1.1\r\n\r\n")
        read_until(idle, b"\r\n\r\n")
        front.call(lambda: None)
        front.later(29)
        front.later(2)
        assert read_all(slow).startswith(b"HTTP/1.1 408")
        front.later(45)
        assert read_all(idle) == b""
