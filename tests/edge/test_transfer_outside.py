"""Transfers that the core has a part in: no mailbox, desk users who are outside, menus that the core plays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from provisioner.edge.directory import Directory
from provisioner.store.records import RingGroup, Trunk
from tests.edge.test_transfer_calls import Transfer
from tests.edge.world import CORE, MAIN, OUTSIDE, Talk, World, number_of, practice

CELL = "+14155559999"


def with_trunk(**changes: object) -> World:
    record = Trunk(id="core", uri=f"sip:{CORE[0]}:{CORE[1]}", **changes)  # type: ignore[arg-type]
    world = World(practice(trunks={"core": record}))
    world.register_all()
    return world


# a transfer never lands in a voicemail box


@pytest.mark.rule("hold.no-voicemail")
def test_the_second_call_asks_for_no_voicemail(world: World) -> None:
    target = Transfer(world).dial("2124567890")
    assert target.invite.get("reject-contact") == '*;actor="msg-taker"'


@pytest.mark.rule("hold.no-voicemail")
def test_an_ordinary_call_may_reach_a_mailbox(world: World) -> None:
    world.phones["101"].call("2124567890")
    assert world.core.calls[-1].invite.all("reject-contact") == []


@pytest.mark.rule("hold.no-voicemail")
@pytest.mark.parametrize("wish", [{}, {"X-No-Voicemail": "1", "X-Mailbox": "never"}])
def test_each_core_is_told_in_its_own_way(wish: dict[str, str]) -> None:
    world = with_trunk(settings={"no_voicemail": wish, "headers": {"X-Tech-Prefix": "7"}})
    invite = Transfer(world).dial("2124567890").invite
    assert {name: invite.get(name.lower()) for name in wish} == wish
    assert invite.get("x-tech-prefix") == "7"
    assert invite.all("reject-contact") == []
    world.end()
    world.assert_nothing_left()


@pytest.mark.rule("hold.no-voicemail", "transfer.dialling")
def test_an_extension_that_does_not_answer_is_not_available(world: World) -> None:
    transfer = Transfer(world, MAIN)
    target = transfer.dial("102")
    world.pass_time(30.1)
    assert target.ended
    assert transfer.hears() == ("music", "no-answer menu")
    assert world.core.calls == [transfer.caller]  # the number of that extension was not called outside


# desk users who are outside: a cell phone in a ring group


class Outside(Transfer):
    """As Transfer, but the desk user took the call on a cell phone, which the core reached."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.caller = world.inbound(MAIN)
        self.desk = world.core.calls[-1]
        self.desk.answer()
        world.press(self.desk, "1")  # members outside are asked: a mailbox cannot say yes


@pytest.fixture
def outside(world: World) -> Outside:
    """The main number rings a cell phone only, and later the desks."""
    desks = world.edge.directory
    group = RingGroup(id="all", name="All", members=(CELL,))
    world.edge.directory = Directory(practice(ring_groups={"all": group}))
    made = Outside(world)
    world.edge.directory = desks
    return made


@pytest.mark.rule("hold.extensions-from-desks")
def test_a_desk_user_outside_has_the_menu(world: World, outside: Outside) -> None:
    assert outside.talking()
    outside.press("*")
    assert outside.hears() == ("music", "menu")
    outside.press("12124567890#")
    target = world.core.calls[-1]
    assert target.invite.uri.startswith(f"sip:{OUTSIDE}@")
    target.answer()
    outside.press("*1")
    assert outside.desk.ended
    assert world.hears(outside.caller) is target


@pytest.mark.rule("hold.extensions-from-desks")
@pytest.mark.parametrize("digits", ["101", "102", "199"])
def test_a_desk_user_outside_gives_ten_digits(outside: Outside, digits: str) -> None:
    outside.press(f"*1{digits}#")
    assert outside.hears() == ("music", "desk-phones-only menu")
    outside.press("2")
    assert outside.talking()


@pytest.mark.rule("hold.extensions-from-desks", "hold.caller-never-lost")
def test_a_desk_user_outside_hangs_up_and_is_called_back(world: World, outside: Outside) -> None:
    outside.press("*1")
    outside.desk.hangup()
    again = world.core.calls[-1]
    assert again is not outside.desk
    assert again.invite.uri.startswith(f"sip:{CELL}@")
    assert again.invite.get("reject-contact")
    assert world.hears(outside.caller) == "ringback"
    again.answer()
    world.press(again, "1")
    outside.desk = again
    assert outside.talking()
    outside.press("*1102#")
    assert outside.hears() == ("music", "desk-phones-only menu")


@pytest.mark.rule("hold.caller-never-lost")
def test_a_desk_user_outside_who_is_gone_leaves_the_caller_to_the_desks(
    world: World, outside: Outside
) -> None:
    outside.press("*")
    outside.desk.hangup()
    world.core.calls[-1].refuse(486)
    phone = world.ringing("103")
    phone.answer()
    outside.desk = phone
    assert outside.talking()
    outside.press("*1102#")
    assert world.ringing("102").invite.get("from").startswith("Room 103 <sip:103@")


# way core


@pytest.fixture
def core_way() -> Iterator[World]:
    """A practice whose core plays the menus."""
    world = with_trunk(transfer="core")
    yield world
    world.end()
    world.assert_nothing_left()


def taken(world: World, to: str = number_of("101")) -> tuple[Talk, Talk]:
    caller = world.inbound(to)
    desk = world.ringing("101")
    desk.answer()
    return caller, desk


@pytest.mark.rule("transfer.way-core")
def test_every_key_goes_to_the_core_and_none_is_kept(core_way: World) -> None:
    caller, desk = taken(core_way)
    keys = "*1102#*1*2**0123456789#ABCD"
    core_way.press(desk, keys)
    assert "".join(core_way.passed_on) == keys
    assert core_way.leg_of(desk).document["take"] == ""
    assert core_way.hears(caller) is desk
    assert core_way.hears(desk) is caller


@pytest.mark.rule("transfer.way-core")
@pytest.mark.parametrize(("form", "keys"), [("rfc4733", ""), ("info", "info"), ("inband", "inband")])
def test_keys_go_on_in_the_form_that_the_core_takes(form: str, keys: str) -> None:
    world = with_trunk(transfer="core", settings={"dtmf": form})
    caller, _desk = taken(world)
    document = world.leg_of(caller).document
    assert document["keys"] == keys
    assert (document["event_out"] is None) == (form != "rfc4733")
    world.end()
    world.assert_nothing_left()


@pytest.mark.rule("transfer.way-core")
def test_the_core_learns_which_phone_took_the_call(core_way: World) -> None:
    caller, desk = taken(core_way, MAIN)
    answer = next(m for m in core_way.core.received if getattr(m, "status", 0) == 200 and m.body)
    assert "<sip:101@" in answer.get("p-asserted-identity")
    assert core_way.hears(caller) is desk


def test_a_core_that_does_not_play_the_menus_learns_no_extension(world: World) -> None:
    taken(world)
    answer = next(m for m in world.core.received if getattr(m, "status", 0) == 200 and m.body)
    assert answer.get("p-asserted-identity") == ""


@pytest.mark.rule("transfer.way-core")
def test_the_target_shows_the_desk_and_has_no_menu_of_the_edge(core_way: World) -> None:
    taken(core_way)
    second = core_way.inbound("102", caller="101")
    target = core_way.ringing("102")
    assert target.invite.get("from").startswith("Room 101 <sip:101@")
    assert second.sdp.negotiated is None
    target.answer()
    core_way.press(target, "*")
    assert core_way.passed_on == ["*"]
    assert core_way.hears(second) is target


@pytest.mark.rule("transfer.way-core", "hold.no-voicemail")
@pytest.mark.parametrize(("status", "told"), [(486, 486), (603, 603), (480, 480), (408, 480), (503, 500)])
def test_a_target_that_refuses_is_told_to_the_core(core_way: World, status: int, told: int) -> None:
    second = core_way.inbound("102", caller="101")
    core_way.ringing("102").refuse(status)
    assert second.status == told


@pytest.mark.rule("inbound.privacy")
def test_a_caller_who_names_an_extension_is_no_desk(core_way: World) -> None:
    """On the way to a number, or from a core that plays no menus, an extension is anybody's claim."""
    core_way.inbound(number_of("102"), caller="101")
    assert core_way.ringing("102").invite.get("from").startswith("Desk 102 <")


def test_of_an_edge_way_core_neither(world: World) -> None:
    world.inbound("102", caller="101")
    assert "Room 101" not in world.ringing("102").invite.get("from")
