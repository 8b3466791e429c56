"""REFER as its receiver, and Replaces (RFC 3515, 3891, 4488)."""

from __future__ import annotations

import pytest

from provisioner.errors import PeerError
from provisioner.sip.message import Request, parse
from provisioner.sip.refer import Referral, Replaces
from provisioner.sip.session import Session
from tests.sip.lone import Lone, answer
from tests.sip.test_races import inside, talking

BOB = "Refer-To: <sip:103@10.0.0.1>"
ATTENDED = "Refer-To: <sip:103@10.0.0.1?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>"


def referred(lone: Lone, *lines: str, seq: int = 2) -> list[Referral]:
    session, tag = (
        (lone.party.sessions[0], lone.party.sessions[0].dialog.local.tag)
        if lone.party.sessions
        else talking(lone)
    )
    found: list[Referral] = []
    session.on_refer = found.append
    inside(lone, "REFER", tag, seq, *lines)
    return found


def notified(lone: Lone) -> list[Request]:
    return [parse(data) for _, data in lone.sent if data.startswith(b"NOTIFY")]


def test_x01_202_notify_at_once_and_at_the_end() -> None:
    lone = Lone()
    referral = referred(lone, BOB, "Referred-By: <sip:101@10.0.0.1>")[0]
    assert (str(referral.target), referral.replaces) == ("sip:103@10.0.0.1", None)
    assert referral.referred_by == "<sip:101@10.0.0.1>"
    referral.accept()
    assert lone.last("SIP/2.0 202").cseq == (2, "REFER")
    first = notified(lone)[0]
    assert (first.get("event"), first.get("content-type")) == ("refer", "message/sipfrag;version=2.0")
    assert first.get("subscription-state") == "active;expires=180"
    assert first.body == b"SIP/2.0 100 Trying\r\n"
    for status in (180, 180, 486, 200):
        referral.report(status)
    last = notified(lone)[-1]
    assert [message.body.split()[1] for message in notified(lone)] == [b"100", b"180", b"486"]
    assert last.get("subscription-state") == "terminated;reason=noresource"
    assert [message.cseq[0] for message in notified(lone)] == [1, 2, 3]


def test_x01_a_second_refer_has_its_own_id() -> None:
    lone = Lone()
    referred(lone, BOB)[0].accept()
    referred(lone, BOB, seq=5)[0].accept()
    assert [message.get("event") for message in notified(lone)] == ["refer", "refer;id=5"]


def test_x01_nothing_is_told_where_nothing_is_wanted() -> None:
    lone = Lone()
    referral = referred(lone, BOB, "Refer-Sub: false")[0]
    referral.accept()
    assert lone.last().get("refer-sub") == "false"
    referral.report(200)
    assert notified(lone) == []
    assert referral.over


def test_x01_a_peer_that_forgot_it_is_told_no_more() -> None:
    lone = Lone()
    referral = referred(lone, BOB)[0]
    referral.accept()
    lone.hear(answer(notified(lone)[0], 481))
    referral.report(200)
    assert len(notified(lone)) == 1


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ((), "400"),
        ((BOB, BOB), "400"),
        (("r: <sip:103@10.0.0.1>, <sip:104@10.0.0.1>",), "400"),
        (("Refer-To: <mailto:x>",), "416"),
        (("Refer-To: <sip:103@10.0.0.1;method=BYE>",), "403"),
        (("Refer-To: <sip:103@10.0.0.1?Replaces=a>",), "400"),
    ],
)
def test_x01_what_cannot_be_done(lines: tuple[str, ...], status: str) -> None:
    lone = Lone()
    assert referred(lone, *lines) == []
    assert lone.lines()[-1].split()[1] == status


def test_x01_refused() -> None:
    lone = Lone()
    referral = referred(lone, BOB)[0]
    referral.refuse(603)
    referral.report(200)
    assert lone.lines()[-1] == "SIP/2.0 603 Decline"


def test_x03_replaces_in_refer_to_is_unescaped() -> None:
    lone = Lone()
    referral = referred(lone, ATTENDED)[0]
    assert referral.replaces == Replaces("a@b", "1", "2")
    assert str(referral.target) == "sip:103@10.0.0.1"
    assert referral.replaces.keys == (("a@b", "1", "2"), ("a@b", "2", "1"))


@pytest.mark.parametrize(
    "text", ["", ";to-tag=1;from-tag=2", "a;to-tag=1", "a;from-tag=1", "a;to-tag;from-tag=1"]
)
def test_x04_bad_replaces(text: str) -> None:
    with pytest.raises(PeerError):
        Replaces.parse(text)


def test_x04_replaces_of_an_invite() -> None:
    invite = Request("INVITE", "sip:a@b", [("replaces", "c; to-tag=1 ;from-tag=2;early-only")])
    assert Replaces.of(invite) == Replaces("c", "1", "2", early_only=True)
    assert Replaces.of(Request("INVITE", "sip:a@b", [])) is None
    with pytest.raises(PeerError):
        Replaces.of(Request("INVITE", "sip:a@b", invite.headers * 2))


def test_x01_a_session_that_takes_none_declines() -> None:
    lone = Lone()
    session, tag = talking(lone)
    assert isinstance(session, Session)
    assert inside(lone, "REFER", tag, 2, BOB) == "603"
