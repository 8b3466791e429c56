"""Phones that register from elsewhere are suspect, over a restart too, and their 911 goes out all the same."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from provisioner.edge.directory import Directory
from provisioner.sip.transaction import Flow
from provisioner.store.records import Location, Placement
from tests.edge.world import CIVIC as ADDRESS
from tests.edge.world import EDGE, World, practice

MAC = "0004f2000102"
INFO = [("p-access-network-info", 'IEEE-802.3; eth-location="0011223344aa"')]


def suspects(world: World) -> dict[str, list[str]]:
    return {row["mac"]: row["why"] for row in world.edge.moves.suspects()}


def move(world: World, address: str = "10.9.9.9", **more: Any) -> None:
    """Phone 102 registers from another address."""
    phone = world.phones["102"]
    phone.register(expires=0)
    phone.address = (address, 5060)
    phone.flow = Flow("UDP", phone.address, EDGE)
    world.add(phone)
    phone.register(**more)


def rows(world: World) -> list[dict[str, Any]]:
    return [row for table, row in world.rows if table == "whereabouts" and row["mac"] == MAC]


def told(world: World) -> list[dict[str, Any]]:
    return [data for name, data in world.events if name == "whereabouts"]


def test_phones_at_their_place_are_not_suspect(world: World) -> None:
    assert suspects(world) == {}
    assert told(world) == []
    assert len(rows(world)) == 1  # how it usually looks


def test_registering_again_writes_nothing(world: World) -> None:
    world.phones["102"].register()
    world.phones["102"].register()
    assert len(rows(world)) == 1


def test_a_moved_phone_is_told_of_and_written(world: World, caplog: pytest.LogCaptureFixture) -> None:
    move(world)
    assert suspects(world) == {MAC: ["network"]}
    (event,) = told(world)
    assert event == {
        "mac": MAC,
        "location": "main",
        "address": "10.9.9.9",
        "since": event["since"],
        "why": ["network"],
    }
    assert rows(world)[-1]["since"] == event["since"] == 1.7e9 + world.clock()
    assert f"phone {MAC} may not be at its location: it registers from another network" in caplog.text


def test_its_911_goes_out_with_its_location_and_the_doubt(world: World) -> None:
    move(world)
    caller = world.phones["102"].call("911", account=None)
    invite = world.core.calls[-1].invite
    assert f"<ca:HNO>{ADDRESS['HNO']}</ca:HNO>".encode() in invite.body
    world.core.calls[-1].answer()
    assert caller.up
    event = next(data for name, data in world.events if name == "emergency")
    assert event["doubt"] == "it registers from another network"


def test_it_is_suspect_after_a_restart_though_it_is_back(world: World) -> None:
    move(world)
    second = World()
    second.edge.moves.load([{"mac": "x", "since": None, "body": {"bad": 1}}, *rows(world)[-1:]])
    second.register_all()
    assert suspects(second) == {MAC: ["network"]}
    second.end()


def test_it_is_confirmed_by_a_person(world: World) -> None:
    move(world)
    placement = Placement(
        id=MAC,
        location="main",
        network="10.9.9.0/24",
        neighbour="",
        at=world.edge.wall_clock(),
        who="Ann",
    )
    snapshot = practice(placements={MAC: placement})
    world.edge.swap(Directory(snapshot))
    assert suspects(world) == {}
    assert told(world)[-1]["since"] is None
    world.phones["102"].register()
    assert suspects(world) == {}


def test_it_is_placed_elsewhere_by_a_person(world: World) -> None:
    move(world)
    lab = Location(id="lab", name="Lab", civic=ADDRESS, networks=("10.9.9.0/24",))
    snapshot = practice()
    phones = {**snapshot.phones, MAC: replace(snapshot.phones[MAC], location="lab")}
    world.edge.swap(Directory(practice(phones=phones, locations={**snapshot.locations, "lab": lab})))
    assert suspects(world) == {}


def test_a_phone_without_a_place_and_a_phone_that_is_gone(world: World) -> None:
    move(world)
    snapshot = practice()
    nowhere = replace(snapshot.phones[MAC], location="")
    world.edge.swap(Directory(practice(phones={**snapshot.phones, MAC: nowhere})))
    assert suspects(world) == {}
    world.edge.swap(Directory(practice(phones={})))
    assert world.edge.moves.doubt(MAC) == ""


def test_b72_another_switch_port(world: World) -> None:
    world.phones["102"].register(headers=INFO)
    assert suspects(world) == {}
    other = [(name, value.replace("44aa", "44bb")) for name, value in INFO]
    world.phones["102"].register(headers=other)
    assert suspects(world) == {MAC: ["neighbour"]}


def test_a_phone_that_takes_its_registration_back_has_not_moved(world: World) -> None:
    phone = world.phones["102"]
    phone.address = ("10.9.9.9", 5060)
    phone.flow = Flow("UDP", phone.address, EDGE)
    world.add(phone)
    phone.register(expires=0)
    assert suspects(world) == {}
