"""Every page of the staff, and a practice in which there is something to show on each: for walks over all of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import people
import web_practice as practice
from flask import Flask
from flask.testing import FlaskClient
from msgspec.structs import replace

from provisioner.emergency import registration
from provisioner.emergency.providers.wire import Account
from provisioner.emergency.registrar import ADAPTERS
from provisioner.emergency.registration import Context, Corrected, Read
from provisioner.keeping import making
from provisioner.paths import StateDir
from provisioner.phones.first_start import STEPS
from provisioner.store.inventory import Inventory
from provisioner.store.records import (
    Key,
    Number,
    Phone,
    PhoneGroup,
    Provider,
    ProviderSecret,
    RetiredPhone,
)
from provisioner.web.app import create_app
from provisioner.web.jobs import Jobs
from provisioner.web.restores import Restores
from tests.store.test_emergencies import notice, row

_NAMES = re.compile("WORK|ACCOUNT|UPLOAD")
JOB = "feedfeedfeedfeed"
NUMBER = "+14155550101"
LONG = "Dr. Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh, Pediatrics"
PAGES: dict[str, tuple[str, ...]] = {  # endpoint to the paths that are walked, below /staff
    "staff.overview": ("/",),
    "staff.phones": ("/phones", "/phones?q=nothing-fits", "/phones?status=waiting"),
    "staff.phone": (f"/phones/{practice.YEALINK}", f"/phones/{practice.STRANGER}"),
    "phone.edit": (f"/phones/{practice.YEALINK}/edit",),
    "phone.keys": tuple(f"/phones/{practice.YEALINK}/keys{more}" for more in ("", "?key=2", "?view=table")),
    "phone.settings": (f"/phones/{practice.YEALINK}/settings",),
    "phone.files": (f"/phones/{practice.YEALINK}/files",),
    "phone.file": tuple(
        f"/phones/{practice.YEALINK}/files/{practice.YEALINK}.cfg{more}" for more in ("", "?difference=1")
    ),
    "phone.show_calls": (f"/phones/{practice.YEALINK}/calls",),
    "phone.show_history": (f"/phones/{practice.YEALINK}/history",),
    "phone.choose_other": (f"/phones/{practice.YEALINK}/replace?by={practice.STRANGER}",),
    "orders.confirm_reset": (f"/phones/{practice.YEALINK}/reset",),
    "orders.confirm_retire": (f"/phones/{practice.YEALINK}/retire",),
    "orders.jobs": ("/jobs",),
    "orders.job": (f"/jobs/{JOB}",),
    "orders.retired": ("/retired",),
    "tables.form": ("/phones/import",),
    "extensions.page": ("/extensions",),
    "extensions.length": ("/extensions/length?length=4",),
    "features.page": ("/extensions/102",),
    "numbers.page": ("/numbers",),
    "numbers.one": (f"/numbers/{NUMBER}",),
    "addresses.page": ("/addresses",),
    "addresses.one": (f"/addresses/{NUMBER}",),
    "staff.calls": ("/calls", "/calls?show=missed"),
    "call_page.show": ("/calls/c1", "/calls/moved"),
    "trends.of_calls": ("/calls/trends",),
    "trends.of_requests": ("/requests/trends",),
    "trends.of_tests": ("/emergency/matrix",),
    "audio.index": ("/audio",),
    "staff.requests": ("/requests",),
    "readiness.page": ("/emergency/readiness",),
    "emergency.page": ("/emergency/log",),
    "practice.show": ("/practice",),
    "layers.show": ("/settings",),
    "layers.setting": ("/settings/codecs?layer=site",),
    "groups.groups": ("/groups",),
    "groups.group": ("/groups/nurses",),
    "ringing.index": ("/ring-groups",),
    "ringing.new": ("/ring-groups/new",),
    "ringing.one": ("/ring-groups/main",),
    "through.show": ("/dial-through",),
    "places.index": ("/locations", "/locations?q=desk"),
    "places.new": ("/locations/new?level=building",),
    "places.one": ("/locations/desk",),
    "pending.page": ("/pending",),
    "trust.show": ("/trust",),
    "protection.show": ("/protection",),
    "trunks.show": ("/trunks",),
    "trunks.new": ("/trunks/new",),
    "trunks.one": ("/trunks/core",),
    "trunks.ask_remove": ("/trunks/core/remove",),
    "providers.show": ("/providers",),
    "providers.new": ("/providers/new",),
    "providers.one": ("/providers/tel",),
    "dhcp.show": ("/dhcp", "/dhcp?for=windows"),
    "authorities.show": ("/certificates",),
    "openapi.page": ("/api", "/api?part=calls"),
    "request_log.show": ("/requests/1",),
    "wizard.show": tuple(f"/setup/{step}" for step in STEPS),
    "discovery.show": ("/discovery",),
    "https.show": ("/https",),
    "users.page": ("/users",),
    "users.new": ("/users/new",),
    "users.one": ("/users/bert",),
    "users.ask_remove": ("/users/bert/remove",),
    "tokens.page": ("/tokens",),
    "account.page": ("/account",),
    "settings_toml.form": ("/settings-file",),
    "audit.page": ("/audit",),
    "audit.one": ("/audit/2",),
    "backup.show": ("/backup",),
    "backup.upload_form": ("/backup/restore",),
    "backup.look": ("/backup/restore/UPLOAD",),
    "account.offer": ("/account/second-factor",),
    "work.everything": ("/tasks",),
    "work.one": ("/tasks/WORK", "/tasks/ACCOUNT"),
}
NO_SESSION = {"staff.signed_out": ("/signed-out",), "signing.form": ("/sign-in",)}
# Files, parts that scripts fetch, what leads elsewhere at once.
NO_PAGES = {
    *(
        "static",
        "staff.session_state",
        "staff.sign_in",
        "audio.listen",
        "call_log.export_page",
        "tables.table",
    ),
    *("emergency.api_csv", "emergency.api_evidence", "authorities.own", "trunks.test_part", "work.part"),
    *("request_log.export", "account.picture", "wizard.begin", "backup.download", "settings_toml.export"),
}


def missing(app: Flask) -> set[str]:
    """Pages that nobody walks."""
    there = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if "GET" in (rule.methods or ()) and rule.rule.startswith("/staff")
    }
    return there - PAGES.keys() - NO_SESSION.keys() - NO_PAGES


def _fill_inventory(path: Path) -> None:
    inventory = Inventory.open(path, clock=lambda: practice.NOW)
    with inventory.change(who="test") as change:
        change.put(Provider(id="tel", api="telnyx"))
        change.put(ProviderSecret(id="tel", password="nobody-sees-this"))
        change.put(
            PhoneGroup(id="nurses", name="Nurses", keys=(Key(position=1, function="blf", value="101"),))
        )
        change.put(
            RetiredPhone(
                id="0004f2000177",
                vendor="polycom",
                model="VVX 411",
                extensions=("117",),
                at=practice.NOW - 9e5,
                who="Kim",
            )
        )
        held = change.get(Phone, practice.YEALINK)[0]  # type: ignore[index]
        lines = (replace(held.lines[0], name=LONG),)
        change.put(replace(held, lines=lines, group="nurses"))
        number = change.get(Number, NUMBER)[0]  # type: ignore[index]
        change.put(replace(number, provider="tel", address_status="unregistered"))
    _correct(inventory)
    inventory.close()


def _correct(inventory: Inventory) -> None:
    """A correction of the address that waits for a person."""
    snapshot = inventory.snapshot()
    place, number = snapshot.place("desk"), snapshot.numbers[NUMBER]
    assert place
    wanted = registration.wanted(number, place.civic, "Clinic")
    held = registration.begin(NUMBER, "tel", wanted, practice.NOW)
    context = Context(practice.NOW, ADAPTERS["telnyx"](Account("", "", "")).abilities, practice.NOW + 9000)
    for event in (Read("absent"), Read("absent"), Corrected((replace(wanted, city="Northfield"),))):
        with inventory.change(who="registrar") as change:
            held = registration.on(held, event, context)
            change.put(held)


def _fill_journal(journal: Any) -> None:
    at = practice.NOW - 9000
    journal.write("calls", practice.MOVED)
    journal.write("emergencies", row("c911", at, "emergency"))
    journal.write("emergencies", row("t1", at - 90))
    journal.write("emergencies", row("t2", at - 9e4, answered=None, outcome="no route took the call"))
    journal.write("notices", notice("n1", "c911", at))
    journal.write("notices", notice("n2", "c911", at, "pending"))
    journal.write("notices", {**notice("n3", "", at, "pending"), "occasion": "trial"})
    for mac, state in (
        (practice.POLYCOM, "back"),
        (practice.YEALINK, "refused"),
        (practice.GRANDSTREAM, "busy"),
    ):
        done = state == "back"
        body = {
            "extension": "101", "note": "" if done else "It is in a call", "registered": at if done else 0.0,
            "sent": at if done else 0.0, "status": 200 if done else 0,
            "files": [["x.cfg", at, 200, 41]] if done else [],
        }  # fmt: skip
        one = {"job": JOB, "mac": mac, "at": at, "who": "Kim", "mode": "resync", "wave": 1}
        journal.write("resyncs", {**one, "state": state, "body": body})
    assert journal.flush()


STATUS: dict[str, Any] = {
    "bans": [{"source": "192.0.2.66", "reason": "scanner", "until": practice.NOW + 290, "hits": 1234}],
    "suspects": [{"mac": practice.POLYCOM, "why": ["network"]}],
}
QUARANTINE = {
    "source": "192.0.2.77", "address": "192.0.2.77", "mac": "001565000888", "reason": "sweep",
    "until": practice.NOW + 900, "hits": 55,
}  # fmt: skip


@dataclass
class House:
    """A running app over a filled practice."""

    app: Flask
    state: StateDir
    status: dict[str, Any]  # what the edge answers
    names: dict[str, str]  # what stands for WORK (a job that has ended) and UPLOAD (a backup) in the paths

    def browser(self) -> FlaskClient:
        """A browser in which an administrator is signed in."""
        return people.browser(self.app, "kim")

    def paths(self) -> list[str]:
        """All that is walked with a session."""
        paths = [f"/staff{path}" for found in PAGES.values() for path in found]
        return [_NAMES.sub(lambda found: self.names[found[0]], path) for path in paths]


ACCOUNT: dict[str, Any] = {  # what a provider told of its numbers
    "provider": "tel",
    "problem": "",
    "places": [["desk", "Front desk"]],
    "found": [
        {"number": "+14155550190", "label": "Main", "what": "new"},
        {"number": "+14155550100", "label": "", "what": "known"},
    ],
    "total": 2,
    "fresh": 1,
}


@contextmanager
def house(directory: Path) -> Iterator[House]:
    """The practice, with stand-ins for front and edge."""
    state = StateDir.create(directory)
    practice.fill_inventory(state.inventory)
    practice.fill_journal(state.journal)
    _fill_inventory(state.inventory)
    app = create_app(state, now=lambda: practice.NOW, patience=2)
    sources = app.extensions["provisioner"]
    _fill_journal(sources.journal)
    methods = practice.front_methods(state)
    told = {**methods["status"]({}), "quarantine": [QUARANTINE]}  # type: ignore[dict-item]
    front = practice.Process(state, "front", {**methods, "status": lambda _: told})
    status = {**practice.status(), **STATUS}
    edge = practice.Process(state, "edge", {"status": lambda _: status})
    jobs: Jobs = app.extensions["provisioner.jobs"]
    people.add(app, "kim", "administrator")
    people.add(app, "bert", "viewer")
    work = jobs.begin("import", "Kim", lambda progress: {"new": 2, "change": 1})
    assert jobs.wait(work.id, 5)
    account = jobs.begin("provider", "Kim", lambda progress: ACCOUNT)
    assert jobs.wait(account.id, 5)
    backup = directory.with_suffix(".zip")
    making.make(state, backup, making.Wanted(), now=lambda: practice.NOW)
    with backup.open("rb") as source:
        upload = Restores(state, sources.now).take(source)
    try:
        yield House(app, state, status, {"WORK": work.id, "ACCOUNT": account.id, "UPLOAD": upload})
    finally:
        edge.close()
        front.close()
        sources.close()
