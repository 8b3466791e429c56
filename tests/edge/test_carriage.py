"""How the location of a 911 caller travels to each kind of core, and that none of it can keep the call back."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from lxml import etree
from msgspec.structs import replace

from provisioner.core.location import civic_of, location_of, pidf_of
from provisioner.edge.carriage import Located, carriage, headers
from provisioner.edge.routes import caller_of
from provisioner.emergency import documents, references
from provisioner.errors import OperatorError
from provisioner.sip.headers import NameAddr
from provisioner.sip.message import Request
from provisioner.store.records import Location, Trunk
from provisioner.trunks.profile import Profile, profile_of, profiles
from tests.edge.world import CIVIC, CORE, World, number_of, practice

KEY = b"k" * 32
IDENTIFIERS = {
    "telnyx.geolocation": "d3b07384-geo",
    "telnyx.endpoint": "from-7f3a",
    "bandwidth.endpoint": "clinic0exam3",
    "redsky.organization": "4711",
}
PLACE = Location(id="main", name="Main building", civic=CIVIC, identifiers=IDENTIFIERS)
NUMBER = number_of("102")


def located(identifiers: dict[str, str] = IDENTIFIERS, document: bytes = b"<presence/>") -> Located:
    return Located(replace(PLACE, identifiers=identifiers), document, lambda base: f"{base}/token")


def world_of(profile: str, identifiers: dict[str, str] = IDENTIFIERS, **settings: object) -> World:
    """A practice whose one trunk has this profile, and its phones registered."""
    trunk = Trunk(id="core", uri=f"sip:{CORE[0]}:{CORE[1]}", profile=profile, settings=settings)  # type: ignore[arg-type]
    place = replace(PLACE, identifiers=identifiers)
    world = World(practice(trunks={"core": trunk}, locations={"main": place}))
    world.edge.reference_key = KEY
    world.register_all()
    return world


@pytest.fixture
def worlds() -> Iterator[list[World]]:
    """Worlds to be ended."""
    made: list[World] = []
    yield made
    for world in made:
        world.end()
        world.assert_nothing_left()


def call(world: World, dialled: str = "911", **more: object) -> Request:
    """The INVITE that a 911 call of phone 102 makes."""
    world.phones["102"].call(dialled, account=None, **more)
    return world.core.calls[-1].invite


def users(invite: Request) -> set[str]:
    """All that an INVITE says of who calls."""
    names = ("from", "p-asserted-identity", "p-preferred-identity", "remote-party-id")
    return {NameAddr.parse(value).uri.user for name in names for value in invite.all(name)}


# what goes out, profile by profile

PLAIN = ("generic", "twilio", "telnyx", "bandwidth", "freeswitch", "kamailio")
BY_VALUE = ("stand-in", "ng911", "chime")


@pytest.mark.parametrize("profile", PLAIN)
@pytest.mark.parametrize("code", ["911", "933"])
def test_b53_by_default_no_location_travels(worlds: list[World], profile: str, code: str) -> None:
    worlds.append(world_of(profile))
    invite = call(worlds[-1], code)
    assert (invite.get("geolocation"), invite.get("geolocation-routing")) == ("", "")
    assert invite.get("content-type") == "application/sdp"
    assert users(invite) == {NUMBER}


def test_every_profile_is_tested_here() -> None:
    assert set(profiles()) == {*PLAIN, *BY_VALUE, "asterisk", "telnyx-dynamic", "bandwidth-dlr", "redsky"}


@pytest.mark.parametrize("profile", BY_VALUE)
@pytest.mark.parametrize("code", ["911", "933"])
def test_b40_by_value_names_the_part_of_the_body(worlds: list[World], profile: str, code: str) -> None:
    worlds.append(world_of(profile))
    invite = call(worlds[-1], code)
    (value,) = invite.all("geolocation")
    named = re.fullmatch(r"<cid:([^<>@]+@[^<>@]+)>", value)
    assert named
    assert f"Content-ID: <{named[1]}>".encode() in invite.body
    assert invite.all("geolocation-routing") == ["yes"]
    document = pidf_of(invite)
    assert document
    assert documents.faults(document, "pidf_lo") == []
    assert civic_of(document) == CIVIC


def test_b42_the_session_is_the_first_part(worlds: list[World]) -> None:
    worlds.append(world_of("stand-in"))
    invite = call(worlds[-1])
    assert invite.get("content-type").startswith("multipart/mixed;boundary=")
    parts = re.findall(rb"Content-Type: ([a-z/+]+)", invite.body)
    assert parts == [b"application/sdp", b"application/pidf+xml"]


@pytest.mark.parametrize("routing", ["yes", "no", "none"])
def test_b41_routing_is_said_once_or_not_at_all(worlds: list[World], routing: str) -> None:
    worlds.append(world_of("stand-in", geolocation_routing=routing))
    assert call(worlds[-1]).all("geolocation-routing") == ([] if routing == "none" else [routing])


def test_b43_by_reference_is_an_https_uri_with_its_option_tag(worlds: list[World]) -> None:
    base = "https://clinic.example/held"
    worlds.append(world_of("generic", location="reference", location_base=base))
    world = worlds[-1]
    invite = call(world)
    value = invite.get("geolocation")
    assert value.startswith(f"<{base}/")
    assert value.endswith(">")
    token, now = value[len(base) + 2 : -1], world.edge.wall_clock()
    macs = list(world.edge.directory.snapshot.phones)
    assert references.phone(KEY, token, macs, now) == "0004f2000102"
    assert references.phone(KEY, token, macs, now + references.SECONDS) == ""
    assert any("geolocation-http" in value for value in invite.all("supported"))
    assert invite.get("content-type") == "application/sdp"


def test_by_reference_without_a_key_is_a_call_without_a_location(worlds: list[World]) -> None:
    worlds.append(world_of("generic", location="reference", location_base="https://a.example/held"))
    worlds[-1].edge.reference_key = b""
    assert call(worlds[-1]).get("geolocation") == ""


def test_b44_the_one_who_adds_a_location_can_be_told(worlds: list[World]) -> None:
    worlds.append(world_of("stand-in", location_source="clinic.example"))
    assert call(worlds[-1]).get("geolocation").endswith(">;loc-src=clinic.example")


@pytest.mark.parametrize("claim", ["<cid:x@phone.example>", "<https://phone.example/x>", "<geo:1,2>"])
def test_b44_there_is_one_location_and_it_is_ours(worlds: list[World], claim: str) -> None:
    worlds.append(world_of("stand-in"))
    invite = call(worlds[-1], headers=[("geolocation", claim), ("geolocation-routing", "no")])
    (value,) = invite.all("geolocation")
    assert "provisioner.invalid" in value
    assert invite.all("geolocation-routing") == ["yes"]


def test_b47_the_urn_of_ng911(worlds: list[World]) -> None:
    worlds.append(world_of("ng911"))
    world = worlds[-1]
    for code, urn in (("911", "urn:service:sos"), ("933", "urn:service:test.sos")):
        invite = call(world, code)
        assert (invite.uri, invite.get("to")) == (urn, f"<{urn}>")
        world.core.calls[-1].answer()
    assert call(world, "988").uri == f"sip:988@{CORE[0]}:{CORE[1]}"


@pytest.mark.parametrize("profile", ["generic", "stand-in", "chime", "telnyx-dynamic", "bandwidth-dlr"])
def test_b47_the_number_everywhere_else(worlds: list[World], profile: str) -> None:
    worlds.append(world_of(profile))
    assert call(worlds[-1]).uri == f"sip:911@{CORE[0]}:{CORE[1]}"


def test_b48_g711_is_offered_and_no_comfort_noise(worlds: list[World]) -> None:
    worlds.append(world_of("stand-in"))
    body = call(worlds[-1]).body
    media = re.search(rb"m=audio \d+ RTP/AVP ([\d ]+)", body)
    assert media
    assert {b"0", b"8"} & set(media[1].split())
    assert b"0" in media[1].split()
    assert b"13" not in media[1].split()
    assert b"CN/" not in body
    assert b"annexb=yes" not in body
    assert b"silenceSupp:on" not in body


def test_b53_telnyx_wants_bare_identifiers(worlds: list[World]) -> None:
    worlds.append(world_of("telnyx-dynamic"))
    invite = call(worlds[-1])
    assert invite.all("geolocation") == ["d3b07384-geo"]
    assert invite.get("geolocation-routing") == ""
    assert users(invite) == {"from-7f3a"}


def test_b53_bandwidth_wants_its_endpoint_as_the_caller(worlds: list[World]) -> None:
    worlds.append(world_of("bandwidth-dlr"))
    invite = call(worlds[-1])
    assert users(invite) == {"clinic0exam3"}
    assert "user=phone" not in invite.get("from") + invite.get("p-asserted-identity")
    assert invite.get("geolocation") == ""


def test_b53_redsky_wants_a_header_of_its_own(worlds: list[World]) -> None:
    worlds.append(world_of("redsky"))
    assert call(worlds[-1]).all("e911-organization-id") == ["4711"]
    assert users(call(worlds[-1])) == {NUMBER}


@pytest.mark.parametrize("profile", ["telnyx-dynamic", "bandwidth-dlr", "redsky"])
@pytest.mark.parametrize(
    "identifiers", [{}, dict.fromkeys(IDENTIFIERS, "a b\r\nX-Evil: 1"), dict.fromkeys(IDENTIFIERS, "é")]
)
def test_without_a_usable_identifier_the_number_goes_out(
    worlds: list[World], profile: str, identifiers: dict[str, str]
) -> None:
    worlds.append(world_of(profile, identifiers))
    invite = call(worlds[-1])
    assert users(invite) == {NUMBER}
    assert (invite.get("geolocation"), invite.get("e911-organization-id"), invite.get("x-evil")) == (
        "",
        "",
        "",
    )


def test_an_asterisk_knows_its_customer_by_the_account(worlds: list[World]) -> None:
    worlds.append(world_of("asterisk"))
    invite = call(worlds[-1])
    assert NameAddr.parse(invite.get("p-asserted-identity")).uri.user == NUMBER


@pytest.mark.parametrize("identity", [["pai"], ["ppi"], ["rpid"], ["pai", "ppi", "rpid"]])
def test_f3_all_identity_headers_agree(worlds: list[World], identity: list[str]) -> None:
    worlds.append(world_of("stand-in", identity=identity))
    invite = call(worlds[-1], headers=[("p-asserted-identity", "<sip:+19995550100@x>"), ("privacy", "id")])
    assert users(invite) == {NUMBER}
    assert invite.get("privacy") == ""


@pytest.mark.parametrize("profile", ["stand-in", "telnyx-dynamic", "bandwidth-dlr", "redsky"])
def test_a_crisis_call_shows_a_number_and_no_location(worlds: list[World], profile: str) -> None:
    worlds.append(world_of(profile))
    invite = call(worlds[-1], "988")
    assert users(invite) == {NUMBER}
    assert (invite.get("geolocation"), invite.get("e911-organization-id")) == ("", "")


# refused for the location


@pytest.mark.parametrize("status", [400, 403, 404, 413, 415, 420, 424, 433, 484, 488, 493, 513])
@pytest.mark.parametrize("profile", ["stand-in", "telnyx-dynamic", "bandwidth-dlr", "ng911"])
def test_b45_refused_with_a_location_it_goes_at_once_without(
    worlds: list[World], profile: str, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    worlds.append(world_of(profile))
    world = worlds[-1]
    caller = world.phones["102"].call("911", account=None)
    first = world.core.calls[-1]
    before = world.clock()
    first.refuse(status)
    second = world.core.calls[-1]
    assert second is not first
    assert world.clock() == before
    assert (second.invite.get("geolocation"), second.invite.get("geolocation-routing")) == ("", "")
    assert second.invite.get("content-type") == "application/sdp"
    assert users(second.invite) == {NUMBER}
    second.answer()
    assert world.hears(caller) is second
    assert world.edge.counters["location-refused"] == 1
    assert "refuses emergency calls that carry a location" in caplog.text


def test_b45_a_424_is_not_passed_on_to_the_phone(worlds: list[World]) -> None:
    worlds.append(world_of("stand-in"))
    world = worlds[-1]
    world.core.on_call = lambda talk: talk.session.reject(424)
    caller = world.phones["102"].call("911", account=None)
    assert caller.status == 503
    assert [bool(talk.invite.get("geolocation")) for talk in world.core.calls] == [True, False, True, False]


def test_b45_an_ordinary_refusal_is_not_asked_twice(worlds: list[World]) -> None:
    worlds.append(world_of("stand-in"))
    world = worlds[-1]
    world.core.on_call = lambda talk: talk.session.reject(503)
    world.phones["102"].call("911", account=None)
    assert all(talk.invite.get("geolocation") for talk in world.core.calls)
    assert world.edge.counters["location-refused"] == 0


def test_a_carriage_that_breaks_keeps_no_call_back(
    worlds: list[World], monkeypatch: pytest.MonkeyPatch
) -> None:
    worlds.append(world_of("stand-in"))

    def broken(*args: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr("provisioner.edge.routes.carriage", broken)
    invite = call(worlds[-1])
    assert users(invite) == {NUMBER}
    assert invite.get("geolocation") == ""


def test_an_address_that_cannot_be_written_still_says_what_the_carrier_calls_it() -> None:
    carried = carriage(profiles()["telnyx-dynamic"], located(document=b""), NUMBER, lambda: "1")
    assert (carried.headers, carried.user) == ((("geolocation", "d3b07384-geo"),), "from-7f3a")
    assert carriage(profiles()["stand-in"], located(document=b""), NUMBER, lambda: "1").says_where is False


# headers of strangers' making


def test_b50_two_geolocation_lines_are_both_read() -> None:
    sdp = b"v=0\r\n"
    document = etree.tostring(etree.fromstring(_document("2")))
    other = _document("1")
    body = b"".join(
        b"--cut\r\nContent-Type: application/pidf+xml\r\nContent-ID: <%b>\r\n\r\n%b\r\n" % (name, each)
        for name, each in ((b"a@x", other), (b"b@x", document))
    )
    lines = [("geolocation", "<https://elsewhere.example/x>"), ("geolocation", "<cid:b@x>")]
    invite = Request(
        "INVITE",
        "sip:911@x",
        [*lines, ("content-type", "multipart/mixed;boundary=cut")],
        b"--cut\r\nContent-Type: application/sdp\r\n\r\n" + sdp + b"\r\n" + body + b"--cut--\r\n",
    )
    assert location_of(invite) == {"FLR": "2"}


def _document(floor: str) -> bytes:
    return (
        "<x xmlns:ca='urn:ietf:params:xml:ns:pidf:geopriv10:civicAddr'>"
        f"<ca:civicAddress><ca:FLR>{floor}</ca:FLR></ca:civicAddress></x>"
    ).encode()


@pytest.mark.parametrize(
    "value",
    [
        '"User &" <sip:+12125550100@h:5060>',
        "User & <sip:+12125550100@h:5060>",
        '"Smith, \\"Bob\\" <sip:x@y>" <sip:+12125550100@h:5060;user=phone>;tag=1',
        "<sip:+12125550100@h>",
        "sip:+12125550100@h",
        "<tel:+12125550100>",
    ],
)
def test_b66_only_the_number_is_taken_out_of_a_name_addr(value: str) -> None:
    invite = Request("INVITE", "sip:911@x", [("p-asserted-identity", value), ("from", "<sip:other@h>")], b"")
    assert caller_of(invite)[0] == "+12125550100"


# settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"location": "pigeon"}, "is wrong"),
        ({"location_base": "http://clinic.example/held"}, "no base"),
        ({"location_base": "https://clinic.example/held?x"}, "no base"),
        ({"location_base": "https://a>b"}, "no base"),
        ({"location_source": "a b"}, "no host name"),
        ({"emergency_headers": {"Via": "x"}}, "cannot send the header 'Via'"),
        ({"emergency_headers": {"X-A": "x\r\ny"}}, "cannot send the header 'X-A'"),
    ],
)
def test_a_wrong_setting_is_said(settings: dict[str, object], words: str) -> None:
    with pytest.raises(OperatorError, match=words):
        profile_of(Trunk(id="t", uri="sip:x", settings=settings))  # type: ignore[arg-type]


def test_headers_with_names_in_braces() -> None:
    profile = Profile(emergency_headers={"X-Call": "n={number};o={redsky.organization}", "X-Fixed": "7"})
    assert headers(profile, {"number": "+1", "redsky.organization": "4"}) == (
        ("x-call", "n=+1;o=4"),
        ("x-fixed", "7"),
    )
    assert headers(profile, {"number": "+1"}) == (("x-fixed", "7"),)


@pytest.mark.parametrize("kind", [True, False])
def test_the_switch_of_the_trunk(worlds: list[World], kind: bool) -> None:
    trunk = Trunk(id="core", uri=f"sip:{CORE[0]}:{CORE[1]}", profile="stand-in", pidf_lo=kind)
    world = World(practice(trunks={"core": trunk}))
    worlds.append(world)
    world.register_all()
    assert bool(call(world).get("geolocation")) is kind
