"""Notices by e-mail and webhook: the outbox in virtual time, real servers as sinks, and one that hangs."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from provisioner import certificates
from provisioner.emergency import notices
from provisioner.emergency.notices import BACKOFF, GIVE_UP_SECONDS, Outbox
from provisioner.errors import UsageError
from provisioner.notifier import mail, webhook
from provisioner.notifier.mail import NotDelivered
from provisioner.notifier.notifier import MISSED_SECONDS, Notifier
from provisioner.store.records import Notifying, Practice, Snapshot

PRACTICE = Practice(id="practice", name="Demo", main_number="+14155550100")
HOOK = "https://hooks.example/secret-path"
SETTINGS = Notifying(id="notices", mail_host="mail.example", mail_to=("desk@example.com",), webhooks=(HOOK,))
NOW = 1_790_000_000.0


def call(**changes: Any) -> dict[str, Any]:
    body = {
        "called": "911", "name": "Room 2", "location": "Main, FL 2", "civic": {"A3": "Oakland"}, "known": True,
        "doubt": "", "routes": [],
    }  # fmt: skip
    row = {
        "id": "c1", "kind": "emergency", "at": NOW, "mac": "0004f2000102", "extension": "102",
        "number": "+14155550102", "answered": None, "ended": None, "outcome": "", "body": body,
    }  # fmt: skip
    return {**row, **changes}


def snapshot(settings: Notifying = SETTINGS) -> Snapshot:
    return Snapshot(revision=1, practice=PRACTICE, notice_settings={"notices": settings})


# what is told


@pytest.mark.rule("emergency.told")
def test_a_call_becomes_notices_of_its_beginning_answer_or_failure() -> None:
    def made(**changes: Any) -> list[str]:
        rows = notices.wanted(call(**changes), SETTINGS, PRACTICE, NOW)
        return [f"{row['channel']} {row['occasion']}" for row in rows]

    assert made() == ["mail placed", "webhook placed"]
    assert made(answered=NOW + 3)[2:] == ["mail answered", "webhook answered"]
    assert made(answered=NOW + 3, ended=NOW + 60)[2:] == ["mail answered", "webhook answered"]
    assert made(ended=NOW + 60, outcome="no route took the call")[2:] == ["mail failed", "webhook failed"]
    assert made(kind="crisis") == []
    assert made(kind="emergency-test") == []


@pytest.mark.rule("emergency.told")
def test_the_words_say_who_where_when_the_number_and_what_came_of_it() -> None:
    facts = notices.told(call(ended=NOW, outcome="no route took the call"), "failed", PRACTICE)
    words = notices.text({**facts, "location_doubt": "another network", "address_known": False})
    for part in (
        "Room 2 (102)",
        "Main, FL 2",
        "+14155550102",
        "2026-09-21T07:13:20-07:00",
        "no route took the call",
    ):
        assert part in words
    assert "may have been moved: another network" in words
    assert "from another phone" in words
    assert "THE CALL FAILED" in words
    nobody = notices.told(call(extension="", number="", body={}), "placed", PRACTICE)
    assert "a phone that is not known" in notices.subject(nobody)
    assert "place not known" in notices.subject(nobody)


def test_a_webhook_is_shown_without_its_path() -> None:
    rows = notices.wanted(call(), SETTINGS, PRACTICE, NOW)
    assert rows[1]["target"] == "hooks.example"
    assert rows[1]["body"]["to"] == HOOK


# the outbox


def test_what_is_not_delivered_is_sent_again_later_and_later_and_given_up_after_a_day() -> None:
    box, now = Outbox(), NOW
    box.add(notices.wanted(call(), SETTINGS, PRACTICE, now)[:1])
    waits = []
    while True:
        (row,) = box.due(now)
        assert box.due(now) == []
        settled = box.settle(row["id"], "no", now)
        if settled["state"] == "given up":
            break
        waits.append(settled["due"] - now)
        assert box.due(settled["due"] - 0.1) == []
        now = settled["due"]
        assert box.waiting == now
    assert tuple(waits[: len(BACKOFF)]) == BACKOFF
    assert set(waits[len(BACKOFF) :]) == {BACKOFF[-1]}
    assert now - NOW > GIVE_UP_SECONDS
    assert box.waiting is None


def test_nothing_is_told_twice_and_what_is_pending_outlasts_a_restart() -> None:
    rows = notices.wanted(call(), SETTINGS, PRACTICE, NOW)
    box = Outbox()
    assert len(box.add(rows)) == 2
    assert box.add(notices.wanted(call(), SETTINGS, PRACTICE, NOW + 5)) == []
    first, second = box.due(NOW)
    kept = [box.settle(first["id"], "", NOW), box.settle(second["id"], "no", NOW)]
    again = Outbox()
    again.know(msgspec.json.decode(msgspec.json.encode(kept)))
    assert again.add(rows) == []
    assert [row["id"] for row in again.due(NOW + 100)] == [second["id"]]


def test_one_target_that_hangs_holds_up_no_other_and_gets_one_at_a_time() -> None:
    box = Outbox()
    box.add(notices.wanted(call(), SETTINGS, PRACTICE, NOW))
    box.add(notices.wanted(call(id="c2"), SETTINGS, PRACTICE, NOW))
    sent = box.due(NOW)
    assert {row["channel"] for row in sent} == {"mail", "webhook"}
    delivered = next(row for row in sent if row["channel"] == "mail")
    box.settle(delivered["id"], "", NOW)
    assert [row["channel"] for row in box.due(NOW)] == ["mail"]


# the notifier


class Sink:
    """Senders that do what they are told; `written` is the journal."""

    def __init__(self, settings: Notifying = SETTINGS) -> None:
        self.sent: list[str] = []
        self.problem: dict[str, BaseException | None] = {}
        self.written: list[dict[str, Any]] = []
        self.now = NOW
        self.hang = asyncio.Event()
        self.notifier = Notifier(
            {"mail": lambda row: self.send("mail", row), "webhook": lambda row: self.send("webhook", row)},
            self.written.append,
            lambda: snapshot(settings),
            lambda: self.now,
        )

    async def send(self, channel: str, row: dict[str, Any]) -> None:
        problem = self.problem.get(channel)
        if isinstance(problem, TimeoutError):
            await self.hang.wait()
        elif problem:
            raise problem
        self.sent.append(f"{channel} {row['occasion']}")

    async def turn(self) -> None:
        self.notifier.begin()
        for _ in range(10):
            await asyncio.sleep(0)


def test_a_channel_that_hangs_or_breaks_leaves_the_other_alone() -> None:
    async def play() -> None:
        sink = Sink()
        sink.problem = {"mail": TimeoutError(), "webhook": NotDelivered("the server answered 500")}
        sink.notifier.heard(call())
        await sink.turn()
        assert sink.sent == []
        assert [row["problem"] for row in sink.written] == ["", "", "the server answered 500"]
        sink.problem["webhook"] = None
        sink.now += BACKOFF[0]
        await sink.turn()
        assert sink.sent == ["webhook placed"]
        assert sink.written[-1]["state"] == "delivered"
        await sink.notifier.close()

    asyncio.run(play())


def test_a_fault_of_ours_is_written_down_and_tried_again() -> None:
    async def play() -> None:
        sink = Sink()
        sink.problem = {"mail": KeyError("x")}
        sink.notifier.heard(call())
        await sink.turn()
        assert sorted(row["problem"] for row in sink.written[2:]) == ["", "a fault of ours (KeyError)"]
        sink.problem = {}
        sink.now += 5
        await sink.turn()
        assert sorted(sink.sent) == ["mail placed", "webhook placed"]

    asyncio.run(play())


def test_calls_that_no_event_told_of_are_found_in_the_journal_for_an_hour() -> None:
    async def play() -> None:
        sink = Sink()
        sink.notifier.missed([call(), call(id="old", at=NOW - MISSED_SECONDS - 1)])
        await sink.turn()
        assert sorted(sink.sent) == ["mail placed", "webhook placed"]
        sink.notifier.missed([call()])
        await sink.turn()
        assert len(sink.sent) == 2

    asyncio.run(play())


def test_a_test_notice_says_that_it_is_one() -> None:
    async def play() -> None:
        sink = Sink()
        assert len(sink.notifier.trial("trial-1")) == 2
        await sink.turn()
        assert sorted(sink.sent) == ["mail trial", "webhook trial"]
        assert "TEST of the notices" in notices.subject(sink.written[0]["body"])
        with pytest.raises(UsageError, match="set an address"):
            Sink(Notifying(id="notices")).notifier.trial("trial-2")

    asyncio.run(play())


# real servers


class Letters:
    def __init__(self, refuse: str = "") -> None:
        self.refuse = refuse
        self.got: list[Any] = []

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.got.append(envelope)
        return self.refuse or "250 OK"


@contextmanager
def smtp(letters: Letters, **more: Any) -> Iterator[int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    controller = Controller(letters, hostname="127.0.0.1", port=port, **more)
    controller.start()
    try:
        yield port
    finally:
        controller.stop()


def letter() -> dict[str, Any]:
    return notices.wanted(call(), SETTINGS, PRACTICE, NOW)[0]


def settings(port: int, security: str = "none", user: str = "") -> Notifying:
    return msgspec.structs.replace(
        SETTINGS, mail_host="127.0.0.1", mail_port=port, mail_security=security, mail_user=user,
        mail_from="phones@example.com",
    )  # fmt: skip


@pytest.mark.rule("emergency.told")
def test_a_real_server_gets_the_mail() -> None:
    letters = Letters()
    with smtp(letters) as port:
        mail.send(letter(), settings(port), "", NOW)
    (got,) = letters.got
    assert (got.mail_from, got.rcpt_tos) == ("phones@example.com", ["desk@example.com"])
    text = got.content.decode()
    assert "Subject: 911 called: Room 2 (102), Main, FL 2" in text
    assert "Call-back number: +14155550102" in text
    assert f"Message-ID: <{letter()['id']}@provisioner.invalid>" in text


def server_context(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    server = certificates.context(folder, ["127.0.0.1"], file="smtp.pem")
    return server, ssl.create_default_context(cafile=str(folder / "ca.pem"))


@pytest.mark.parametrize(
    ("password", "problem"), [("right", ""), ("wrong", "does not take user and password")]
)
def test_starttls_and_sign_in(tmp_path: Path, password: str, problem: str) -> None:
    server, trust = server_context(tmp_path)

    def check(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password == b"right", handled=False)

    letters = Letters()
    with smtp(letters, tls_context=server, auth_required=True, authenticator=check) as port:
        if problem:
            with pytest.raises(NotDelivered, match=problem) as caught:
                mail.send(letter(), settings(port, "starttls", "me"), password, NOW, trust)
            assert password not in str(caught.value)
        else:
            mail.send(letter(), settings(port, "starttls", "me"), password, NOW, trust)
    assert len(letters.got) == (0 if problem else 1)


def test_tls_from_the_start(tmp_path: Path) -> None:
    server, trust = server_context(tmp_path)
    letters = Letters()
    with smtp(letters, ssl_context=server) as port:
        mail.send(letter(), settings(port, "tls"), "", NOW, trust)
        with pytest.raises(NotDelivered, match="certificate"):
            mail.send(letter(), settings(port, "tls"), "", NOW)
    assert len(letters.got) == 1


def test_servers_that_do_not_take_it(tmp_path: Path) -> None:
    with smtp(Letters("451 later")) as port, pytest.raises(NotDelivered, match=r"refused it \(451\)"):
        mail.send(letter(), settings(port), "", NOW)
    with smtp(Letters()) as port, pytest.raises(NotDelivered, match="no STARTTLS"):
        mail.send(letter(), settings(port, "starttls"), "", NOW)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        with pytest.raises(NotDelivered, match="cannot be reached"):
            mail.send(letter(), settings(deaf.getsockname()[1]), "", NOW, seconds=0.2)


@contextmanager
def web(status: int = 204, tls: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[Any]]]:
    got: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append((self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()

        def log_message(self, *_args: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port, got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def hook(url: str) -> dict[str, Any]:
    return notices.wanted(call(), Notifying(id="notices", webhooks=(url,)), PRACTICE, NOW)[0]


@pytest.mark.rule("emergency.told")
def test_a_real_server_gets_the_webhook_signed() -> None:
    with web() as (port, got):
        webhook.send(hook(f"http://127.0.0.1:{port}/told?a=1"), "key", NOW)
    ((path, headers, body),) = got
    assert path == "/told?a=1"
    said = json.loads(body)
    assert (said["extension"], said["callback_number"], said["location"]) == (
        "102",
        "+14155550102",
        "Main, FL 2",
    )
    assert (said["occasion"], said["called"], said["civic"]) == ("placed", "911", {"A3": "Oakland"})
    assert "to" not in said
    at, _, mark = headers["X-Provisioner-Signature"].partition(",v1=")
    assert mark == hmac.new(b"key", at[2:].encode() + b"." + body, hashlib.sha256).hexdigest()


def test_https_is_checked(tmp_path: Path) -> None:
    server, trust = server_context(tmp_path)
    with web(tls=server) as (port, got):
        webhook.send(hook(f"https://127.0.0.1:{port}/"), "", NOW, trust)
        with pytest.raises(NotDelivered, match="certificate"):
            webhook.send(hook(f"https://127.0.0.1:{port}/"), "", NOW)
    assert len(got) == 1


@pytest.mark.parametrize("status", [302, 404, 500])
def test_only_2xx_is_a_receipt(status: int) -> None:
    with web(status) as (port, _got), pytest.raises(NotDelivered, match=f"answered {status}"):
        webhook.send(hook(f"http://127.0.0.1:{port}/"), "", NOW)


def test_nobody_listens() -> None:
    with pytest.raises(NotDelivered, match="cannot be reached"):
        webhook.send(hook("http://127.0.0.1:1/secret"), "", NOW)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://x/",
        "https://u:p@x/",
        "https://",
        "https://x/\n",
        "https://x:99999/",
        "x",
    ],
)
def test_urls_that_are_none(url: str) -> None:
    with pytest.raises(UsageError):
        notices.checked_url(url)


@pytest.mark.parametrize("url", ["https://example.com/a?b=c", "http://127.0.0.1:8/x", "http://localhost/x"])
def test_urls_that_are_some(url: str) -> None:
    assert notices.checked_url(url) == url
