"""A large practice with a long past, made fast: 1,000 phones, a million calls, a million requests (pages.py)."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from provisioner.store import call_tables, database
from provisioner.store.inventory import Inventory
from provisioner.store.journal import COLUMNS, migrations
from provisioner.store.records import Line, Location, Number, Phone, Practice, RingGroup, Trunk

PHONES, CALLS, REQUESTS = 1_000, 1_000_000, 1_000_000
DAY = 86400.0
SPAN = 180 * DAY  # of calls
MODELS = (
    ("polycom", "VVX 411", "0004f2", "FileTransport PolycomVVX-VVX_411-UA/6.4.6.2494 Type/Application"),
    ("yealink", "T46S", "001565", "Yealink SIP-T46S 66.86.0.15"),
    ("grandstream", "GXP2170", "000b82", "Grandstream Model HW GXP2170 SW 1.0.11.64"),
)
STEPS = [[4.0, "talking"], [30.2, "menu"], [33.0, "collecting"], [36.1, "dialling {0}"], [41.0, "consulting {0}"],
         [60.3, "completing"], [62.0, "joined {0}"], [180.0, "ended"]]  # fmt: skip


def mac(index: int) -> str:
    return f"{MODELS[index % 3][2]}{index:06x}"


def extension(index: int) -> str:
    return str(2000 + index)


def number(index: int) -> str:
    return f"+1415555{index:04d}"


def inventory(path: Path) -> None:
    """Forty buildings of five rooms each, a thousand phones with an extension each, and a thousand numbers."""
    opened = Inventory.open(path)
    civic = {"country": "US", "A1": "CA", "A3": "San Francisco", "RD": "Market", "STS": "St", "PC": "94103"}
    with opened.change(who="benchmark") as change:
        change.put(
            Practice(
                id="practice",
                name="Bay Clinics",
                extension_length=4,
                main_number=number(0),
                time_zone="America/Los_Angeles",
            )
        )
        change.put(Trunk(id="core", uri="sip:127.0.0.1:9"))
        for site in range(40):
            change.put(
                Location(
                    id=f"b{site}",
                    name=f"Building {site}",
                    level="building",
                    civic={**civic, "HNO": str(100 + site)},
                )
            )
            for room in range(5):
                change.put(
                    Location(
                        id=f"b{site}r{room}",
                        name=f"Room {room}",
                        level="room",
                        parent=f"b{site}",
                        civic={"ROOM": str(room)},
                    )
                )
        for index in range(PHONES):
            change.put(
                Number(
                    id=number(index),
                    label=f"Line {index}",
                    location=f"b{index % 40}",
                    address_status="unregistered" if index % 7 == 6 else "registered",
                )
            )
            vendor, model, _prefix, _agent = MODELS[index % 3]
            own = number(index) if index % 3 else ""  # a third shows the main number
            line = Line(extension=extension(index), number=own, name=f"Desk {index}")
            change.put(
                Phone(
                    id=mac(index),
                    vendor=vendor,
                    model=model,
                    lines=(line,),
                    location=f"b{index % 40}r{index % 5}",
                )
            )
        for group in range(50):
            members = tuple(extension(group * 20 + member) for member in range(20))
            change.put(RingGroup(id=f"g{group}", name=f"Group {group}", members=members))
    opened.close()


def _calls(rng: random.Random, now: float) -> Iterator[tuple[object, ...]]:
    """Half inbound, the rest outbound and internal; one in 20 transferred, one in 8 not answered, one in 50 poor."""
    gap = SPAN / CALLS
    for at in range(CALLS):
        started = now - SPAN + at * gap
        desk, other = extension(rng.randrange(PHONES)), extension(rng.randrange(PHONES))
        patient = f"+1{rng.randrange(201, 989)}{rng.randrange(200, 999)}{rng.randrange(400):04d}"
        direction = ("inbound", "inbound", "outbound", "internal")[at % 4]
        caller, called = {"inbound": (patient, number(0)), "outbound": (desk, patient)}.get(
            direction, (desk, other)
        )
        if at % 5000 == 0:
            direction, caller, called = "emergency", desk, "933"
        answered = None if at % 8 == 0 else started + 4
        moved = answered is not None and at % 20 == 2
        mos = None if answered is None else 3.1 if at % 50 == 1 else round(4.0 + rng.random() * 0.4, 2)
        steps = (
            [[when, what.format(other)] for when, what in STEPS]
            if moved
            else [[4.0, "talking"], [180.0, "ended"]]
        )
        leg = {"extension": desk, "codec": "PCMU", "transport": "UDP", "from": 0.0, "answered": 4.0, "to": 180.0,
               "result": "answered", "mos": mos, "loss": 0.1, "jitter_ms": 2.0}  # fmt: skip
        legs = msgspec.json.encode([{**leg, "extension": "", "trunk": "core"}, leg]).decode()
        yield (
            int(started * call_tables.MICRO), f"{at:016x}", started, answered, started + 180, direction, caller, called,
            desk, other if moved else "", "ended" if answered else "nobody answered", int(direction == "emergency"),
            msgspec.json.encode(steps if answered else []).decode(), 4.0, 176.0 if answered else 0.0,
            None if mos is None else 0.2, None if mos is None else 3.0, mos, legs if answered else None,
        )  # fmt: skip


def _requests(rng: random.Random, now: float) -> Iterator[tuple[object, ...]]:
    for at in range(REQUESTS):
        index = rng.randrange(PHONES)
        status, rule = rng.choice(
            ((200, "known"), (200, "known"), (304, "known"), (404, "no-file"), (401, "challenge"))
        )
        yield (
            now - (REQUESTS - at) * 2.0, mac(index), f"10.0.{index // 250}.{index % 250 + 1}", "GET",
            f"/{mac(index)}.cfg", status, 22_000, rule, MODELS[index % 3][3],
        )  # fmt: skip


def _tests(now: float) -> Iterator[tuple[object, ...]]:
    """A call to 933 of each line a month."""
    for month in range(12):
        for index in range(PHONES):
            at = now - (12 - month) * 30 * DAY + index * 60
            body = {
                "called": "933",
                "name": f"Desk {index}",
                "origin": "schedule",
                "routes": [],
                "matters": {},
            }
            yield (
                f"t{month}-{index}", "emergency-test", at, mac(index), extension(index), number(index), at + 2, at + 30,
                "read back", msgspec.json.encode(body).decode(),
            )  # fmt: skip


def _served(now: float) -> Iterator[tuple[object, ...]]:
    for index in range(PHONES):
        for name in (f"{mac(index)}.cfg", f"{mac(index)}-directory.xml", "site.cfg"):
            own = msgspec.json.encode([["sip.extension", extension(index)]]).decode()
            yield mac(index), name, now - 3600, 1, f"{index:064x}", "6.4.6.2494", "s1", own


def journal(path: Path, now: float) -> None:
    """The rows at once, without triggers and indices; then these, as the migration makes them."""
    database.prepare(path, migrations)
    rng = random.Random(1)  # the same past each time
    with closing(database.connect(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("PRAGMA cache_size = -200000")
        connection.execute("BEGIN")
        later = connection.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND"
            " (type = 'trigger' OR (type = 'index' AND tbl_name = 'requests'))"
        ).fetchall()
        for kind, name, _sql in later:
            connection.execute(f"DROP {kind} {name}")
        _insert(connection, "calls", ["position", *COLUMNS["calls"]], _calls(rng, now))
        call_tables.rebuild(connection)
        _insert(connection, "requests", COLUMNS["requests"], _requests(rng, now))
        connection.execute(call_tables.COUNT_REQUESTS)
        for _kind, _name, sql in later:
            connection.execute(sql)
        _insert(connection, "emergencies", COLUMNS["emergencies"], _tests(now))
        _insert(connection, "skeletons", COLUMNS["skeletons"], iter([("s1", now, "lines", "", "[]")]))
        _insert(connection, "served", COLUMNS["served"], _served(now))
        _insert(connection, "sightings", COLUMNS["sightings"], _sightings(now))
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _sightings(now: float) -> Iterator[tuple[object, ...]]:
    for index in range(PHONES):
        vendor, model, _prefix, agent = MODELS[index % 3]
        address = f"10.0.{index // 250}.{index % 250 + 1}"
        yield mac(index), vendor, model, agent, address, now - SPAN, now - index, "known", "6.4.6.2494"


def edge_status() -> dict[str, object]:
    """What an edge with all phones registered and sixty calls on answers to `status`."""
    registrations = [
        {
            "extension": extension(index), "mac": mac(index), "contact": f"sip:{extension(index)}@10.0.0.9:5060",
            "address": f"10.0.{index // 250}.{index % 250 + 1}:5060", "agent": MODELS[index % 3][3], "expires_in": 1800,
        }
        for index in range(PHONES)
    ]  # fmt: skip
    calls = [
        {
            "id": f"live{index}", "direction": "inbound", "state": "talking", "from": "+12125550100", "to": number(0),
            "desk": extension(index), "target": "", "started": 1.7e9, "answered": 1.7e9 + 4, "outcome": "",
            "steps": [[4.0, "talking"]],
        }
        for index in range(60)
    ]  # fmt: skip
    trunk = {"id": "core", "up": True, "registered": None, "stale": False, "gateways": []}
    limits = {"date": "", "abroad": 0, "abroad_allowed": 10, "refused": {}}
    return {
        "revision": 1, "sip": "127.0.0.1:5060", "sips": "", "registrations": registrations, "calls": calls,
        "trunks": [trunk], "bans": [], "suspects": [], "limits": limits, "counters": {},
    }  # fmt: skip


def _insert(
    connection: sqlite3.Connection, table: str, columns: list[str], rows: Iterator[tuple[object, ...]]
) -> None:
    marks = ", ".join("?" * len(columns))
    connection.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)
