"""Reliable provisional answers and PRACK (RFC 3262), from both sides, in virtual time."""

from __future__ import annotations

import pytest

from provisioner.sip.message import parse
from provisioner.sip.reliable import MAX_WAITING
from provisioner.sip.session import Answered, Confirmed, Ended, Offered, Progress, Session
from tests.sip.lone import ANSWER, OFFER, Lone, answer, request
from tests.sip.pair import Wire
from tests.sip.test_session import A, B, left

REQUIRED = "Require: 100rel"
ABLE = "Supported: timer, 100rel"


def incoming(lone: Lone, *lines: str, body: bytes = OFFER) -> Session:
    lone.hear(request("INVITE", *lines, body=body))
    return lone.party.sessions[0]


def prack(lone: Lone, rack: str, seq: int = 2, body: bytes = b"") -> str:
    """A PRACK of the peer; the status that it got."""
    tag = lone.party.sessions[0].incoming.tag
    lone.hear(request("PRACK", f"RAck: {rack}", branch=f"z9hG4bKp{seq}", seq=seq, to_tag=tag, body=body))
    answers = [parse(data) for _, data in lone.sent]
    return str(next(message.status for message in answers if message.cseq == (seq, "PRACK")))


def rseq(lone: Lone) -> int:
    return int(lone.last("SIP/2.0 18").get("rseq"))


# as UAS


@pytest.mark.parametrize(
    ("lines", "setting", "sdp", "reliable"),
    [
        ((), True, ANSWER, False),
        ((ABLE,), False, ANSWER, False),
        ((ABLE,), True, b"", False),
        ((ABLE,), True, ANSWER, True),
        ((REQUIRED,), False, b"", True),
        ((REQUIRED,), False, ANSWER, True),
    ],
)
def test_p01_reliable_only_when_the_caller_needs_it_or_our_early_media_does(
    lines: tuple[str, ...], setting: bool, sdp: bytes, reliable: bool
) -> None:
    lone = Lone()
    lone.agent.reliable_early = setting
    incoming(lone, *lines).progress(183, sdp)
    response = lone.last("SIP/2.0 183")
    assert (response.get("require") == "100rel") is reliable
    assert bool(response.get("rseq")) is reliable
    if reliable:
        assert 1 <= rseq(lone) < 1 << 31


def test_p01_repeated_at_t1_doubling_until_prack() -> None:
    lone = Lone()
    session = incoming(lone, REQUIRED)
    session.progress(180)
    lone.run_until(4)
    assert lone.instants("SIP/2.0 180") == [0, 0.5, 1.5, 3.5]
    assert prack(lone, f"{rseq(lone)} 1 INVITE") == "200"
    lone.run_until(31)
    assert lone.instants("SIP/2.0 180") == [0, 0.5, 1.5, 3.5]
    assert session.state == "incoming"


def test_p01_without_prack_for_64_t1_the_invite_is_refused() -> None:
    lone = Lone()
    incoming(lone, REQUIRED).progress(180)
    lone.run_until(31.9)
    assert lone.party.events == []
    lone.run_until(32)
    assert lone.instants("SIP/2.0 180") == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    assert lone.lines()[-1] == "SIP/2.0 504 Server Time-out"
    assert lone.party.events == [Ended("timeout")]
    lone.run_until(100)
    assert lone.idle()


@pytest.mark.parametrize(
    "rack", ["1 1 INVITE", "", "x", "{next} 1 INVITE", "{rseq} 2 INVITE", "{rseq} 1 UPDATE"]
)
def test_p01_unmatched_prack_is_481(rack: str) -> None:
    lone = Lone()
    incoming(lone, REQUIRED).progress(180)
    number = rseq(lone)
    assert prack(lone, rack.format(rseq=number, next=number + 1)) == "481"
    assert prack(lone, f"{number}  1 INVITE", seq=3) == "200"
    assert prack(lone, f"{number} 1 INVITE", seq=4) == "481"


def test_p01_prack_without_any_reliable_answer_is_481() -> None:
    lone = Lone()
    incoming(lone).progress(180)
    assert prack(lone, "1 1 INVITE") == "481"


def test_p01_no_second_reliable_answer_before_the_first_is_acknowledged() -> None:
    lone = Lone()
    session = incoming(lone, REQUIRED)
    session.progress(180)
    session.progress(180)
    session.progress(183, ANSWER)
    session.progress(183, ANSWER)
    assert lone.lines().count("SIP/2.0 183 Session Progress") == 0
    first = rseq(lone)
    prack(lone, f"{first} 1 INVITE")
    assert lone.lines()[-2:] == ["SIP/2.0 200 OK", "SIP/2.0 183 Session Progress"]
    assert lone.last("SIP/2.0 183").get("rseq") == str(first + 1)
    prack(lone, f"{first + 1} 1 INVITE", seq=3)
    assert lone.lines()[-1] == "SIP/2.0 200 OK"
    assert len([line for line in lone.lines() if "183" in line]) == 1


def test_p01_2xx_waits_for_the_prack_of_a_session_description() -> None:
    lone = Lone()
    session = incoming(lone, REQUIRED)
    session.progress(183, ANSWER)
    session.accept(ANSWER)
    session.accept(ANSWER)
    session.progress(180)
    assert session.state == "incoming"
    assert lone.lines()[-1] == "SIP/2.0 183 Session Progress"
    prack(lone, f"{rseq(lone)} 1 INVITE")
    assert session.state == "up"
    final = lone.last()
    assert final.cseq == (1, "INVITE")
    assert final.body == b""  # offer and answer are through already


def test_p01_2xx_does_not_wait_for_the_prack_of_mere_ringing() -> None:
    lone = Lone()
    session = incoming(lone, REQUIRED)
    session.progress(180)
    number = rseq(lone)
    session.accept(ANSWER)
    assert lone.last().body == ANSWER
    lone.run_until(0.5)
    assert lone.instants("SIP/2.0 180") == [0]
    assert prack(lone, f"{number} 1 INVITE") == "200"  # what crossed it still finds its match


def test_p01_cancel_while_the_acceptance_waits() -> None:
    lone = Lone()
    session = incoming(lone, REQUIRED)
    session.progress(183, ANSWER)
    session.accept(ANSWER)
    lone.hear(request("CANCEL"))
    assert lone.party.events == [Ended("cancelled")]
    assert prack(lone, f"{rseq(lone)} 1 INVITE") == "481"
    lone.hear(request("ACK", to_tag=session.incoming.tag))
    lone.run_until(100)
    assert lone.idle()


def test_p01_offer_in_the_reliable_answer_and_answer_in_prack() -> None:
    lone = Lone()
    session = incoming(lone, REQUIRED, body=b"")
    assert session.offers_early
    session.progress(180, OFFER)
    assert not session.offers_early
    assert prack(lone, f"{rseq(lone)} 1 INVITE", body=ANSWER) == "200"
    assert lone.party.events == [Confirmed(ANSWER)]
    session.accept(OFFER)
    assert lone.last().body == b""


def test_p01_prack_without_the_answer_that_it_owes_settles_nothing() -> None:
    lone = Lone()
    session = incoming(lone, REQUIRED, body=b"")
    session.progress(180, OFFER)
    prack(lone, f"{rseq(lone)} 1 INVITE")
    assert lone.party.events == []
    session.accept(OFFER)
    assert lone.last().body == OFFER


def test_p01_a_further_offer_in_prack_is_answered_in_its_200() -> None:
    lone = Lone()
    session = incoming(lone, REQUIRED)
    session.progress(183, ANSWER)
    tag = session.incoming.tag
    lone.hear(
        request("PRACK", f"RAck: {rseq(lone)} 1 INVITE", seq=2, to_tag=tag, body=OFFER, branch="z9hG4bKp")
    )
    offered = lone.party.events[-1]
    assert isinstance(offered, Offered)
    session.answer(offered.transaction, ANSWER)
    assert (lone.last().cseq, lone.last().body) == ((2, "PRACK"), ANSWER)


def test_p01_any_number_of_answers_waits_but_not_more_than_some() -> None:
    lone = Lone()
    session = incoming(lone, REQUIRED)
    for status in (180, 181, 182, 183) * 10:
        session.progress(status)
    for seq in range(2, 40):
        prack(lone, f"{lone.last('SIP/2.0 18').get('rseq')} 1 INVITE", seq)
    assert sum(line.startswith("SIP/2.0 18") for line in lone.lines()) == 1 + MAX_WAITING


# as UAC


def test_p01_reliable_answers_are_acknowledged_in_order_and_once() -> None:
    lone = Lone()
    session = lone.call()
    assert "100rel" in session.invite.get("supported")
    for number in (7, 7, 9, 8, 9):
        extra = (("require", "100rel"), ("rseq", str(number)))
        lone.hear(answer(session.invite, 180 + (number == 9), "far", b"", *extra))
    pracks = [data for _, data in lone.sent if data.startswith(b"PRACK")]
    racks = [data.split(b"RAck: ")[1].split(b"\r\n")[0] for data in pracks]
    assert racks == [b"7 1 INVITE", b"8 1 INVITE", b"9 1 INVITE"]
    assert [event.status for event in lone.party.events] == [180, 180, 181]


@pytest.mark.parametrize("text", ["", "x", "-1", "9" * 11, "²"])
def test_p01_reliable_without_a_number_is_dropped(text: str) -> None:
    lone = Lone()
    session = lone.call()
    lone.hear(answer(session.invite, 180, "far", b"", ("require", "100rel"), ("rseq", text)))
    assert lone.party.events == []
    assert not [line for line in lone.lines() if line.startswith("PRACK")]


def test_p01_offer_of_a_reliable_answer_is_answered_in_prack() -> None:
    lone = Lone()
    session = lone.agent.invite("sip:bob@10.0.0.2", lone.flow, A, B, b"", lone.party.listen)
    session.answerer = lambda offer: ANSWER if offer == OFFER else b""
    lone.hear(answer(session.invite, 183, "far", OFFER, ("require", "100rel"), ("rseq", "1")))
    assert lone.last("PRACK").body == ANSWER
    lone.hear(answer(session.invite, 200, "far", OFFER))
    assert lone.last("ACK").body == b""  # it was answered already


def test_p01_the_dialog_goes_on_counting_after_prack() -> None:
    lone = Lone()
    session = lone.call()
    lone.hear(answer(session.invite, 180, "far", b"", ("require", "100rel"), ("rseq", "1")))
    lone.hear(answer(session.invite, 200, "far", ANSWER))
    assert lone.last("ACK").cseq == (1, "ACK")
    session.hangup()
    assert lone.last("BYE").cseq == (3, "BYE")


@pytest.mark.parametrize("lost", range(1, 12))
def test_p01_both_sides_with_one_message_lost(lost: int) -> None:
    wire = Wire()
    wire.lose = lambda number, data: number == lost

    def on_call(session: Session) -> None:
        session.progress(183, wire.b.media.answer(session.invite.body))
        session.accept(wire.b.media.answer(session.invite.body))

    wire.b.on_call = on_call
    wire.b.agent.reliable_early = True
    flow = wire.a.connect("UDP", wire.b.address)
    session = wire.a.agent.invite("sip:bob@10.0.0.2", flow, A, B, wire.a.media.offer(), wire.a.listen)
    wire.pass_time(20)
    assert [type(event) for event in wire.a.events] == [Progress, Answered]
    assert wire.a.events[1].sdp == wire.a.events[0].sdp != b""
    assert wire.b.kinds() == ["Confirmed"]
    session.hangup()
    wire.pass_time(80)
    assert not any(left(wire))
