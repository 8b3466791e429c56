"""Which codec a call runs in, and what media is told of it."""

from __future__ import annotations

import logging

import pytest

from provisioner.edge.offers import PLAIN, bridged, document, networks_of, offers_for
from provisioner.sip.sdp import AudioOffer, Format, MediaSession, Negotiated, Srtp
from tests.edge.world import MAIN, OUTSIDE, Talk, World

ULAW, ALAW, WIDE, OPUS = (
    Format("PCMU", 0),
    Format("PCMA", 8),
    Format("G722", 9),
    Format("opus", 111, "useinbandfec=1"),
)


def offer(*formats: Format, ptime: int = 20) -> bytes:
    return MediaSession("192.0.2.9", 4000, 1).offer(codecs=formats, ptime=ptime)


@pytest.mark.parametrize(
    ("formats", "spoken", "wanted"),
    [
        ((ULAW, ALAW), False, [(ULAW, ALAW)]),
        ((ULAW, ALAW), True, [(ULAW, ALAW)]),
        ((ALAW,), True, [(ALAW, ULAW)]),
        ((OPUS, WIDE, ULAW), False, [(OPUS, WIDE, ULAW, ALAW)]),
        ((OPUS, WIDE, ALAW), True, [(WIDE, ALAW, ULAW), (OPUS, WIDE, ALAW, ULAW)]),
        ((OPUS, WIDE), True, [(WIDE, ULAW, ALAW), (OPUS, WIDE, ULAW, ALAW)]),
        ((WIDE,), False, [(WIDE, ULAW, ALAW)]),
        ((OPUS,), True, [(OPUS,)]),
    ],
)
def test_what_the_other_party_is_offered(formats: tuple, spoken: bool, wanted: list) -> None:
    found = offers_for(offer(*formats, ptime=30), None, spoken)
    assert found == [AudioOffer(codecs, 30) for codecs in wanted]


def test_without_an_offer_it_is_g711() -> None:
    assert offers_for(b"", None, False) == offers_for(b"junk", None, True) == [PLAIN]


def test_what_was_agreed_stays() -> None:
    agreed = Negotiated(("192.0.2.9", 4000), "PCMA", None, None, True, True)
    assert offers_for(offer(OPUS), agreed, False) == [PLAIN]
    agreed = Negotiated(("192.0.2.9", 4000), "G722", None, None, True, True)
    assert offers_for(b"", agreed, False) == [AudioOffer((WIDE, ULAW, ALAW))]
    agreed = Negotiated(
        ("192.0.2.9", 4000), "opus", None, None, True, True, 111, 96, fmtp="stereo=1", ptime=40
    )
    assert offers_for(offer(OPUS), agreed, True) == [AudioOffer((Format("opus", 111, "stereo=1"),), 40)]


def test_what_can_be_bridged() -> None:
    assert bridged("PCMU") == bridged("G722") == ("PCMU", "PCMA", "G722")
    assert bridged("opus") == ("opus",)


def test_the_document_for_media() -> None:
    agreed = Negotiated(
        ("192.0.2.9", 4000), "opus", 97, 98, False, True, 111, 96, 48000, rtcp=("192.0.2.9", 4005), mux=True,
        srtp=Srtp("AES_CM_128_HMAC_SHA1_32", b"i" * 30, b"o" * 30),
    )  # fmt: skip
    assert document(agreed) == {
        "remote": ("192.0.2.9", 4000),
        "rtcp": ("192.0.2.9", 4005),
        "mux": True,
        "codec": "opus",
        "clock": 48000,
        "payload_in": 111,
        "payload_out": 96,
        "event_in": 97,
        "event_out": 98,
        "event_clock": 48000,
        "srtp": {"suite": "AES_CM_128_HMAC_SHA1_32", "in": "aWlp" * 10, "out": "b29v" * 10},
        "send": False,
    }
    plain = document(Negotiated(("192.0.2.9", 4000), "G722", None, None, True, True))
    assert (plain["payload_in"], plain["payload_out"], plain["clock"], plain["srtp"]) == (9, 9, 8000, None)


@pytest.mark.parametrize(
    ("host", "nets"),
    [
        ("198.51.100.7", ["198.51.100.7/32"]),
        ("2001:db8:1:2:3::9", ["2001:db8:1:2::/64"]),
        ("phone.example", []),
    ],
)
def test_a_phone_outside_is_where_its_signalling_is(host: str, nets: list[str]) -> None:
    assert networks_of(host) == nets


@pytest.mark.parametrize("host", ["10.1.2.3", "172.31.0.1", "192.168.0.9", "127.0.0.1", "fd00::1", "fe80::1"])
def test_a_phone_in_the_house_may_be_anywhere_in_it(host: str) -> None:
    assert {"10.0.0.0/8", "192.168.0.0/16", "fc00::/7"} <= set(networks_of(host))


# calls


def codecs(world: World, *talks: Talk) -> list[str]:
    return [world.leg_of(talk).document["codec"] for talk in talks]


def refuses_narrow_offers(talk: Talk) -> None:
    """What a phone does that has none of what is offered."""
    try:
        talk.sdp.answer(talk.session.offer)
        talk.session.progress(180)
    except Exception:
        talk.session.reject(488)


def test_an_outbound_call_passes_through_what_both_have(world: World) -> None:
    world.phones["101"].codecs = ("opus", "G722", "PCMU")
    world.core.codecs = ("opus", "PCMU")
    caller = world.phones["101"].call(OUTSIDE)
    far = world.core.calls[-1]
    assert [form.codec for form in _offered(far)] == ["opus", "G722", "PCMU", "PCMA"]
    far.sdp.codecs = ("opus",)
    far.answer()
    assert codecs(world, caller, far) == ["opus", "opus"]
    assert world.hears(caller) is far
    assert world.edge.counters["menu-not-armed"] == 0  # nobody asked for one


def _offered(talk: Talk) -> tuple[Format, ...]:
    from provisioner.sip.sdp import offered

    return offered(talk.session.offer).formats


def test_an_offer_over_udp_stays_small(world: World) -> None:
    world.phones["101"].codecs = ("opus", "G722", "G729", "PCMU", "PCMA")
    world.phones["101"].call(OUTSIDE)
    assert len(world.core.calls[-1].invite.encode()) < 1300


def test_g711_where_the_menu_may_be_needed(world: World) -> None:
    for phone in world.phones.values():
        phone.codecs = ("opus", "PCMA", "PCMU")
    caller = world.phones["101"].call("102")
    desk = world.ringing("102")
    assert _offered(desk) == (ALAW, ULAW)
    desk.answer()
    assert codecs(world, caller, desk) == ["PCMA", "PCMA"]
    assert world.leg_of(desk).document["take"] == "*"


def in_opus(world: World) -> tuple[Talk, Talk]:
    """An internal call in a codec that media does not speak, since the desk phone refused all others."""
    world.phones["101"].codecs = ("PCMU", "opus")
    world.phones["102"].codecs = ("opus",)
    world.phones["102"].on_call = refuses_narrow_offers
    caller = world.phones["101"].call("102")
    refused, desk = world.phones["102"].calls
    assert refused.over
    desk.answer()
    assert codecs(world, caller, desk) == ["opus", "opus"]
    assert world.hears(caller) is desk
    assert world.hears(desk) is caller
    assert world.leg_of(desk).document["take"] == "*"
    return caller, desk


def test_the_star_asks_both_parties_for_a_codec_that_we_speak(world: World) -> None:
    caller, desk = in_opus(world)
    desk.sdp.codecs = ("PCMU",)
    world.press(desk, "*")
    assert codecs(world, caller, desk) == ["PCMU", "PCMU"]
    assert (world.hears(desk), world.hears(caller)) == ("menu", "music")


def test_keys_that_come_before_the_codec_has_changed_count_after_it(world: World) -> None:
    caller, desk = in_opus(world)
    desk.sdp.codecs = ("PCMU",)
    leg = world.leg_of(desk)
    for digit in "*1":
        world.edge.on_media("digit", {"leg": leg.id, "digit": digit, "source": "rfc4733"})
    world.run()
    assert (world.hears(desk), world.hears(caller)) == ("dialtone", "music")


@pytest.mark.parametrize("who", ["desk", "caller"])
def test_who_does_not_want_another_codec_goes_on_talking(
    world: World, who: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    caller, desk = in_opus(world)
    desk.sdp.codecs = ("opus",) if who == "desk" else ("PCMU", "opus")
    caller.sdp.codecs = ("opus",)
    for times in (1, 2):
        world.press(desk, "*")
        assert codecs(world, caller, desk) == ["opus", "opus"]
        assert world.hears(caller) is desk
        assert world.hears(desk) is caller
        assert world.edge.counters["menu-not-armed"] == times
    assert "stays in opus: no keypad menu" in caplog.text


@pytest.mark.parametrize("who", ["desk", "caller"])
def test_a_party_that_leaves_while_it_is_asked_ends_the_call(world: World, who: str) -> None:
    caller, desk = in_opus(world)
    leaving, other = (desk, caller) if who == "desk" else (caller, desk)
    leg = world.leg_of(desk)
    world.edge.on_media("digit", {"leg": leg.id, "digit": "*", "source": "rfc4733"})
    leaving.session.hangup()
    world.run()
    assert other.over


def test_who_refuses_every_offer_is_asked_no_more(world: World) -> None:
    world.phones["101"].codecs = ("PCMU", "G729")
    world.phones["102"].codecs = ("opus",)
    world.phones["102"].on_call = refuses_narrow_offers
    assert world.phones["101"].call("102").status == 488
    assert len(world.phones["102"].calls) == 2


def test_a_caller_hangs_up_between_two_offers(world: World) -> None:
    world.phones["101"].codecs = ("PCMU", "G722")
    world.phones["102"].on_call = lambda talk: None
    caller = world.phones["101"].call("102")
    first = world.phones["102"].calls[-1]
    caller.session.hangup()
    first.session.reject(488)
    world.run()
    assert caller.over
    assert len(world.phones["102"].calls) == 1


def test_payload_types_belong_to_each_leg(world: World) -> None:
    world.phones["101"].codecs = world.core.codecs = ("opus", "PCMU")
    caller = world.phones["101"].call(OUTSIDE)
    far = world.core.calls[-1]
    body = far.session.offer.replace(b" 96 ", b" 120 ").replace(b":96 ", b":120 ")
    far.session.accept(MediaSession(far.sdp.host, far.sdp.port, 1, ("opus",)).answer(body))
    far.sdp.answer(far.session.offer)
    world.run()
    sent, received = world.leg_of(far).document, world.leg_of(caller).document
    assert (sent["payload_in"], sent["payload_out"], sent["clock"]) == (96, 120, 48000)
    assert (received["payload_in"], received["payload_out"], received["clock"]) == (96, 96, 48000)
    assert sent["event_clock"] == received["event_clock"] == 48000


def test_a_call_in_another_codec_refuses_to_change_it(world: World) -> None:
    world.phones["101"].codecs = world.core.codecs = ("G729", "PCMU")
    caller = world.phones["101"].call(OUTSIDE)
    far = world.core.calls[-1]
    far.sdp.codecs = ("G729",)
    far.answer()
    caller.sdp.codecs = ("PCMU",)
    assert caller.reinvite("sendrecv").status == 488
    assert codecs(world, caller, far) == ["G729", "G729"]
    caller.sdp.codecs = ("PCMU", "G729")
    assert caller.reinvite("sendonly").status == 200
    assert caller.reinvite("sendrecv").status == 200
    assert codecs(world, caller, far) == ["G729", "G729"]
    assert world.hears(far) is caller


def test_hold_by_address_keeps_the_address(world: World) -> None:
    caller = world.phones["101"].call("102")
    desk = world.ringing("102")
    desk.answer()
    before = world.leg_of(desk).document["remote"]
    desk.reinvite("sendrecv", connection="0.0.0.0")
    held = world.leg_of(desk).document
    assert (held["remote"], held["send"]) == (before, False)
    assert world.hears(caller) == "music"


def test_phones_are_latched_within_their_networks_only(world: World) -> None:
    world.inbound(MAIN)
    desk = world.ringing("101")
    desk.answer()
    phone, core = [leg.document["nets"] for leg in world.media.legs if leg.document.get("remote")]
    assert sorted([phone, core]) == [[], networks_of(world.phones["101"].address[0])]


# SRTP


def test_srtp_over_tls(world: World) -> None:
    phone = world.phones["102"]
    phone.srtp = True
    world.over_tls.add(phone.address)
    assert phone.register().status == 200
    caller = world.phones["101"].call("102")
    desk = world.ringing("102")
    assert b"RTP/SAVP" in desk.session.offer
    desk.answer()
    agreed = desk.sdp.negotiated
    assert agreed
    assert agreed.srtp
    told = world.leg_of(desk).document["srtp"]
    assert told == document(agreed)["srtp"] | {"in": told["in"], "out": told["out"]}
    swapped = document(agreed)["srtp"]
    assert (told["in"], told["out"]) == (swapped["out"], swapped["in"])
    assert world.leg_of(caller).document["srtp"] is None
    assert world.hears(caller) is desk
    again = desk.reinvite("sendrecv")
    assert again.status == 200
    assert world.leg_of(desk).document["srtp"] == told


def test_srtp_refused_is_offered_in_the_clear(world: World) -> None:
    phone = world.phones["102"]
    world.over_tls.add(phone.address)
    phone.on_call = refuses_narrow_offers
    assert phone.register().status == 200
    caller = world.phones["101"].call("102")
    desk = world.ringing("102")
    desk.answer()
    assert len(phone.calls) == 2
    assert world.leg_of(desk).document["srtp"] is None
    assert world.hears(caller) is desk


def test_a_phone_that_offers_srtp_gets_it(world: World) -> None:
    world.phones["101"].srtp = True
    caller = world.phones["101"].call("102")
    desk = world.ringing("102")
    desk.answer()
    assert world.leg_of(caller).document["srtp"]["suite"] == "AES_CM_128_HMAC_SHA1_80"
    assert world.leg_of(desk).document["srtp"] is None


def test_an_emergency_call_with_srtp_and_another_codec(world: World) -> None:
    world.phones["101"].srtp = True
    world.phones["101"].codecs = ("G722", "PCMU")
    caller = world.phones["101"].call("911", account=None)
    far = world.core.calls[-1]
    far.answer()
    assert codecs(world, caller, far) == ["PCMU", "PCMU"]
    assert world.hears(caller) is far
