"""A practice with something of every kind, and stand-ins for the other processes, for who calls the whole API."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import web_practice as practice
from flask import Flask

from provisioner.ipc import Json, Method
from provisioner.paths import StateDir
from provisioner.store.inventory import Inventory
from provisioner.store.records import (
    DialThrough,
    ExtensionRange,
    HeldExtension,
    Key,
    LineFeatures,
    PhoneGroup,
    PhoneSettings,
    Provider,
    RetiredPhone,
)
from provisioner.web.app import create_app

GONE = "000b820001ff"
KNOWN = {  # an id that is there, by what comes before it in the path; after a colon: by its own name there
    "phones": practice.POLYCOM,
    "extensions": "101",
    "extension-ranges": "110-119",
    "numbers": "+14155550101",
    "layers": "site",
    "locations": "lab",
    "phone-groups": "nurses",
    "ring-groups": "main",
    "trunks": "core",
    "providers": "telco",
    "recordings": "menu",
    "dial-through": "b1",
    "jobs": "job1",
    "makers": "yealink",
    "dhcp": "dnsmasq",
    "files": f"{practice.POLYCOM}.cfg",
    "requests": "1",
    "keys": "2",
}


def _more(path: Path) -> None:
    inventory = Inventory.open(path, clock=lambda: practice.NOW)
    key = Key(position=2, function="blf", value="102")
    with inventory.change(who="test") as change:
        change.put(PhoneGroup(id="nurses", name="Nurses", keys=(key,)))
        change.put(PhoneSettings(id="site", values={"dtmf": "info"}))
        change.put(ExtensionRange(id="110-119", first="110", last="119", name="Labs", location="lab"))
        change.put(HeldExtension(id="150", reason="reserved", name="Dr. Baker", at=practice.NOW, who="test"))
        change.put(LineFeatures(id="101", forward_busy="102"))
        change.put(Provider(id="telco", api="telnyx"))
        change.put(
            RetiredPhone(
                id=GONE,
                vendor="grandstream",
                model="GXP2170",
                extensions=("109",),
                at=practice.NOW,
                who="test",
            )
        )
        change.put(
            DialThrough(
                id="b1",
                number="+14155550100",
                phone="+16505550123",
                target="+16505550124",
                calling="+14155550100",
                expires=practice.NOW + 600,
            )
        )
    inventory.close()


def _job(args: Json) -> Json:
    return {
        "job": "job1", "mode": args["mode"], "who": args["who"], "at": practice.NOW, "open": True,
        "states": {"due": 1}, "refused": [],
    }  # fmt: skip


def _methods(state: StateDir) -> dict[str, dict[str, Method]]:
    edge: dict[str, Method] = {
        "status": lambda _: practice.status(),
        "ping": lambda _: {"pid": 1, "uptime": 1.0},
        "reload": lambda _: {"revision": 2},
        "call": lambda _: {"call": "c9"},
        "emergency_test": lambda _: {"call": "c9"},
        "resync": _job,
        "unban": lambda args: {"source": args["source"]},
    }
    notifier: dict[str, Method] = {"test": lambda _: {"notices": ["n1"]}}
    return {"edge": edge, "front": practice.front_methods(state), "notifier": notifier}


@contextmanager
def running(root: Path) -> Iterator[Flask]:
    """The web application of that practice in `root`, with all that it asks."""
    state = StateDir.create(root)
    practice.fill_inventory(state.inventory)
    _more(state.inventory)
    practice.fill_journal(state.journal)
    app = create_app(state, now=lambda: practice.NOW)
    others = [practice.Process(state, name, methods) for name, methods in _methods(state).items()]
    try:
        yield app
    finally:
        for each in others:
            each.close()
        app.extensions["provisioner"].close()


def known(path: str) -> dict[str, str]:
    """Ids that are there for the names of a path of the document, as `/api/v1/phones/{mac}`."""
    parts = path.split("/")
    return {
        name[1:].partition("}")[0]: KNOWN[before]
        for before, name in pairwise(parts)
        if name.startswith("{") and before in KNOWN
    }
