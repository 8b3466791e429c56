"""What phones' files must leave to the appliance, so that a call back from an emergency centre gets through."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from provisioner.phones.render import Renderer
from provisioner.store.records import Location, Number
from tests.phones import yealink_files as files
from tests.phones.samples import ADDRESSES, MODELS, renderer

POLYCOM, YEALINK, GRANDSTREAM = MODELS
OFF = {
    POLYCOM: (b'feature.doNotDisturb.enable="0"', b'feature.forward.enable="0"'),
    YEALINK: (b"features.dnd.allow = 0", b"features.fwd.allow = 0"),
    GRANDSTREAM: (b"<P191>0</P191>",),
}


@pytest.mark.parametrize("mac", MODELS)
def test_b78_do_not_disturb_and_forwarding_are_off_in_the_phone(mac: str) -> None:
    made = renderer()
    files = (made.file(asked, who) for asked, who in made.files(made.snapshot.phones[mac]))
    text = b"\n".join(body for body in files if body)
    for line in OFF[mac]:
        assert line in text


ROOM, HOUSE, ELSEWHERE, OWN = "+14155550110", "+14155550109", "+14155550108", "+14155550102"
PLACES = (
    Location(id="house", name="House", civic={"HNO": "1"}),
    Location(id="room", name="Room", civic={"ROOM": "2"}, parent="house", level="room"),
    Location(id="other", name="Other", civic={"HNO": "9"}),
)


@pytest.mark.parametrize(
    ("numbers", "wanted"),
    [
        ({OWN: "room", ROOM: "room"}, OWN),
        ({OWN: "house", ROOM: "room"}, OWN),
        ({OWN: "other", ROOM: "room", HOUSE: "house"}, ROOM),
        ({OWN: "other", HOUSE: "house"}, HOUSE),
        ({OWN: "other"}, ""),
    ],
)
def test_b71_a_yealink_shows_the_number_of_its_place(numbers: dict[str, str], wanted: str) -> None:
    bare = renderer().snapshot
    phone = bare.phones[YEALINK]
    lines = (replace(phone.lines[0], number=OWN), *phone.lines[1:])
    snapshot = replace(
        bare,
        locations={each.id: each for each in PLACES},
        phones={YEALINK: replace(phone, location="room", lines=lines)},
        numbers={name: Number(id=name, label="", location=place) for name, place in numbers.items()},
    )
    made = Renderer(snapshot, ADDRESSES)
    (body,) = [
        body
        for asked, who in made.files(snapshot.phones[YEALINK])
        if asked.kind == "phone"
        if (body := made.file(asked, who))
    ]
    found = {each.name: each for each in files.parse(body)}
    source, number = (
        found[f"dialplan.emergency.{name}"] for name in ("asserted_id_source", "custom_asserted_id")
    )
    assert (source.value, number.value) == (("CUSTOM", wanted[1:]) if wanted else ("%NULL%", "%NULL%"))
    assert [files.misfit(each) for each in (source, number)] == ["", ""]
