"""Emergency, test and crisis calls: nothing may keep them from going out (docs/calls.md)."""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec
import pytest
from lxml import etree

from provisioner.edge.edge import EMERGENCY_RESERVE
from provisioner.emergency.pidf import CIVIC
from provisioner.sip.headers import NameAddr, Uri
from provisioner.sip.message import Request
from provisioner.sip.transaction import Flow
from provisioner.store import records
from tests.edge.world import (
    BACKUP,
    CORE,
    EDGE,
    MAIN,
    OUTSIDE,
    Party,
    Phone,
    Talk,
    World,
    number_of,
    practice,
)
from tests.edge.world import (
    CIVIC as ADDRESS,
)

TWO_ROUTES = {
    "core": records.Trunk(id="core", uri=f"sip:{CORE[0]}:{CORE[1]}", order=10, profile="stand-in"),
    "backup": records.Trunk(id="backup", uri=f"sip:{BACKUP[0]}:{BACKUP[1]}", order=20, pidf_lo=False),
}


def routed(world: World) -> World:
    """Give the practice a second route."""
    world.edge.trunks.update(list(TWO_ROUTES.values()))
    return world


def bare(world: World, dialled: str = "911", extension: str = "102", **more: object) -> Talk:
    """A call without any credentials."""
    return world.phones[extension].call(dialled, account=None, **more)


def stranger(world: World, from_: str = "<sip:anonymous@10.0.0.9>") -> tuple[Phone, Talk]:
    """A call from an address that never registered."""
    phone = world.add(Phone(world, "109"))
    return phone, phone.call("911", account=None, from_=from_)


def numbers_in(invite: Request) -> tuple[str, str]:
    """Users of From and P-Asserted-Identity."""
    return (
        NameAddr.parse(invite.get("from")).uri.user,
        NameAddr.parse(invite.get("p-asserted-identity")).uri.user,
    )


def location_in(invite: Request) -> dict[str, str]:
    """The civic address that an INVITE carries, as its Geolocation header says."""
    content_id = re.fullmatch(r"<cid:(.+)>", invite.get("geolocation"))
    assert content_id
    assert invite.get("geolocation-routing") == "yes"
    boundary = invite.get("content-type").partition("boundary=")[2].strip('"').encode()
    parts = invite.body.split(b"--" + boundary)
    (part,) = [part for part in parts if f"<{content_id[1]}>".encode() in part]
    document = etree.fromstring(part.partition(b"\r\n\r\n")[2].strip())
    (address,) = document.iter(f"{{{CIVIC}}}civicAddress")
    return {etree.QName(element).localname: str(element.text) for element in address}


@pytest.mark.parametrize(
    ("dialled", "code"),
    [
        ("911", "911"), ("9911", "911"), ("1911", "911"), ("112", "911"), ("urn:service:sos", "911"),
        ("urn:service:sos.ambulance", "911"), ("911*", "911"), ("911123", "911"), ("933", "933"),
        ("urn:service:test.sos", "933"), ("tel:911", "911"), ("sip:911@10.1.1.1;user=phone", "911"),
        ("988", "988"), ("9988", "988"),
    ],
)  # fmt: skip
@pytest.mark.rule("emergency.always", "dialled.emergency", "dialled.emergency-test", "dialled.crisis")
def test_goes_out_without_digest(world: World, dialled: str, code: str) -> None:
    caller = bare(world, dialled)
    far = world.core.calls[-1]
    assert far.invite.uri == f"sip:{code}@{CORE[0]}:{CORE[1]}"
    assert numbers_in(far.invite) == (number_of("102"), number_of("102"))
    assert caller.status == 0
    far.answer()
    assert world.hears(caller) is far
    assert world.hears(far) is caller


@pytest.mark.parametrize("account", [("user102", "wrong"), ("nobody", "x"), ("user102", "secret102")])
@pytest.mark.rule("emergency.always")
def test_credentials_make_no_difference(world: World, account: tuple[str, str]) -> None:
    junk = f"Digest username={account[0]}, response={account[1]}"
    caller = bare(world, headers=[("proxy-authorization", junk), ("authorization", "Basic eHg=")])
    world.core.calls[-1].answer()
    assert caller.up


@pytest.mark.rule("emergency.location")
def test_carries_the_location_of_the_phone(world: World) -> None:
    bare(world)
    assert location_in(world.core.calls[-1].invite) == ADDRESS


def test_crisis_call_carries_no_location(world: World) -> None:
    bare(world, "988")
    assert world.core.calls[-1].invite.get("geolocation") == ""
    assert world.core.calls[-1].invite.get("content-type") == "application/sdp"


@pytest.mark.rule("emergency.told")
def test_emergency_is_told_at_once_and_when_answered(world: World) -> None:
    bare(world)
    name, told = world.events[-1]
    assert name == "emergency"
    assert told == {
        "extension": "102",
        "mac": "0004f2000102",
        "number": number_of("102"),
        "location": "Main building",
        "doubt": "",
        "at": 1.7e9 + world.clock(),
        "outcome": "placed",
    }
    world.core.calls[-1].answer()
    assert world.events[-1][1]["outcome"] == "answered"


def test_a_test_call_raises_no_alarm(world: World) -> None:
    bare(world, "933")
    world.core.calls[-1].answer()
    assert "emergency" not in {name for name, _ in world.events}


@pytest.mark.rule("log.row")
def test_the_row_of_the_log_is_marked(world: World) -> None:
    bare(world).hangup()
    row = next(row for table, row in world.rows if table == "calls")
    assert (row["emergency"], row["caller"], row["called"]) == (1, "102", "911")


# who calls, from where


@pytest.mark.rule("emergency.always")
def test_provisioned_phone_that_is_not_registered(world: World) -> None:
    world.phones["103"].register(expires=0)
    bare(world, extension="103")
    invite = world.core.calls[-1].invite
    assert numbers_in(invite) == (number_of("103"), number_of("103"))
    assert location_in(invite) == ADDRESS


def test_unregistered_phone_that_names_itself_by_its_digest_user(world: World) -> None:
    stranger(world, "<sip:user103@10.0.0.9>")
    assert numbers_in(world.core.calls[-1].invite) == (number_of("103"), number_of("103"))


def test_unregistered_phone_that_hides_its_number_is_known_by_its_contact(world: World) -> None:
    world.phones["103"].register(expires=0)
    privacy = [("privacy", "id"), ("contact", "<sip:103@10.0.0.103:5060>")]
    anonymous = '"Anonymous" <sip:anonymous@anonymous.invalid>'
    world.phones["103"].call("911", account=None, from_=anonymous, headers=privacy)
    invite = world.core.calls[-1].invite
    assert numbers_in(invite) == (number_of("103"), number_of("103"))
    assert invite.get("privacy") == ""


def test_registered_address_beats_what_a_phone_says(world: World) -> None:
    bare(world, from_="<sip:101@10.0.0.102>")
    assert numbers_in(world.core.calls[-1].invite)[0] == number_of("102")


def test_a_phone_behind_the_address_of_the_core(world: World) -> None:
    for phone in world.phones.values():
        phone.register(expires=0)
    phone = Phone(world, "103")
    phone.address = (CORE[0], 6060)
    phone.flow = Flow("UDP", phone.address, EDGE)
    caller = world.add(phone).call("911", account=None)
    world.core.calls[-1].answer()
    assert caller.up
    assert numbers_in(world.core.calls[-1].invite)[0] == number_of("103")


def test_the_core_itself_gets_no_emergency_call_back(world: World) -> None:
    assert world.inbound("911").status == 404


def test_a_stranger_gets_through_with_the_main_number(world: World) -> None:
    _, caller = stranger(world)
    invite = world.core.calls[-1].invite
    assert numbers_in(invite) == (MAIN, MAIN)
    assert invite.get("geolocation") == ""
    world.core.calls[-1].answer()
    assert caller.up
    told = next(data for name, data in world.events if name == "emergency")
    assert (told["extension"], told["location"]) == ("", "unknown")


@pytest.mark.rule("emergency.calling-number")
def test_number_without_a_registered_address_gives_way_to_one_of_the_same_place() -> None:
    snapshot = practice()
    own = records.Number(id=number_of("102"), label="x", extension="102", location="main")
    world = World(practice(numbers={**snapshot.numbers, own.id: own}))
    world.register_all()
    bare(world)
    assert numbers_in(world.core.calls[-1].invite) == (number_of("101"), number_of("101"))
    _end(world)


@pytest.mark.rule("dialled.crisis")
def test_988_shows_a_local_number_where_the_lines_own_is_toll_free() -> None:
    snapshot, free = practice(), "+18005550199"
    phone = next(each for each in snapshot.phones.values() if each.lines[0].extension == "102")
    line = msgspec.structs.replace(phone.lines[0], number=free)
    held = records.Number(id=free, label="x", extension="102", location="main", address_status="registered")
    world = World(
        practice(
            numbers={**snapshot.numbers, free: held},
            phones={**snapshot.phones, phone.id: msgspec.structs.replace(phone, lines=(line,))},
        )
    )
    world.register_all()
    bare(world, "911")
    assert numbers_in(world.core.calls[-1].invite) == (free, free)
    bare(world, "988")
    assert numbers_in(world.core.calls[-1].invite) == (MAIN, MAIN)


@pytest.mark.parametrize("civic", [{}, {"country": "usa"}, {"planet": "Mars"}])
def test_a_location_that_is_no_good_keeps_no_call_back(civic: dict[str, str]) -> None:
    broken = records.Location(id="main", name="Main building", civic=civic)
    world = World(practice(locations={"main": broken}))
    world.register_all()
    caller = bare(world)
    assert world.core.calls[-1].invite.get("geolocation") == ""
    world.core.calls[-1].answer()
    assert caller.up
    _end(world)


def _end(world: World) -> None:
    world.end()
    world.assert_nothing_left()


@pytest.mark.parametrize(
    "claim",
    [
        ("p-asserted-identity", f"<sip:{OUTSIDE}@evil.example>"),
        ("privacy", "id"),
        ("geolocation", "<cid:forged@evil.example>"),
        ("from-the-phone", "x"),
    ],
)
@pytest.mark.rule("emergency.calling-number", "outbound.caller-id")
def test_nothing_a_phone_claims_gets_out(world: World, claim: tuple[str, str]) -> None:
    bare(world, from_='"Anonymous" <sip:anonymous@anonymous.invalid>', headers=[claim])
    invite = world.core.calls[-1].invite
    assert numbers_in(invite) == (number_of("102"), number_of("102"))
    assert claim[1] not in invite.all(claim[0])
    assert invite.get("privacy") == ""


# routes


def refuse(status: int) -> Callable[[Talk], None]:
    return lambda talk: talk.session.reject(status)


@pytest.mark.rule("emergency.location")
def test_424_is_tried_again_at_once_without_the_location(world: World) -> None:
    caller = bare(world)
    first = world.core.calls[-1]
    first.refuse(424)
    second = world.core.calls[-1]
    assert second is not first
    assert second.invite.get("geolocation") == ""
    assert second.invite.get("content-type") == "application/sdp"
    assert numbers_in(second.invite) == (number_of("102"), number_of("102"))
    second.answer()
    assert world.hears(caller) is second


@pytest.mark.rule("emergency.always")
def test_silent_route_is_left_after_4_seconds(world: World) -> None:
    routed(world).core.dead = True
    caller = bare(world)
    world.pass_time(3.9)
    assert world.backup.calls == []
    world.pass_time(0.2)
    world.backup.calls[-1].answer()
    assert world.hears(caller) is world.backup.calls[-1]
    assert numbers_in(world.backup.calls[-1].invite) == (number_of("102"), number_of("102"))
    assert world.backup.calls[-1].invite.get("geolocation") == ""  # that trunk takes none


def saying_100(world: World, *parties: Party) -> World:
    """These take the call and say 100, and no more yet."""
    for party in parties:
        party.on_call = lambda talk: None
    return routed(world)


def test_beside_a_route_that_says_100_the_next_is_asked(world: World) -> None:
    saying_100(world, world.core, world.backup)
    caller = bare(world)
    world.pass_time(7.9)
    assert world.backup.calls == []
    world.pass_time(0.2)
    (slow,), (beside,) = world.core.calls, world.backup.calls
    assert not slow.over
    slow.answer()
    assert world.hears(caller) is slow
    assert beside.ended


def test_the_route_that_rings_first_has_the_call(world: World) -> None:
    saying_100(world, world.core)
    caller = bare(world)
    world.pass_time(25)
    assert world.core.calls[0].ended
    assert len(world.backup.calls) == 1
    world.backup.calls[-1].answer()
    assert caller.up


def test_a_slow_route_that_refuses_leaves_the_other_alone(world: World) -> None:
    saying_100(world, world.core, world.backup)
    caller = bare(world)
    world.pass_time(10)
    world.core.calls[-1].refuse(503)
    world.backup.calls[-1].answer()
    assert world.hears(caller) is world.backup.calls[-1]


def test_a_slow_route_that_refuses_the_location_late_is_asked_without(world: World) -> None:
    saying_100(world, world.core)
    world.backup.on_call = refuse(503)
    caller = bare(world)
    world.pass_time(10)
    world.core.calls[-1].refuse(424)
    assert len(world.core.calls) == 2
    assert world.core.calls[-1].invite.get("geolocation") == ""
    world.core.calls[-1].answer()
    assert caller.up


def test_routes_that_say_100_for_ever_are_given_up(world: World) -> None:
    saying_100(world, world.core, world.backup)
    caller = bare(world)
    world.pass_time(33)
    assert caller.status == 503
    assert len(world.core.calls) == len(world.backup.calls) == 1  # never asked twice at a time


def test_without_a_media_port_for_a_second_route_the_first_goes_on(world: World) -> None:
    saying_100(world, world.core)
    world.phones["101"].call("103")
    caller = bare(world)
    world.media.capacity = 0
    world.edge._reserve.clear()
    world.pass_time(10)
    world.core.calls[-1].answer()
    assert caller.up


@pytest.mark.parametrize("status", [480, 486, 600, 603])
def test_a_busy_centre_says_nothing_against_the_location(world: World, status: int) -> None:
    routed(world).core.on_call = refuse(status)
    bare(world)
    assert len(world.core.calls) == 1


def test_ringing_route_is_kept(world: World) -> None:
    routed(world)
    caller = bare(world)
    world.pass_time(60)
    assert world.backup.calls == []
    assert caller.events[0].status == 180
    world.core.calls[-1].answer()
    assert caller.up


def test_answer_of_a_route_that_was_left_is_released(world: World) -> None:
    saying_100(world, world.core)

    def ring(talk: Talk) -> None:
        talk.session.progress(180)
        late = world.core.calls[-1]
        late.session.accept(late._answer())  # crosses our CANCEL

    world.backup.on_call = ring
    caller = bare(world)
    world.pass_time(8.1)
    assert world.core.calls[-1].over
    world.backup.calls[-1].answer()
    assert world.hears(caller) is world.backup.calls[-1]


@pytest.mark.parametrize("status", [403, 404, 480, 486, 500, 503, 600, 603])
def test_refusing_route_is_followed_by_the_next(world: World, status: int) -> None:
    routed(world).core.on_call = refuse(status)
    caller = bare(world)
    world.backup.calls[-1].answer()
    assert caller.up


def test_route_that_cannot_be_used_at_all_is_passed_over(world: World) -> None:
    connect = world.edge.agent.connect

    def broken(transport: str, remote: tuple[str, int]) -> Flow:
        if remote == CORE:
            raise ValueError("an address of another family")
        return connect(transport, remote)

    routed(world).edge.agent.connect = broken
    caller = bare(world)
    world.backup.calls[-1].answer()
    assert caller.up


def test_all_fail(world: World) -> None:
    routed(world).core.on_call = refuse(503)
    world.backup.on_call = refuse(503)
    caller = bare(world)
    assert caller.status == 503
    assert world.events[-1][0] == "call"
    told = [data["outcome"] for name, data in world.events if name == "emergency"]
    assert told == ["placed", "no route took the call"]
    assert len(world.core.calls) == len(world.backup.calls) == 2  # every route twice


@pytest.mark.rule("emergency.always")
def test_route_known_to_be_down_comes_last_but_is_tried(world: World) -> None:
    routed(world)
    world.edge.trunks.peers[0].up = False
    world.backup.on_call = refuse(503)
    caller = bare(world)
    assert len(world.backup.calls) == 1
    world.core.calls[-1].answer()
    assert caller.up


def test_no_trunk_at_all_is_503() -> None:
    world = World(practice(trunks={}))
    world.register_all()
    assert bare(world).status == 503
    _end(world)


# what must not matter


def test_with_the_media_pool_empty_but_for_the_reserve(world: World) -> None:
    world.phones["101"].call("103")  # the reserve is filled by the first call
    world.media.capacity = len(world.media.open)
    assert world.phones["101"].call("103").status == 503
    first, second = bare(world), bare(world, extension="103")
    for far in world.core.calls:
        far.answer()
    assert first.up
    assert second.up
    assert world.media.capacity == len(world.media.open)
    assert EMERGENCY_RESERVE >= 4


def test_without_any_media_port_it_is_refused_and_not_lost(world: World) -> None:
    world.media.capacity = 0
    assert bare(world).status == 503


def test_while_the_appliance_is_closing(world: World) -> None:
    world.edge.close()
    caller = bare(world)
    world.core.calls[-1].answer()
    assert caller.up


def test_other_calls_are_ended_before_emergency_calls(world: World) -> None:
    talking, caller = world.phones["101"].call("103"), bare(world)
    world.core.calls[-1].answer()
    world.edge.close()
    world.run()
    assert talking.over
    assert caller.up
    world.edge.end_emergencies()
    world.run()
    assert world.core.calls[-1].ended
    assert caller.over


@pytest.mark.rule("emergency.stripped")
def test_star_is_just_a_tone(world: World) -> None:
    caller = bare(world)
    world.core.calls[-1].answer()
    world.press(caller, "*1#")
    assert world.passed_on == ["*", "1", "#"]


def test_early_media_of_the_centre_is_heard(world: World) -> None:
    caller = bare(world)
    far = world.core.calls[-1]
    far.early()
    assert caller.events[-1].status == 183
    assert world.hears(caller) is far


def test_without_an_offer(world: World) -> None:
    caller = bare(world, offer=False)
    world.core.calls[-1].answer()
    assert caller.up
    assert world.hears(caller) is world.core.calls[-1]


@pytest.mark.parametrize("early", [False, True])
def test_a_phone_without_a_usable_codec_is_told_so(world: World, early: bool) -> None:
    phone = world.phones["102"]
    talk = Talk(phone)
    phone.calls.append(talk)
    me = NameAddr(Uri("sip", EDGE[0], user="102"))
    body = b"v=0\r\nm=audio 4000 RTP/AVP 9\r\n"
    talk.session = phone.agent.invite(f"sip:911@{EDGE[0]}", phone.flow, me, me, body, talk.listen)
    world.run()
    far = world.core.calls[-1]  # it went out all the same: nothing is checked before
    if early:
        far.early()
    else:
        far.answer()
    assert talk.status == 488
    assert far.over


def test_caller_gives_up(world: World) -> None:
    bare(world).hangup()
    assert world.core.calls[-1].ended
    assert world.edge.calls == {}


def test_caller_gives_up_while_no_route_has_it(world: World) -> None:
    routed(world).core.dead = True
    caller = bare(world)
    world.pass_time(1)
    caller.hangup()
    world.pass_time(10)
    assert world.backup.calls == []


@pytest.mark.parametrize("who", ["caller", "centre"])
def test_either_end_hangs_up(world: World, who: str) -> None:
    caller = bare(world)
    far = world.core.calls[-1]
    far.answer()
    (caller if who == "caller" else far).hangup()
    assert caller.over
    assert far.over
    assert world.edge.calls == {}


@pytest.mark.rule("emergency.stripped")
def test_hold_by_the_phone_ends_nothing(world: World) -> None:
    caller = bare(world)
    far = world.core.calls[-1]
    far.answer()
    assert caller.reinvite("sendonly").status == 200
    assert caller.reinvite("sendrecv").status == 200
    assert world.hears(caller) is far


@pytest.mark.rule("log.masked")
def test_no_number_of_the_outside_in_the_log(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    bare(world)
    world.inbound()
    world.phones["101"].call("2124567890")
    world.phones["103"].call("011442071234567")
    assert "extension 103 dialled what is refused" in caplog.text
    text = caplog.text
    for number in ("2065550142", "2124567890", "442071234567"):
        assert number not in text
