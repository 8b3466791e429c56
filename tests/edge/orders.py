"""Phones that are told to fetch their files or to restart, and what they do then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from provisioner.sip.digest import Authenticator
from provisioner.sip.message import Request
from provisioner.sip.transaction import ServerTransaction
from provisioner.store.records import RingGroup, Snapshot
from tests.edge.world import EXTENSIONS, MACS, World, practice

FILES = {"polycom": "{mac}.cfg", "yealink": "{mac}.cfg", "grandstream": "cfg{mac}.xml"}
ALL = [MACS[extension] for extension in EXTENSIONS]


def made_by(*vendors: str, group: bool = True) -> Snapshot:
    """The practice with the phones of other makers."""
    usual = practice()
    phones = {
        mac: msgspec.structs.replace(usual.phones[mac], vendor=vendor, model="some")
        for mac, vendor in zip(ALL, vendors, strict=True)
    }
    groups = {"all": RingGroup(id="all", name="All", members=EXTENSIONS)} if group else {}
    return practice(phones=phones, ring_groups=groups)


class Desk:
    """What a phone does when it is told something. `status`: its answer, None for none."""

    def __init__(self, world: World, extension: str) -> None:
        self.world, self.phone, self.mac = world, world.phones[extension], MACS[extension]
        self.status: int | None = 200
        self.told: list[Request] = []
        self.auth: Authenticator | None = None
        self.phone.on_request = self.on_request  # type: ignore[method-assign]

    def on_request(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        if request.method == "NOTIFY":
            self.told.append(request)
            if self.auth and not self.proved(request):
                challenges = [("www-authenticate", value) for value in self.auth.challenges("edge")]
                transaction.reply(401, "", challenges)
                return
        if self.status:
            transaction.reply(self.status)

    def proved(self, request: Request) -> bool:
        assert self.auth
        user, password = self.phone.account
        given = request.get("authorization")
        check = self.auth.check(given, "NOTIFY", "edge", {user: password}.get)
        return check.outcome == "ok"

    @property
    def events(self) -> list[str]:
        return [request.get("event") for request in self.told]

    def fetch(self, status: int = 200, path: str = "", **row: Any) -> None:
        """It asks the front for its file."""
        vendor = self.world.edge.directory.snapshot.phones[self.mac].vendor
        row = {
            "id": next(_numbers),
            "mac": self.mac,
            "status": status,
            "at": self.world.edge.wall_clock(),
        } | row
        path = path or "/x/" + FILES[vendor].format(mac=self.mac)
        self.world.edge.resyncs.heard([{**row, "path": path}])

    def start_again(self, seconds: float = 30.0) -> None:
        """It restarts: fetches its file and registers with a new Call-ID."""
        self.world.pass_time(seconds)
        self.fetch()
        self.phone._call_id = self.phone.agent.new_tag()
        assert self.phone.register().status == 200

    def state(self) -> str:
        return self.row()["state"]

    def row(self) -> dict[str, Any]:
        return [row for table, row in self.world.rows if table == "resyncs" and row["mac"] == self.mac][-1]

    def note(self) -> str:
        return self.row()["body"]["note"]


def _count() -> Iterator[int]:
    yield from range(1, 10_000)


_numbers = _count()
Setting = Callable[..., tuple[World, list[Desk]]]


def start(world: World, macs: list[str] | None = None, mode: str = "resync") -> str:
    view = world.edge.resyncs.start(macs, mode, "test")
    world.pass_time(0.2)
    return str(view["job"])


def view(world: World, job: str) -> dict[str, Any]:
    found: dict[str, Any] = world.edge.resyncs.status(job)["jobs"][0]
    return found
