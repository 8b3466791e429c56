"""Our own re-INVITE and UPDATE, collisions, and offers before the answer (RFC 3261 14, RFC 3311)."""

from __future__ import annotations

import pytest

from provisioner.sip.message import Request, parse
from provisioner.sip.offers import MAX_WAITING
from provisioner.sip.session import Answered, Confirmed, Ended, Offered, Session
from tests.sip.lone import ANSWER, OFFER, Lone, answer, request
from tests.sip.pair import Wire
from tests.sip.test_races import back, called, dialled, inside, talking
from tests.sip.test_session import A, B, left

HOLD = OFFER.replace(b"sendrecv", b"sendonly")
RELIABLE = (("require", "100rel"), ("rseq", "1"), ("allow", "INVITE, UPDATE"))


class Results(list):
    def __call__(self, status: int, sdp: bytes) -> None:
        self.append((status, sdp))


def offer(session: Session, sdp: bytes = HOLD) -> Results:
    results = Results()
    session.send_offer(sdp, results)
    return results


def sent(lone: Lone, method: str) -> list[float]:
    return lone.instants(method)


# in a call that is up


def test_p02_our_re_invite_is_answered() -> None:
    lone = Lone()
    session, _ = dialled(lone)
    results = offer(session)
    again = lone.last("INVITE")
    assert (again.body, again.get("to")) == (HOLD, str(session.dialog.remote))
    final = answer(again, 200, "far", ANSWER)
    final.set("contact", "<sip:bob@10.0.0.2:5070>")
    lone.hear(final)
    assert results == [(200, ANSWER)]
    assert lone.last("ACK").uri == "sip:bob@10.0.0.2:5070"  # D02
    first = lone.last("ACK").encode()
    lone.hear(final)
    assert lone.last("ACK").encode() == first  # the same ACK to a repeated 2xx
    assert results == [(200, ANSWER)]


def test_d09_a_failed_re_invite_leaves_the_session_as_it_was() -> None:
    lone = Lone()
    session, _ = dialled(lone)
    before = session.local_sdp
    for status in (488, 603, 500):
        results = offer(session)
        lone.hear(answer(lone.last("INVITE"), status))
        assert results == [(status, b"")]
    assert (session.state, session.local_sdp, lone.party.events) == ("up", before, [])


@pytest.mark.parametrize("status", [408, 481])
def test_d09_408_and_481_end_the_session(status: int) -> None:
    lone = Lone()
    session, _ = dialled(lone)
    results = offer(session)
    lone.hear(answer(lone.last("INVITE"), status))
    assert results == [(status, b"")]
    assert lone.party.events == [Ended("timeout")]
    assert lone.lines()[-1].startswith("BYE")


def test_d09_silence_ends_the_session() -> None:
    lone = Lone()
    session, _ = dialled(lone)
    results = offer(session)
    lone.run_until(32)
    assert results == [(408, b"")]
    lone.run_until(200)
    assert lone.party.events == [Ended("timeout")]
    assert lone.idle()


def test_d09_a_re_invite_that_rings_for_ever_is_given_up() -> None:
    lone = Lone()
    session, _ = dialled(lone)
    results = offer(session)
    lone.hear(answer(lone.last("INVITE"), 180))
    lone.run_until(181)
    assert results == [(408, b"")]
    lone.run_until(400)
    assert lone.idle()


def test_offers_wait_for_each_other() -> None:
    lone = Lone()
    session, _ = dialled(lone)
    first, second = offer(session), offer(session, OFFER)
    assert len([line for line in lone.lines() if line.startswith("INVITE")]) == 2
    lone.hear(answer(lone.last("INVITE"), 200, "far", ANSWER))
    assert (first, second) == ([(200, ANSWER)], [])
    assert lone.last("INVITE").body == OFFER
    lone.hear(answer(lone.last("INVITE"), 200, "far", ANSWER))
    assert second == [(200, ANSWER)]


def test_h09_not_any_number_of_offers_waits() -> None:
    lone = Lone()
    session, _ = dialled(lone)
    results = [offer(session) for _ in range(MAX_WAITING + 2)]
    assert [bool(result) for result in results] == [False] * (MAX_WAITING + 1) + [True]
    assert results[-1] == [(500, b"")]


def test_an_offer_waits_for_the_ack_of_our_2xx() -> None:
    lone = Lone()
    session, tag = called(lone)
    offer(session)
    assert sent(lone, "INVITE") == []
    lone.hear(request("ACK", branch="z9hG4bKack", to_tag=tag))
    assert len(sent(lone, "INVITE")) == 1


def test_offers_end_with_the_session() -> None:
    lone = Lone()
    session, _ = dialled(lone)
    results = offer(session)
    waiting = offer(session)
    session.hangup()
    late = lone.last("INVITE")
    lone.hear(answer(late, 200, "far", ANSWER))
    assert lone.last("ACK").cseq == (late.cseq[0], "ACK")
    lone.hear(answer(lone.last("BYE"), 200))
    assert results == waiting == []
    lone.run_until(100)
    assert lone.idle()
    assert offer(session) == []


def test_a_re_invite_may_be_challenged() -> None:
    lone = Lone()
    session = lone.call(credentials=lambda realm: ("alice", "secret"))
    lone.hear(answer(session.invite, 200, "far", ANSWER))
    results = offer(session)
    challenge = ("proxy-authenticate", 'Digest realm="r", nonce="n", algorithm=MD5, qop="auth"')
    lone.hear(answer(lone.last("INVITE"), 407, "far", b"", challenge))
    second = lone.last("INVITE")
    assert second.cseq[0] == 3
    lone.hear(answer(second, 200, "far", ANSWER))
    assert lone.last("ACK").cseq[0] == 3
    assert lone.last("ACK").get("proxy-authorization") == second.get("proxy-authorization") != ""
    assert results == [(200, ANSWER)]
    session.hangup()
    assert lone.last("BYE").cseq[0] == 4


# collisions


def test_d08_491_the_owner_of_the_call_id_waits_2_1_to_4_seconds() -> None:
    waits = set()
    for seed in range(40):
        lone = Lone()
        lone.agent.rng.seed(seed)
        session, _ = dialled(lone)
        results = offer(session)
        lone.hear(answer(lone.last("INVITE"), 491))
        lone.run_until(5)
        waits.add(sent(lone, "INVITE")[2])
        lone.hear(answer(lone.last("INVITE"), 200, "far", ANSWER))
        assert results == [(200, ANSWER)]
    assert 2.1 <= min(waits) < 2.4
    assert 3.7 < max(waits) <= 4.0
    assert all(round(wait * 100, 6) == round(wait * 100) for wait in waits)


def test_d08_491_the_other_side_waits_up_to_2_seconds() -> None:
    waits = set()
    for seed in range(40):
        lone = Lone()
        session, _ = talking(lone)
        lone.agent.rng.seed(seed)
        offer(session)
        lone.hear(answer(lone.last("INVITE"), 491))
        lone.run_until(2)
        waits.add(sent(lone, "INVITE")[1])
    assert min(waits) < 0.3
    assert 1.7 < max(waits) <= 2.0


@pytest.mark.parametrize(
    ("after", "again"), [("3", [3.0]), ("0", [0.0]), ("10 (busy)", [10.0]), ("11", []), ("", [])]
)
def test_d08_500_with_retry_after_is_tried_again(after: str, again: list[float]) -> None:
    lone = Lone()
    session, _ = dialled(lone)
    results = offer(session)
    lone.hear(answer(lone.last("INVITE"), 500, "far", b"", ("retry-after", after)))
    lone.run_until(11)
    assert sent(lone, "INVITE")[2:][:1] == again
    assert results == ([] if again else [(500, b"")])


def test_d08_not_for_ever() -> None:
    lone = Lone()
    session, _ = dialled(lone)
    results = offer(session)
    for step in range(1, 8):
        if results:
            break
        lone.hear(answer(lone.last("INVITE"), 491))
        lone.run_until(step * 5)
    assert results == [(491, b"")]
    assert len({lone.last("INVITE").cseq, *[parse(d).cseq for _, d in lone.sent if d[:6] == b"INVITE"]}) == 6


def test_d08_hung_up_while_it_waits_nothing_is_tried_again() -> None:
    lone = Lone()
    session, _ = dialled(lone)
    offer(session)
    lone.hear(answer(lone.last("INVITE"), 491))
    session.hangup()
    lone.run_until(10)
    assert len(sent(lone, "INVITE")) == 2


def test_d08_theirs_is_491_while_ours_is_out_and_served_while_ours_waits() -> None:
    lone = Lone()
    session, _ = dialled(lone)
    offer(session)
    assert back(lone, session, "UPDATE", 5, OFFER) == "491"
    assert back(lone, session, "INVITE", 6, OFFER) == "491"
    assert back(lone, session, "UPDATE", 7) == "200"  # a mere refresh collides with nothing
    lone.hear(answer(lone.last("INVITE"), 491))
    back(lone, session, "INVITE", 8, OFFER)
    theirs = lone.party.events[-1]
    assert isinstance(theirs, Offered)
    lone.run_until(10)
    assert len(sent(lone, "INVITE")) == 2  # ours waits until theirs is settled
    session.answer(theirs.transaction, ANSWER)
    lone.run_until(20)
    assert len(sent(lone, "INVITE")) >= 3


@pytest.mark.parametrize("seed", range(5))
def test_d08_two_re_invites_that_cross_both_get_through(seed: int) -> None:
    wire = Wire()
    wire.a.agent.rng.seed(seed)
    wire.b.on_call = lambda session: session.accept(wire.b.media.answer(session.invite.body))
    flow = wire.a.connect("UDP", wire.b.address)
    ours = wire.a.agent.invite("sip:bob@10.0.0.2", flow, A, B, wire.a.media.offer(), wire.a.listen)
    wire.run()
    theirs = wire.b.sessions[0]
    for party in (wire.a, wire.b):
        listen = party.listen

        def answering(
            session: Session, event: object, party: object = party, listen: object = listen
        ) -> None:
            listen(session, event)
            if isinstance(event, Offered):
                session.answer(event.transaction, party.media.answer(event.sdp))

        (ours if party is wire.a else theirs).listener = answering
    first, second = offer(ours, wire.a.media.offer("sendonly")), offer(theirs, wire.b.media.offer())
    wire.pass_time(60)
    assert [first[0][0], second[0][0]] == [200, 200]
    assert "SIP/2.0 491 Request Pending" in wire.starts()
    ours.hangup()
    wire.pass_time(60)
    assert not any(left(wire))


# before the call is answered


def test_p02_update_before_the_answer_as_caller() -> None:
    lone = Lone()
    session = lone.call()
    results = offer(session)
    lone.hear(answer(session.invite, 180))
    assert sent(lone, "UPDATE") == []  # nothing is settled yet
    lone.hear(answer(session.invite, 183, "far", ANSWER, *RELIABLE))
    update = lone.last("UPDATE")
    assert update.body == HOLD
    assert update.get("session-expires") == ""
    lone.hear(answer(update, 200, "far", ANSWER))
    assert results == [(200, ANSWER)]
    lone.hear(answer(session.invite, 200, "far"))
    assert isinstance(lone.party.events[-1], Answered)
    assert lone.party.events[-1].sdp == ANSWER


def test_p02_without_update_the_offer_waits_for_the_answer() -> None:
    lone = Lone()
    session = lone.call()
    offer(session)
    lone.hear(answer(session.invite, 183, "far", ANSWER, *RELIABLE[:2], ("allow", "INVITE, ACK")))
    assert sent(lone, "UPDATE") == []
    lone.hear(answer(session.invite, 200, "far", ANSWER))
    assert lone.last("INVITE").body == HOLD


def early_in(lone: Lone) -> Session:
    lone.hear(request("INVITE", "Require: 100rel", "Allow: UPDATE, PRACK", body=OFFER))
    return lone.party.sessions[0]


def settle(lone: Lone, session: Session) -> None:
    session.progress(183, ANSWER)
    rack = f"RAck: {lone.last('SIP/2.0 183').get('rseq')} 1 INVITE"
    inside(lone, "PRACK", session.incoming.tag, 2, rack)


def test_p02_update_before_the_answer_as_callee() -> None:
    lone = Lone()
    session = early_in(lone)
    results = offer(session)
    assert sent(lone, "UPDATE") == []
    settle(lone, session)
    lone.hear(answer(lone.last("UPDATE"), 200, "far", ANSWER))
    assert results == [(200, ANSWER)]


def test_p02_theirs_before_the_answer() -> None:
    lone = Lone()
    session = early_in(lone)
    tag = session.incoming.tag
    assert inside(lone, "UPDATE", tag, 2, body=OFFER) == "500"  # their first offer waits for our answer
    assert lone.last().get("retry-after").isdecimal()
    session.progress(183, ANSWER)
    rack = f"RAck: {lone.last('SIP/2.0 183').get('rseq')} 1 INVITE"
    inside(lone, "PRACK", tag, 3, rack)
    inside(lone, "UPDATE", tag, 4, body=HOLD)
    offered = lone.party.events[-1]
    assert isinstance(offered, Offered)
    assert inside(lone, "UPDATE", tag, 5, body=HOLD) == "500"  # RFC 3311 5.2
    session.answer(offered.transaction, ANSWER)
    assert inside(lone, "INVITE", tag, 6, body=HOLD) == "500"  # 14.2: the INVITE itself is unanswered
    assert session.state == "incoming"


def early_request(lone: Lone, session: Session, method: str, seq: int, body: bytes = b"") -> str:
    ours = session.invite.get("from").rpartition("tag=")[2]
    data = request(method, branch=f"z9hG4bK{method}{seq}", seq=seq, to_tag=ours, body=body)
    lone.hear(data.replace(b"Call-ID: one", f"Call-ID: {session.invite.call_id}".encode()))
    return lone.lines()[-1].split()[1]


def test_p02_theirs_while_we_call() -> None:
    lone = Lone()
    session = lone.call()
    lone.hear(answer(session.invite, 180))
    assert early_request(lone, session, "UPDATE", 5, OFFER) == "491"
    assert early_request(lone, session, "UPDATE", 6) == "200"
    assert early_request(lone, session, "UPDATE", 6) == "200"  # a repeat
    lone.hear(answer(session.invite, 183, "far", ANSWER, *RELIABLE))
    early_request(lone, session, "UPDATE", 7, OFFER)
    assert isinstance(lone.party.events[-1], Offered)
    session.answer(lone.party.events[-1].transaction, ANSWER)
    assert early_request(lone, session, "INVITE", 8, OFFER) == "491"
    lone.hear(answer(session.invite, 200, "far", ANSWER))
    assert early_request(lone, session, "OPTIONS", 8) == "500"  # the dialog's numbers go on
    assert early_request(lone, session, "OPTIONS", 9) == "200"


# without an offer


def test_s06_offerless_invite_of_ours_is_answered_in_the_ack() -> None:
    lone = Lone()
    session = lone.agent.invite("sip:bob@10.0.0.2", lone.flow, A, B, b"", lone.party.listen)
    session.answerer = lambda sdp: ANSWER
    lone.hear(answer(session.invite, 200, "far", OFFER))
    assert lone.last("ACK").body == ANSWER
    assert session.local_sdp == ANSWER
    assert lone.party.events[-1].sdp == OFFER


def test_s06_offerless_re_invite_of_ours_is_answered_in_the_ack() -> None:
    lone = Lone()
    session, _ = dialled(lone)
    session.answerer = lambda sdp: ANSWER
    results = offer(session, b"")
    assert lone.last("INVITE").body == b""
    lone.hear(answer(lone.last("INVITE"), 200, "far", OFFER))
    assert lone.last("ACK").body == ANSWER
    assert results == [(200, OFFER)]


def test_s06_offerless_re_invite_of_theirs() -> None:
    lone = Lone()
    session, tag = talking(lone)
    inside(lone, "INVITE", tag, 2)
    offered = lone.party.events[-1]
    assert offered.sdp == b""
    session.answer(offered.transaction, OFFER)
    assert inside(lone, "UPDATE", tag, 3, body=HOLD) == "491"  # until the ACK brings the answer
    lone.hear(request("ACK", branch="z9hG4bKa2", seq=2, to_tag=tag, body=ANSWER))
    assert lone.party.events[-1] == Confirmed(ANSWER)


def test_a_peer_that_cannot_be_reached_changes_nothing() -> None:
    lone = Lone()
    session, _ = dialled(lone)

    def broken(flow: object, data: bytes) -> None:
        if data.startswith(b"INVITE"):
            lone.agent.transactions.transport_failed(lone.flow)

    lone.agent.transactions.send = broken
    results = offer(session)
    assert sent(lone, "BYE") == []
    assert [status for status, _ in results] == [503]
    assert session.state == "up"
    assert isinstance(session.invite, Request)
