"""Keys as they lie beside the display: columns, pages, modules, and what the display says beside each."""

from __future__ import annotations

import pytest

from provisioner.phones import key_plan
from provisioner.phones.catalogue import Catalogue
from provisioner.store.records import Key, Line, Phone, PhoneGroup, Practice, Snapshot

CATALOGUE = Catalogue()
GROUP = PhoneGroup(
    id="g",
    name="Nurses",
    keys=(
        Key(position=2, function="blf", value="103", label="Lab"),
        Key(position=3, function="blf", value="104"),
    ),
)


def made(vendor="yealink", model="T46S", keys=(), group="", modules=()):
    lines = (Line(extension="101", name="Desk"), Line(extension="201"))
    phone = Phone(
        id="001565000101", vendor=vendor, model=model, lines=lines, keys=keys, group=group, modules=modules
    )
    snapshot = Snapshot(
        revision=1,
        practice=Practice(id="practice", name="", main_number=""),
        phones={phone.id: phone},
        phone_groups={"g": GROUP},
    )
    return key_plan.blocks(snapshot, phone, phone.keys, CATALOGUE)


def test_pages_of_two_columns():
    (block,) = made()
    assert [(len(sheet.left), len(sheet.right)) for sheet in block.sheets] == [(5, 4)] * 3
    assert [place.position for place in block.sheets[1].left] == [10, 11, 12, 13, 14]
    assert [place.position for place in key_plan.each([block])] == list(range(1, 28))


@pytest.mark.parametrize(
    ("vendor", "model", "sheets"),
    [
        ("polycom", "VVX 411", [(6, 6)]),
        ("grandstream", "GXP2170", [(6, 6)] * 4),
        ("yealink", "T42S", [(3, 2)] * 3),
        ("yealink", "T31P", [(2, 0)]),
        ("yealink", "T99", []),
    ],
)
def test_makers(vendor, model, sheets):
    found = made(vendor, model)
    assert [(len(sheet.left), len(sheet.right)) for block in found for sheet in block.sheets] == sheets


def test_a_module_goes_on_counting():
    _phone, module = made(modules=("EXP50",))
    assert (module.module, module.name) == (1, "EXP50")
    first = module.sheets[0].left[0]
    assert (first.position, first.number) == (28, 1)
    assert [len(sheet.left) + len(sheet.right) for sheet in module.sheets] == [20, 20, 20]


def test_what_is_shown_and_whose_it_is():
    keys = (
        Key(position=1, function="line", value="2"),
        Key(position=2, function="speed_dial", value="5550123"),
        Key(position=4, function="line", value="9"),
        Key(position=99, function="blf", value="103"),
    )
    found = made(keys=keys, group="g")
    places = {place.position: place for place in key_plan.each(found)}
    assert (places[1].shown, places[1].source) == ("201", "own")
    assert (places[2].shown, places[2].source, places[2].group) == ("5550123", "own", GROUP.keys[0])
    assert (places[3].shown, places[3].source) == ("104", "group")
    assert places[4].shown == ""
    assert (places[5].shown, places[5].source, places[5].acts) == ("", "empty", None)
    assert key_plan.placeless(found, keys) == [keys[3]]


def test_without_keys_of_ours_a_phone_makes_lines_by_itself():
    places = list(key_plan.each(made()))
    assert [(place.shown, place.source) for place in places[:3]] == [
        ("101 Desk", "phone"),
        ("201", "phone"),
        ("", "empty"),
    ]
