"""The list of phones: search, filters, order and pages, all of it in the address; on the page and by the API."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from flask import Response, make_response, redirect, request, url_for

from provisioner import versions
from provisioner.errors import ProvisionerError
from provisioner.phones.proof import window_open
from provisioner.store.records import Snapshot
from provisioner.web import adoption, forms, staff, views
from provisioner.web.language import later as N_
from provisioner.web.session import sources, who
from provisioner.web.sources import World
from provisioner.web.views import PhoneRow

PAGE = 50
NONE = "none"  # in an address: those that have no group, or no location
FIELDS = ("q", "status", "model", "group", "location", "firmware", "sort")
STATUSES = {**views.PHONE_FILTERS, "ignored": N_("Ignored")}
FIRMWARE = {"behind": N_("Behind"), "known": N_("As new as is known"), "unknown": N_("Not known")}


class Asked(NamedTuple):
    """What an address asks of the list. `sort`: a key of SORTS, with `-` before it the other way round."""

    q: str = ""
    status: str = ""
    model: str = ""
    group: str = ""
    location: str = ""
    firmware: str = ""
    sort: str = ""

    @classmethod
    def of(cls, args: Mapping[str, str]) -> Asked:
        """What the arguments of a request ask for."""
        return cls(**{name: args.get(name, "").strip()[:100] for name in FIELDS})

    def given(self) -> dict[str, str]:
        """What is not empty, to be put into an address."""
        return {name: value for name, value in self._asdict().items() if value}


class Choice(NamedTuple):
    """One value of a filter: how it is written in an address, its words, and how many phones it would show."""

    value: str
    word: str
    phones: int


class Facet(NamedTuple):
    """One filter: its name in the address, what it is called, and its choices."""

    name: str
    word: str
    choices: list[Choice]


def _model(row: PhoneRow) -> str:
    return f"{row.vendor}/{row.model}" if row.model else row.vendor


def _firmware(row: PhoneRow) -> str:
    return "behind" if row.newest else "known" if row.version else "unknown"


class Sifted(NamedTuple):
    """A phone, and the filters that it does not fit."""

    row: PhoneRow
    misses: tuple[str, ...]


def sift(rows: Iterable[PhoneRow], asked: Asked, snapshot: Snapshot) -> list[Sifted]:
    """All phones; those that are to be shown miss nothing."""
    there = {
        each for each in snapshot.locations if any(up.id == asked.location for up in snapshot.lineage(each))
    }
    own: dict[str, Callable[[PhoneRow], bool]] = {
        "q": lambda row: views.matches(row, asked.q),
        "model": lambda row: asked.model in (_model(row), row.vendor),
        "group": lambda row: row.adopted and asked.group == (row.group or NONE),
        "location": lambda row: (
            row.adopted and (row.location in there if row.location else asked.location == NONE)
        ),
        "firmware": lambda row: asked.firmware == _firmware(row),
    }
    tests = [(name, test) for name, test in own.items() if getattr(asked, name)]
    tests.append(("status", lambda row: views.has_status(row, asked.status)))
    return [Sifted(row, tuple([name for name, test in tests if not test(row)])) for row in rows]


def _address(row: PhoneRow) -> tuple[int, int]:
    try:
        address = ipaddress.ip_address(row.address)
    except ValueError:
        return 9, 0
    return address.version, int(address)


def _extension(row: PhoneRow) -> tuple[int, str]:
    extension = row.lines[0].extension if row.lines else ""
    return len(extension), extension


_STATUS_ORDER = {
    name: at for at, name in enumerate(("offline", "unknown", "starting", "waiting", "in-call", "ready"))
}
SORTS: dict[str, Callable[[PhoneRow], object]] = {
    "status": lambda row: _STATUS_ORDER.get(row.status, 9),
    "name": lambda row: row.label.lower(),
    "extension": _extension,
    "location": lambda row: row.location_name.lower(),
    "model": lambda row: _model(row).lower(),
    "firmware": lambda row: (_model(row), versions.key(row.vendor, row.version)),
    "address": _address,
    "seen": lambda row: -(row.last_seen or 0.0),
}


def ordered(rows: Iterable[PhoneRow], sort: str) -> list[PhoneRow]:
    """The rows as `sort` says; without it those that wait come first, then by extension."""
    key = SORTS.get(sort.removeprefix("-"))
    by_extension = sorted(rows, key=lambda row: (row.adopted, _extension(row), row.mac))
    return sorted(by_extension, key=key, reverse=sort.startswith("-")) if key else by_extension  # type: ignore[arg-type]


def found(world: World, asked: Asked, rows: list[PhoneRow]) -> list[PhoneRow]:
    """The phones that an address asks for, in its order."""
    return ordered((row for row, misses in sift(rows, asked, world.snapshot) if not misses), asked.sort)


def all_rows(world: World) -> list[PhoneRow]:
    """All phones, each with the firmware that it could run where its own is older."""
    rows = views.phones(world, ignored=True)
    newest = sources().newest()
    for row in rows:
        row.newest = newest.of(row.vendor, row.model, row.version)
    return rows


def facets(snapshot: Snapshot, asked: Asked, sifted: list[Sifted]) -> list[Facet]:
    """The filters with what each would show beside the others that are set."""

    def counted(name: str, value: Callable[[PhoneRow], str]) -> Counter[str]:
        return Counter([value(row) for row, misses in sifted if misses in ((), (name,))])

    models = counted("model", _model)
    groups = counted("group", lambda row: (row.group or NONE) if row.adopted else "")
    places = counted("location", lambda row: (row.location or NONE) if row.adopted else "")
    firmware = counted("firmware", _firmware)
    group_names = {each.id: each.name for each in snapshot.phone_groups.values()}
    place_names = {each.id: each.name for each in snapshot.locations.values()}
    words = {
        "model": {value: _title(value) for value in models},
        "group": {NONE: N_("No group"), **group_names},
        "location": {NONE: N_("No location"), **place_names},
        "firmware": FIRMWARE,
    }
    all_ = (
        ("model", N_("Model"), models),
        ("group", N_("Group"), groups),
        ("location", N_("Location"), places),
        ("firmware", N_("Firmware"), firmware),
    )
    return [
        Facet(name, word, _choices(words[name], counts, getattr(asked, name))) for name, word, counts in all_
    ]


def _title(model: str) -> str:
    vendor, _, name = model.partition("/")
    return f"{vendor.capitalize()} {name.replace('_', ' ')}".strip()


def _choices(words: Mapping[str, str], counts: Counter[str], chosen: str) -> list[Choice]:
    there = [
        Choice(value, word, counts[value])
        for value, word in words.items()
        if counts[value] or value == chosen
    ]
    return sorted(
        (each for each in there if each.value), key=lambda each: (each.value == NONE, each.word.lower())
    )


class Window(NamedTuple):
    """One page of a list: its rows, and where it lies in the whole; `page` counts from 1."""

    rows: list[PhoneRow]
    page: int
    pages: int
    total: int

    @property
    def first(self) -> int:
        return (self.page - 1) * PAGE + 1 if self.total else 0

    @property
    def last(self) -> int:
        return min(self.page * PAGE, self.total)


def window(rows: list[PhoneRow], page: str) -> Window:
    """The page that was asked for, the last one when it is beyond."""
    pages = max(1, -(-len(rows) // PAGE))
    number = min(max(1, forms.whole(page, 6) or 1), pages)
    return Window(rows[(number - 1) * PAGE : number * PAGE], number, pages, len(rows))


@staff.blueprint.get("/phones", endpoint="phones")
def phones() -> Response:
    """All phones, those that wait for adoption first."""
    return page(sources().world())


def page(world: World, status: int = 200, error: str = "", mac: str = "") -> Response:
    """The list as the address asks for it; `error`: why the phone `mac` was not adopted."""
    asked, rows = Asked.of(request.args), all_rows(world)
    sifted = sift(rows, asked, world.snapshot)
    shown = ordered((row for row, misses in sifted if not misses), asked.sort)

    def link(**changes: str | int) -> str:
        """The address of this list with other arguments; from its first page unless that is given."""
        wanted: dict[str, Any] = {**asked.given(), **changes}
        return url_for("staff.phones", **{name: value for name, value in wanted.items() if value})

    others = [row for row, misses in sifted if misses in ((), ("status",))]
    counts = {name: sum([views.has_status(row, name) for row in others]) for name in STATUSES}
    return staff.page(
        "phones.html",
        world,
        status,
        window=window(shown, request.args.get("page", "1")),
        asked=asked,
        link=link,
        facets=facets(world.snapshot, asked, sifted),
        statuses={name: word for name, word in STATUSES.items() if counts[name] or name != "ignored"},
        counts=counts,
        any_phones=bool(rows),
        open_now=window_open(world.snapshot.practice, world.now),
        error=error,
        error_mac=mac,
    )


@staff.blueprint.post("/phones/<mac>/adopt", endpoint="adopt")
def adopt(mac: str) -> Response:
    """Adopt a waiting phone, with the extension that was typed or the next free one."""
    try:
        adoption.adopt(sources(), mac, who(), request.form.get("extension", ""))
    except ProvisionerError as error:
        return page(sources().world(), 409, str(error), mac)
    return make_response(redirect(url_for("staff.phone", mac=mac, adopted=1), 303))
