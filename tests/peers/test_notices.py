"""A 911 call with a baresip as the front desk, a real mail server and a real webhook, and what is broken beside it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioner import ipc
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import Notifying, Phone
from tests.notifier.test_notifier import Letters, smtp, web
from tests.peers.appliance import DEMO, Appliance
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture, needs_capture
from tests.peers.wait import until

pytestmark = pytest.mark.peer("baresip", "tcpdump", "tshark")


class Desk:
    """An appliance of the demo with two phones; 101 is a front desk."""

    def __init__(self, directory: Path) -> None:
        self.appliance = Appliance(directory)
        self.state = StateDir(self.appliance.state)
        self.phones: dict[str, Baresip] = {}
        with self.change() as change:
            kept = change.get(Phone, DEMO["101"])
            assert kept
            change.put(
                Phone(
                    **{
                        **{name: getattr(kept[0], name) for name in kept[0].__struct_fields__},
                        "front_desk": True,
                    }
                )
            )
        for extension in ("101", "102"):
            account, host = self.appliance.account(DEMO[extension]), self.appliance.new_host()
            phone = Baresip(directory / extension, account, host)
            phone.__enter__()
            self.phones[extension] = phone
            phone.registered()
        until(self.ready, "the notifier answers", 30, self.appliance.tail)

    def ready(self) -> bool:
        try:
            return bool(ipc.ask(self.state.socket("notifier"), "ping"))
        except ipc.Gone:
            return False

    def change(self) -> Any:
        self.inventory = Inventory.open(self.state.inventory)
        return self.inventory.change("test")

    def tell(self, **settings: Any) -> None:
        with self.change() as change:
            change.put(Notifying(id="notices", mail_security="none", **settings))
        self.appliance.edge.call("reload")

    def notices(self, call: str = "") -> dict[str, str]:
        """state by channel and occasion."""
        journal = Journal.open(self.state.journal)
        try:
            rows = journal.notices()
        finally:
            journal.close()
        return {
            f"{row['channel']} {row['occasion']}": row["state"]
            for row in rows
            if row["call"] == (call or row["call"])
        }

    def close(self) -> None:
        for phone in self.phones.values():
            phone.__exit__(None, None, None)
        self.appliance.stop()


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    needs_capture()
    made = Desk(tmp_path_factory.mktemp("notices"))
    try:
        yield made
    finally:
        made.close()


def sent(capture: Capture) -> str:
    """All SIP text that crossed the network, as it is on the wire."""
    return capture.path.read_bytes().decode("latin-1")


@pytest.mark.rule("emergency.told")
def test_front_desk_mail_and_webhook_are_told(desk: Desk, tmp_path: Path) -> None:
    letters = Letters()
    with smtp(letters) as port, web() as (hook, got):
        desk.tell(
            mail_host="127.0.0.1",
            mail_port=port,
            mail_to=("desk@example.com",),
            webhooks=(f"http://127.0.0.1:{hook}/x",),
        )
        ipc.ask(desk.state.socket("notifier"), "test")  # it has read the settings
        until(lambda: letters.got and got, "the test notice", 20, desk.appliance.tail)
        with Capture(tmp_path, desk.appliance, [phone.host for phone in desk.phones.values()]) as capture:
            desk.phones["102"].dial("911")
            desk.phones["101"].heard_of("CALL_ESTABLISHED")  # it picks up by itself
            until(
                lambda: len(letters.got) >= 3 and len(got) >= 3, "mail and webhook", 20, desk.appliance.tail
            )
            until(
                lambda: desk.notices().get("ring placed") == "delivered",
                "all was said",
                90,
                desk.appliance.tail,
            )
            desk.phones["102"].hang_up()
    subjects = [re.search(rb"Subject: (.*)", each.content) for each in letters.got]
    assert b"911 called" in subjects[1].group(1) if subjects[1] else False
    assert [json.loads(body)["occasion"] for _, _, body in got] == ["trial", "placed", "answered"]
    states = desk.notices()
    assert states["message placed"] == "delivered"
    wire = sent(capture)
    assert "info=emergency" in wire
    assert "MESSAGE sip:" in wire


@pytest.mark.rule("emergency.told", "emergency.always")
def test_web_dead_notifier_stopped_and_a_server_that_hangs(desk: Desk) -> None:
    core = desk.appliance.control("core")
    before = len(core.call("calls")["calls"])
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        desk.tell(webhooks=(f"http://127.0.0.1:{deaf.getsockname()[1]}/",))
        notifier = ipc.ask(desk.state.socket("notifier"), "ping")["pid"]
        os.kill(notifier, signal.SIGSTOP)
        os.kill(ipc.ask(desk.state.socket("web"), "ping")["pid"], signal.SIGKILL)
        began = time.time()
        desk.phones["102"].dial("911")
        until(
            lambda: len(core.call("calls")["calls"]) > before,
            "the centre has the call",
            4,
            desk.appliance.tail,
        )
        desk.phones["102"].hang_up()
        os.kill(notifier, signal.SIGCONT)
        journal = Journal.open(desk.state.journal)
        try:
            until(
                lambda: journal.emergencies(began) and journal.emergencies(began)[-1]["ended"],
                "it is written",
                10,
            )
            call = journal.emergencies(began)[-1]["id"]
        finally:
            journal.close()
        until(
            lambda: desk.notices(call).get("webhook placed") == "pending",
            "it is to be told",
            30,
            desk.appliance.tail,
        )


@pytest.mark.rule("dialled.emergency-test")
def test_a_test_by_hand_reaches_the_centre(desk: Desk) -> None:
    began = time.time()
    ipc.ask(desk.state.socket("edge"), "emergency_test", {"extension": "102"})
    core = desk.appliance.control("core")
    until(
        lambda: any(row["kind"] == "emergency-test" for row in core.call("calls")["calls"]),
        "the test arrives",
        10,
    )
    journal = Journal.open(desk.state.journal)
    try:
        until(lambda: (rows := journal.emergencies(began)) and rows[-1]["ended"], "the test is over", 60)
        row = journal.emergencies(began)[-1]
    finally:
        journal.close()
    assert row["kind"] == "emergency-test"
    assert row["answered"]
    assert row["body"]["routes"][0]["result"] == "answered"
