"""A practice with a past, and stand-ins for the other processes, for the tests of the pages."""

from __future__ import annotations

import asyncio
import html
import re
import threading
from pathlib import Path

from werkzeug.test import TestResponse

from provisioner.front.inspect import Inspector
from provisioner.ipc import Json, Method, Server
from provisioner.paths import StateDir
from provisioner.phones.catalogue import Catalogue
from provisioner.phones.render import Renderer
from provisioner.phones.settings import Addresses
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import Line, Location, Number, Phone, Practice, RingGroup, Trunk

NOW = 1_790_000_000.0
POLYCOM, YEALINK, GRANDSTREAM, STRANGER = "0004f2000101", "001565000102", "000b82000103", "001565000199"
PATIENT = "+16505550123"

SIGHTINGS = {
    POLYCOM: ("polycom", "VVX 411", "FileTransport PolycomVVX-VVX_411-UA/6.4.6.2494 Type/Application", 900),
    YEALINK: ("yealink", "T46S", "Yealink SIP-T46S 66.86.0.15 00:15:65:00:01:02", 800),
    GRANDSTREAM: (
        "grandstream",
        "GXP2170",
        "Grandstream Model HW GXP2170 SW 1.0.11.64 DevId 000b82000103",
        86400,
    ),
    STRANGER: ("yealink", "T46S", "Yealink SIP-T46S 66.86.0.15 00:15:65:00:01:99", 30),
}

REGISTRATIONS: list[Json] = [
    {
        "extension": "101",
        "mac": POLYCOM,
        "contact": "sip:101@192.0.2.21:5060",
        "address": "192.0.2.21",
        "agent": "PolycomVVX-VVX_411-UA/6.4.6.2494",
        "expires_in": 240,
    },
    {
        "extension": "102",
        "mac": YEALINK,
        "contact": "sip:102@192.0.2.22:5060",
        "address": "192.0.2.22",
        "agent": "Yealink SIP-T46S 66.86.0.15",
        "expires_in": 200,
    },
]


def call(**changes: object) -> Json:
    """A live inbound call in the middle of a transfer, as the edge shows it."""
    view: Json = {
        "id": "c1",
        "direction": "inbound",
        "state": "consulting",
        "from": PATIENT,
        "to": "+14155550100",
        "desk": "101",
        "target": "102",
        "started": NOW - 75,
        "answered": NOW - 70,
        "outcome": "",
        "steps": [[5, "101 picked up"], [40, "pressed *"], [48, "calls 102"], [52, "102 answered"]],
    }
    return {**view, **changes}


def status(calls: list[Json] | None = None, up: bool = True) -> Json:
    """What the edge answers to `status`."""
    return {
        "revision": 1,
        "sip": "127.0.0.1:5060",
        "registrations": REGISTRATIONS,
        "calls": [call()] if calls is None else calls,
        "trunks": [{"id": "core", "up": up}],
        "counters": {"calls": 12},
    }


def fill_inventory(path: Path) -> None:
    """Three phones, of which the third is offline."""
    inventory = Inventory.open(path, clock=lambda: NOW)
    civic = {
        "country": "US",
        "A1": "CA",
        "A3": "San Francisco",
        "HNO": "500",
        "RD": "Terry Francois",
        "STS": "Blvd",
    }
    with inventory.change(who="test") as change:
        change.put(Practice(id="practice", name="Bay Street Clinic", main_number="+14155550100"))
        change.put(
            Location(id="desk", name="Front desk", civic={**civic, "PC": "94158", "FLR": "1", "ROOM": "100"})
        )
        change.put(Location(id="lab", name="Lab", civic={**civic, "FLR": "2"}))
        change.put(RingGroup(id="main", name="Main", members=("101", "102", "103")))
        change.put(Trunk(id="core", uri="sip:198.51.100.5:5060"))
        change.put(Number(id="+14155550100", label="Main", ring_group="main", address_status="registered"))
        for mac, vendor, model, extension, name, location in (
            (POLYCOM, "polycom", "VVX 411", "101", "Front desk", "desk"),
            (YEALINK, "yealink", "T46S", "102", "Dr. Adams", "lab"),
            (GRANDSTREAM, "grandstream", "GXP2170", "103", "Lab", "lab"),
        ):
            number = f"+14155550{extension}"
            change.put(
                Number(
                    id=number, label=name, extension=extension, location=location, address_status="registered"
                )
            )
            line = Line(extension=extension, number=number, name=name)
            change.put(Phone(id=mac, vendor=vendor, model=model, lines=(line,), location=location))
    inventory.close()


def fill_journal(path: Path) -> None:
    """Some past calls and requests; one phone waits for adoption."""
    journal = Journal.open(path, clock=lambda: NOW)
    for mac, (vendor, model, agent, age) in SIGHTINGS.items():
        row = {"mac": mac, "vendor": vendor, "model": model, "agent": agent, "address": "192.0.2.30"}
        journal.write("sightings", {**row, "last_seen": NOW - age})
    for age, mac, path_asked, code, rule in (
        (900, POLYCOM, "/0004f2000101.cfg", 200, "adopted"),
        (30, STRANGER, "/001565000199.cfg", 200, "waiting"),
    ):
        row = {"mac": mac, "address": "192.0.2.30", "method": "GET", "path": path_asked, "agent": "agent"}
        journal.write("requests", {**row, "at": NOW - age, "status": code, "bytes": 21814, "rule": rule})
    for name, age, caller, called, outcome in (
        ("p1", 4000, PATIENT, "+14155550100", "talked, the caller hung up"),
        ("p2", 3000, "101", "102", "no answer"),
    ):
        at = NOW - age
        row = {
            "id": name,
            "direction": "inbound",
            "caller": caller,
            "called": called,
            "desk": "101",
            "emergency": 0,
        }
        times = {"started": at, "answered": at + 10, "ended": at + 130, "steps": [[3, "101 rings"]]}
        journal.write("calls", {**row, **times, "outcome": outcome})
    assert journal.flush()
    journal.close()


def front_methods(state: StateDir) -> dict[str, Method]:
    """What the front answers, made from the inventory as it is at that moment."""
    addresses, catalogue = Addresses("192.0.2.10", 5060, "192.0.2.10", 8080), Catalogue()

    def renderer() -> Renderer:
        inventory = Inventory.open(state.inventory)
        snapshot = inventory.snapshot()
        inventory.close()
        return Renderer(snapshot, addresses, catalogue)

    inspector = Inspector(renderer, lambda: None)
    status = {"revision": 1, "phones": "http://192.0.2.10:8080", "tftp": "192.0.2.10:69", "legacy_https": ""}
    return {"status": lambda _: status, "reload": lambda _: {"revision": 2}, **inspector.methods}


def text_of(answer: TestResponse) -> str:
    """What a person reads on a page, tags and runs of spaces taken out."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.get_data(as_text=True))))


class Process:
    """A stand-in for another process, at its socket, in a thread."""

    def __init__(self, state: StateDir, name: str, methods: dict[str, Method]) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._server = Server(methods)
        asyncio.run_coroutine_threadsafe(self._server.start(state.socket(name)), self._loop).result(5)

    def close(self) -> None:
        """Stop it."""
        asyncio.run_coroutine_threadsafe(self._server.close(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()


STEPS = [[5.0, "talking"], [40.0, "menu"], [43.0, "collecting"], [48.0, "dialling 102"], [52.0, "consulting 102"],
         [70.0, "completing"], [75.0, "joined 102"], [120.0, "ended"]]  # fmt: skip
LEGS: list[Json] = [
    {"trunk": "core", "codec": "PCMU", "transport": "TLS", "srtp": True, "address": "198.51.100.5", "from": 0.0,
     "answered": 5.0, "to": 120.0, "mos": 4.3, "loss": 0.0, "jitter_ms": 1.5},
    {"extension": "101", "mac": POLYCOM, "called": True, "codec": "PCMU", "transport": "UDP",
     "address": "192.0.2.21", "from": 0.2, "answered": 5.0, "to": 75.0, "mos": 3.3, "loss": 6.5, "jitter_ms": 9.0},
    {"extension": "103", "called": True, "transport": "UDP", "from": 0.2, "to": 3.0, "status": 486},
    {"extension": "102", "called": True, "codec": "PCMU", "transport": "UDP", "from": 48.0, "answered": 52.0,
     "to": 120.0},
]  # fmt: skip
MOVED: Json = {  # a call of the journal that was transferred
    "id": "moved", "started": NOW - 600, "answered": NOW - 595, "ended": NOW - 480, "direction": "inbound",
    "caller": PATIENT, "called": "+14155550100", "desk": "102", "target": "102", "outcome": "ended",
    "emergency": 0, "steps": STEPS, "ring_seconds": 5.0, "talk_seconds": 115.0, "mos": 3.3, "loss": 6.5,
    "jitter_ms": 9.0, "legs": LEGS,
}  # fmt: skip
