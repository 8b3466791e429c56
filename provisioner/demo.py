"""The demo practice: three phones on three floors of one building, four numbers that ring, and a free one."""

from __future__ import annotations

from msgspec.structs import replace

from provisioner.phones.adopt import credential
from provisioner.store.inventory import Inventory
from provisioner.store.records import (
    Line,
    Location,
    Notifying,
    Number,
    Phone,
    Practice,
    Provider,
    Record,
    RingGroup,
    Snapshot,
    Trunk,
)

NAME = "Harbor Point Family Clinic"
MAIN = "+14155550100"  # 555-0100 to 555-0199 are kept for fiction
PROVIDER = "core"  # the stand-in core's id as a provider
FREE = "+14155550104"  # for the next phone that is adopted

_BUILDING = {
    "country": "US",
    "A1": "CA",
    "A3": "San Francisco",
    "RD": "Harbor Point",
    "STS": "Way",
    "HNO": "1200",
    "NAM": NAME,
    "PC": "94107",
}
# location, its words, floor, room · extension, name on the key · MAC, vendor, model
_PLACES = (
    ("front-desk", "Front desk", "1", "101", "101", "Front desk", "0004f2000101", "polycom", "VVX 411"),
    ("nurses", "Nurses' station", "2", "210", "102", "Nurses", "001565000102", "yealink", "T46S"),
    ("billing", "Billing", "3", "305", "103", "Billing", "000b82000103", "grandstream", "GXP2170"),
)


def _records() -> list[Record]:
    records: list[Record] = [
        Practice(id="practice", name=NAME, main_number=MAIN),
        Number(
            id=MAIN,
            label="Main number",
            ring_group="main",
            location="front-desk",
            address_status="registered",
        ),
        Number(id=FREE, label="Spare", location="front-desk", address_status="registered"),
        # The demo's phones ring for the calls of who tries it out only.
        Notifying(id="notices", ring=False, test_days=0),
        RingGroup(id="main", name="Everyone", members=tuple(place[4] for place in _PLACES)),
    ]
    records.append(Location(id="harbor-point", name="Harbor Point", civic=_BUILDING))
    for location, words, floor, room, extension, name, mac, vendor, model in _PLACES:
        number = f"+14155550{extension}"
        line = Line(extension=extension, number=number, name=name)
        records += [
            Location(
                id=f"floor-{floor}",
                name=f"Floor {floor}",
                civic={"FLR": floor},
                parent="harbor-point",
                level="floor",
            ),
            Location(id=location, name=words, civic={"ROOM": room}, parent=f"floor-{floor}", level="room"),
            Number(
                id=number,
                label=name,
                extension=extension,
                location=location,
                address_status="registered",
            ),
            Phone(
                id=mac,
                vendor=vendor,
                model=model,
                lines=(line,),
                location=location,
                front_desk=location == "front-desk",
            ),
            credential(mac),
        ]
    return records


def snapshot(core_uri: str) -> Snapshot:
    """The practice as it is before anybody has changed it, without a database."""
    kinds: dict[str, dict[str, Record]] = {}
    for record in [*_records(), Trunk(id="core", uri=core_uri, profile="stand-in")]:
        kinds.setdefault(f"{type(record).__struct_config__.tag}s", {})[record.id] = record
    (practice,) = kinds.pop("practices").values()
    return Snapshot(revision=1, practice=practice, **kinds)  # type: ignore[arg-type]


def _provided(record: Record) -> Record:
    return replace(record, provider=PROVIDER) if isinstance(record, Number) else record


def seed(inventory: Inventory, core_uri: str, transfer: str = "", own_core: bool = False) -> None:
    """Put the practice into an empty inventory, and point its trunk to `core_uri`. Raises OperatorError.

    `own_core`: the stand-in core runs, and is the provider of the numbers.
    """
    with inventory.change(who="demo") as change:
        if change.get(Practice, "practice") is None:
            for record in _records():
                change.put(_provided(record) if own_core else record)
            if own_core:
                change.put(Provider(id=PROVIDER, api="core"))
    set_trunk(inventory, core_uri, who="demo", transfer=transfer, profile="stand-in")


def set_trunk(inventory: Inventory, uri: str, who: str, transfer: str = "", profile: str = "generic") -> None:
    """Point the trunk `core` to `uri`, with that way of `transfer` when one is given; whatever else is set for it
    stays. Raises OperatorError."""
    with inventory.change(who=who) as change:
        stored = change.get(Trunk, "core")
        trunk = Trunk(id="core", uri=uri, profile=profile) if stored is None else replace(stored[0], uri=uri)
        change.put(replace(trunk, transfer=transfer) if transfer else trunk)


def plays_menus(inventory: Inventory) -> bool:
    """Whether the core of the trunk `core` is to play the menus of warm transfers."""
    stored = inventory.get(Trunk, "core")
    return stored is not None and stored[0].transfer == "core"
