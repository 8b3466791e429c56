"""Messages that cross, forks, refusals: what a session makes of them (RFC 3261 9, 13-15; RFC 5407 3)."""

from __future__ import annotations

import pytest

from provisioner.sip.headers import NameAddr, Via
from provisioner.sip.message import Request, parse
from provisioner.sip.session import Answered, Confirmed, Ended, Failed, Info, Offered, Progress, Session
from tests.sip.lone import ANSWER, ME, OFFER, PEER, YOU, Lone, answer, request
from tests.sip.pair import Wire


def called(lone: Lone, sdp: bytes = ANSWER, offer: bytes = OFFER) -> tuple[Session, str]:
    """A call that we took; its ACK has not come."""
    lone.party.on_call = lambda session: session.accept(sdp)
    lone.hear(request("INVITE", body=offer))
    session = lone.party.sessions[-1]
    return session, session.dialog.local.tag


def talking(lone: Lone) -> tuple[Session, str]:
    session, tag = called(lone)
    lone.hear(request("ACK", branch="z9hG4bKack", to_tag=tag))
    lone.party.events.clear()
    return session, tag


def dialled(lone: Lone) -> tuple[Session, Request]:
    """A call that we made, answered."""
    session = lone.call()
    invite = lone.last()
    lone.hear(answer(invite, 200, "far", ANSWER))
    lone.party.events.clear()
    return session, invite


def inside(lone: Lone, method: str, tag: str, seq: int = 2, *lines: str, body: bytes = b"") -> str:
    """What we answer to a request in the dialog of a call that we took."""
    lone.hear(request(method, *lines, branch=f"z9hG4bK{method}{seq}", seq=seq, to_tag=tag, body=body))
    return lone.lines()[-1].removeprefix("SIP/2.0 ")[:3]


def back(lone: Lone, session: Session, method: str, seq: int = 5, body: bytes = b"") -> str:
    """What we answer to a request of the party that we called."""
    data = request(
        method, branch=f"z9hG4bK{method}{seq}", seq=seq, to_tag=session.dialog.local.tag, body=body
    )
    lone.hear(data.replace(b"Call-ID: one", f"Call-ID: {session.invite.call_id}".encode()))
    return lone.lines()[-1].removeprefix("SIP/2.0 ")[:3]


# before the answer


def test_5407_3_1_1_repeated_invite_is_one_call() -> None:
    lone = Lone()
    lone.hear(request("INVITE", body=OFFER))
    lone.hear(request("INVITE", body=OFFER))
    assert (len(lone.party.sessions), lone.lines()) == (1, ["SIP/2.0 100 Trying"] * 2)


def test_t06_cancel_is_answered_and_ends_the_invite() -> None:
    lone = Lone()
    lone.hear(request("INVITE", body=OFFER))
    lone.hear(request("CANCEL", 'Reason: SIP;cause=200;text="elsewhere"'))
    assert lone.lines()[1:] == ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]
    assert lone.sent[1][1].split(b"tag=")[2][:16] == lone.sent[2][1].split(b"tag=")[2][:16]
    assert lone.party.events == [Ended("cancelled", 'SIP;cause=200;text="elsewhere"')]
    lone.run_until(40)
    assert lone.idle()


def test_5407_3_1_2_cancel_behind_the_200_changes_nothing() -> None:
    lone = Lone()
    session, _ = called(lone)
    lone.hear(request("CANCEL"))
    assert lone.lines()[-1] == "SIP/2.0 200 OK"
    assert (session.state, lone.party.events) == ("up", [])


def test_cancel_of_nothing_is_481() -> None:
    lone = Lone()
    lone.hear(request("CANCEL"))
    assert lone.lines() == ["SIP/2.0 481 Call/Transaction Does Not Exist"]


def test_5407_3_1_3_bye_in_the_early_dialog() -> None:
    lone = Lone()
    lone.hear(request("INVITE", body=OFFER))
    session = lone.party.sessions[0]
    session.progress(180)
    assert inside(lone, "BYE", session.dialog.local.tag) == "487"
    assert lone.lines()[-2] == "SIP/2.0 200 OK"
    assert lone.party.events == [Ended("bye")]


def test_t06_a_challenge_needs_a_new_provisional_before_cancel() -> None:
    """The 100 to the INVITE that was challenged says nothing of the second one."""
    lone = Lone()
    session = lone.call(credentials=lambda realm: ("u", "p"))
    first = lone.last()
    lone.hear(answer(first, 100, ""))
    lone.hear(answer(first, 401, "x", b"", ("www-authenticate", 'Digest realm="r", nonce="n"')))
    session.hangup()
    assert lone.instants("CANCEL") == []
    lone.hear(answer(lone.last("INVITE"), 100, ""))
    assert lone.last("CANCEL").get("via") == lone.last("INVITE").get("via")


def test_t06_cancel_without_any_answer_destroys_the_invite() -> None:
    lone = Lone()
    session = lone.call()
    lone.hear(answer(lone.last(), 180))
    session.hangup()
    lone.run_until(40)
    assert lone.idle()
    assert lone.party.kinds() == ["Progress"]


def test_t06_200_crossing_cancel_is_acknowledged_for_as_long_as_it_is_repeated() -> None:
    lone = Lone()
    session = lone.call()
    invite = lone.last()
    lone.hear(answer(invite, 180))
    session.hangup()
    lone.run_until(1)
    ok = answer(invite, 200, "far", ANSWER)
    lone.hear(ok)
    lone.run_until(32.5)  # 64*T1 behind the CANCEL, not yet behind the 200
    lone.hear(ok)
    assert lone.instants("ACK") == [1, 32.5]
    assert len({data.split(b"Via")[1] for _, data in lone.sent if data.startswith(b"BYE")}) == 1
    assert lone.party.kinds() == ["Progress"]


def test_a_challenge_after_cancel_is_not_answered() -> None:
    lone = Lone()
    session = lone.call(credentials=lambda realm: ("u", "p"))
    invite = lone.last()
    lone.hear(answer(invite, 100, ""))
    session.hangup()
    lone.hear(answer(invite, 401, "x", b"", ("www-authenticate", 'Digest realm="r", nonce="n"')))
    assert len(lone.instants("INVITE")) == 1


def test_d05_early_dialogs_of_all_forks_are_forgotten() -> None:
    lone = Lone()
    session = lone.call()
    invite = lone.last()
    for tag in ("one", "two", "three"):
        lone.hear(answer(invite, 180, tag))
    assert len(lone.agent.sessions) == 3
    lone.hear(answer(invite, 200, "two", ANSWER))
    assert list(lone.agent.sessions) == [session.dialog.key]
    assert session.dialog.remote.tag == "two"


@pytest.mark.parametrize(
    ("status", "sdp", "kinds"), [(180, b"", ["Progress"]), (183, ANSWER, ["Progress"]), (100, b"", [])]
)
def test_provisional_answers(status: int, sdp: bytes, kinds: list[str]) -> None:
    lone = Lone()
    lone.call()
    lone.hear(answer(lone.last(), status, "far", sdp))
    assert lone.party.kinds() == kinds
    if kinds:
        assert lone.party.events[0].sdp == sdp


@pytest.mark.parametrize("status", [300, 404, 408, 486, 503, 603])
def test_final_answers_are_told_as_they_are(status: int) -> None:
    lone = Lone()
    lone.call()
    lone.hear(answer(lone.last(), status))
    assert [event.status for event in lone.party.events if isinstance(event, Failed)] == [status]
    assert lone.lines()[-1].startswith("ACK")


def test_a_2xx_that_no_dialog_can_be_made_of_fails_the_call() -> None:
    lone = Lone()
    lone.call()
    ok = answer(lone.last(), 200, "far", ANSWER)
    ok.headers.append(("record-route", "<sip:[::1>"))
    lone.hear(ok)
    assert [event.status for event in lone.party.events] == [502]
    lone.run_until(40)
    assert lone.idle()


# the end


def test_a_callee_that_says_bye_while_it_rings_ends_the_invite_too() -> None:
    """It must not (15); without a CANCEL the INVITE would wait for its final answer for ever."""
    lone = Lone()
    session = lone.call()
    invite = lone.last()
    lone.hear(answer(invite, 180, "far"))
    early = NameAddr.parse(invite.get("from")).tag
    data = request("BYE", branch="z9hG4bKbye", seq=7, to_tag=early)
    lone.hear(data.replace(b"Call-ID: one", b"Call-ID: " + invite.call_id.encode()))
    assert lone.lines()[-2:] == ["SIP/2.0 200 OK", "CANCEL sip:bob@10.0.0.2 SIP/2.0"]
    assert (lone.party.kinds(), session.state) == (["Progress", "Ended"], "over")
    lone.run_until(100)
    assert lone.idle()


def test_a_route_set_is_bounded() -> None:
    lone = Lone()
    lone.hear(request("INVITE", "Record-Route: " + "<sip:r;lr>," * 71, body=OFFER))
    assert lone.lines()[-1] == "SIP/2.0 400 Too many routes"


def test_d06_callee_waits_for_the_ack_before_its_bye() -> None:
    """Section 15; the 200 is repeated meanwhile."""
    lone = Lone()
    session, tag = called(lone)
    session.hangup(reason="SIP;cause=200")
    lone.run_until(2)
    assert (lone.instants("BYE"), lone.instants("SIP/2.0 200")) == ([], [0, 0.5, 1.5])
    lone.hear(request("ACK", branch="z9hG4bKack", to_tag=tag))
    assert lone.last("BYE").get("reason") == "SIP;cause=200"
    assert lone.party.events == []
    lone.hear(answer(lone.last("BYE"), 200))
    lone.run_until(40)
    assert lone.instants("BYE") == [2]
    assert lone.idle()


def test_d06_callee_that_never_gets_the_ack_says_bye_after_64_t1() -> None:
    lone = Lone()
    session, _ = called(lone)
    session.hangup()
    lone.run_until(32)
    assert lone.instants("BYE")[0] == 32
    assert lone.party.events == []
    lone.run_until(80)
    assert lone.idle()


def test_5407_3_1_6_bye_before_the_ack() -> None:
    lone = Lone()
    _, tag = called(lone)
    assert inside(lone, "BYE", tag) == "200"
    lone.hear(request("ACK", branch="z9hG4bKack", to_tag=tag))
    assert lone.party.events == [Ended("bye")]
    lone.run_until(40)
    assert lone.instants("SIP/2.0 200") == [0, 0]
    assert lone.idle()


def test_5407_3_2_1_bye_crossing_bye() -> None:
    wire = Wire()
    wire.b.on_call = lambda session: session.accept(wire.b.media.answer(session.invite.body))
    flow, offer = wire.a.connect("UDP", PEER), wire.a.media.offer()
    session = wire.a.agent.invite("sip:b@10.0.0.2", flow, ME, YOU, offer, wire.a.listen)
    wire.run()
    session.hangup()
    wire.b.sessions[0].hangup()
    wire.run()
    assert wire.starts()[-2:] == ["SIP/2.0 200 OK"] * 2
    assert [event for party in (wire.a, wire.b) for event in party.events if isinstance(event, Ended)] == []
    assert not wire.a.agent.sessions
    assert not wire.b.agent.sessions


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "INFO", "REFER", "OPTIONS"])
def test_5407_3_2_2_a_mortal_dialog_takes_only_bye(method: str) -> None:
    lone = Lone()
    session, tag = talking(lone)
    session.hangup()
    assert inside(lone, method, tag) == "481"
    assert inside(lone, "BYE", tag, 3) == "200"
    assert lone.party.events == []


def test_5407_3_2_4_ack_in_a_mortal_dialog_is_ignored() -> None:
    lone = Lone()
    session, tag = talking(lone)
    session.hangup()
    count = len(lone.sent)
    lone.hear(request("ACK", branch="z9hG4bKack", to_tag=tag))
    assert (len(lone.sent), lone.party.events) == (count, [])


@pytest.mark.parametrize("method", ["BYE", "INFO", "UPDATE", "PRACK"])
@pytest.mark.parametrize("to_tag", ["", "none"])
def test_d04_unknown_dialog(method: str, to_tag: str) -> None:
    lone = Lone()
    lone.hear(request(method, to_tag=to_tag))
    assert lone.lines() == ["SIP/2.0 481 Call/Transaction Does Not Exist"]


def test_d04_stray_ack_and_stray_response_are_dropped() -> None:
    lone = Lone()
    lone.hear(request("ACK", to_tag="none"))
    other = Lone()
    other.call()
    lone.hear(answer(other.last(), 200))
    assert lone.sent == []
    assert lone.idle()


def test_the_bye_carries_credentials_when_asked() -> None:
    lone = Lone()
    session = lone.call(credentials=lambda realm: ("u", "p"))
    lone.hear(answer(lone.last(), 200, "far", ANSWER))
    session.hangup()
    lone.hear(answer(lone.last("BYE"), 407, "", b"", ("proxy-authenticate", 'Digest realm="r", nonce="n"')))
    assert lone.last("BYE").get("proxy-authorization").startswith('Digest username="u"')
    assert lone.last("BYE").cseq == (3, "BYE")


# offers


def test_5407_3_1_4_re_invite_before_the_ack() -> None:
    """Our answer is given: the new offer is taken, and each 200 has its own ACK."""
    lone = Lone()
    session, tag = called(lone)
    inside(lone, "INVITE", tag, body=OFFER)
    session.answer(lone.party.events[-1].transaction, ANSWER)
    lone.run_until(0.5)
    assert [lone.sent[n][1].count(b"CSeq: 2") for n in (-2, -1)] == [0, 1]
    lone.hear(request("ACK", branch="z9hG4bKa1", to_tag=tag))
    lone.hear(request("ACK", branch="z9hG4bKa2", seq=2, to_tag=tag))
    lone.run_until(60)
    assert lone.instants("SIP/2.0 200") == [0, 0, 0.5, 0.5]
    assert lone.party.kinds() == ["Offered", "Confirmed", "Confirmed"]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_5407_3_1_5_offer_while_ours_is_unanswered(method: str) -> None:
    """A late offer: ours went out in the 200 and waits for the ACK."""
    lone = Lone()
    _, tag = called(lone, sdp=OFFER, offer=b"")
    assert inside(lone, method, tag, body=OFFER) == "491"
    assert lone.party.events == []
    lone.hear(request("ACK", branch="z9hG4bKack", to_tag=tag, body=ANSWER))
    assert lone.party.events == [Confirmed(ANSWER)]


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_d08_offer_behind_an_unanswered_one_of_the_same_side(method: str) -> None:
    lone = Lone()
    _, tag = talking(lone)
    inside(lone, "INVITE", tag, body=OFFER)
    assert inside(lone, method, tag, 3, body=OFFER) == "500"
    assert 0 <= int(lone.last().get("retry-after")) <= 10
    assert lone.party.kinds() == ["Offered"]


@pytest.mark.parametrize(("body", "status"), [(OFFER, "491"), (b"", "200")])
def test_update_in_the_early_dialog_of_our_invite(body: bytes, status: str) -> None:
    """RFC 3311 5.2: our offer is open; without SDP it is only a refresh."""
    lone = Lone()
    lone.call()
    lone.hear(answer(lone.last(), 180))
    early = next(iter(lone.agent.sessions))
    data = request("UPDATE", seq=9, to_tag=early[1], body=body)
    lone.hear(data.replace(b"Call-ID: one", b"Call-ID: " + early[0].encode()))
    assert lone.lines()[-1][8:11] == status


def test_p02_update_with_an_offer() -> None:
    lone = Lone()
    session, tag = talking(lone)
    inside(lone, "UPDATE", tag, body=OFFER)
    event = lone.party.events[0]
    assert isinstance(event, Offered)
    session.answer(event.transaction, ANSWER)
    assert lone.last("SIP/2.0 200").body == ANSWER
    lone.run_until(60)
    assert lone.instants("SIP/2.0 200") == [0, 0]  # no ACK follows an UPDATE


def test_a_refused_re_invite_leaves_the_session_as_it_was() -> None:
    lone = Lone()
    session, tag = talking(lone)
    inside(lone, "INVITE", tag, body=OFFER)
    lone.party.events[0].transaction.reply(488)
    lone.hear(request("ACK", branch="z9hG4bKINVITE2", seq=2, to_tag=tag))
    assert session.state == "up"
    assert inside(lone, "INVITE", tag, 3, body=OFFER) != "500"


def test_a_cancelled_re_invite_may_be_answered_all_the_same() -> None:
    """The late answer is dropped, and the call does not die of the ACK that never comes."""
    lone = Lone()
    session, tag = talking(lone)
    inside(lone, "INVITE", tag, body=OFFER)
    lone.hear(request("CANCEL", branch="z9hG4bKINVITE2", seq=2, to_tag=tag))
    assert lone.lines()[-2:] == ["SIP/2.0 200 OK", "SIP/2.0 487 Request Terminated"]
    session.answer(lone.party.events[0].transaction, ANSWER)
    lone.hear(request("ACK", branch="z9hG4bKINVITE2", seq=2, to_tag=tag))
    lone.run_until(60)
    assert (session.state, lone.party.kinds()) == ("up", ["Offered"])


def test_s06_late_offer() -> None:
    lone = Lone()
    session, tag = called(lone, sdp=OFFER, offer=b"")
    lone.hear(request("ACK", branch="z9hG4bKack", to_tag=tag, body=ANSWER))
    assert lone.party.events == [Confirmed(ANSWER)]
    inside(lone, "INVITE", tag)
    assert lone.party.events[-1].sdp == b""
    assert session.state == "up"


def test_d02_re_invite_moves_the_target() -> None:
    lone = Lone()
    session, tag = talking(lone)
    data = request("INVITE", branch="z9hG4bKm", seq=2, to_tag=tag, body=OFFER)
    lone.hear(data.replace(b"bob@10.0.0.2:5060>\r\nContent", b"bob@10.0.0.7;x=a:b/c>\r\nContent"))
    session.hangup()
    assert lone.last("BYE").uri == "sip:bob@10.0.0.7;x=a:b/c"


# requests inside


@pytest.mark.parametrize(("seq", "status"), [(1, "500"), (0, "500"), (2, "200"), (9, "200")])
def test_d03_cseq_must_grow(seq: int, status: str) -> None:
    lone = Lone()
    _, tag = talking(lone)
    assert inside(lone, "OPTIONS", tag, seq) == status


@pytest.mark.parametrize(
    ("kind", "body", "status", "events"),
    [
        ("application/dtmf-relay", b"Signal=5\r\n", "200", [Info("application/dtmf-relay", b"Signal=5\r\n")]),
        ("Application/DTMF", b"5", "200", [Info("application/dtmf", b"5")]),
        ("application/dtmf", b"", "200", []),
        ("application/media_control+xml", b"<x/>", "415", []),
    ],
)
def test_v08_info(kind: str, body: bytes, status: str, events: list) -> None:
    lone = Lone()
    _, tag = talking(lone)
    assert inside(lone, "INFO", tag, 2, f"Content-Type: {kind}", body=body) == status
    assert lone.party.events == events


@pytest.mark.parametrize(
    ("method", "status"),
    [
        ("OPTIONS", "200"),
        ("NOTIFY", "200"),
        ("MESSAGE", "200"),
        ("REFER", "603"),
        ("PRACK", "481"),
        ("ACKN", "501"),
    ],
)
def test_other_requests_inside(method: str, status: str) -> None:
    lone = Lone()
    _, tag = talking(lone)
    assert inside(lone, method, tag) == status


def test_requests_of_the_called_party() -> None:
    lone = Lone()
    session, _ = dialled(lone)
    assert back(lone, session, "OPTIONS") == "200"
    assert back(lone, session, "OPTIONS", 4) == "500"
    assert back(lone, session, "BYE", 6) == "200"
    assert lone.party.events == [Ended("bye")]


# what an INVITE may ask


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (("Max-Forwards: 0",), 483),
        (("Max-Forwards: 00",), 483),
        (("Max-Forwards: 1",), 100),
        (("Require: 100rel, x",), 420),
        (("Content-Type: application/xml",), 415),
        (("Content-Type: application/sdp", "Content-Encoding: gzip"), 415),
        (("Content-Type: application/xml", "Content-Disposition: x; handling = optional"), 100),
        (('Content-Type: multipart/mixed; boundary="b"',), 100),
    ],
)
def test_m05_what_an_invite_may_ask(lines: tuple[str, ...], status: int) -> None:
    lone = Lone()
    lone.hear(request("INVITE", *lines, body=OFFER))
    assert lone.last().status == status
    assert bool(lone.party.sessions) is (status == 100)
    if status == 420:
        assert lone.last().get("unsupported") == "x"
    if status == 415:
        assert lone.last().get("accept") == "application/sdp"


def test_t13_options_may_end_here() -> None:
    lone = Lone()
    lone.hear(request("OPTIONS", "Max-Forwards: 0"))
    assert lone.lines() == ["SIP/2.0 200 OK"]


# routes


def test_d02_route_sets() -> None:
    """Reversed as UAC; as received as UAS; a strict router takes the Request-URI's place."""
    lone = Lone()
    session = lone.call()
    ok = answer(lone.last(), 200, "far", ANSWER)
    ok.headers += [("record-route", "<sip:10.0.0.8;lr>, <sip:10.0.0.9;lr>")]
    lone.hear(ok)
    assert lone.last("ACK").all("route") == ["<sip:10.0.0.9;lr>", "<sip:10.0.0.8;lr>"]
    session.hangup()
    assert lone.last("BYE").uri == "sip:bob@10.0.0.2:5060"

    lone = Lone()
    lone.party.on_call = lambda session: session.accept(ANSWER)
    lone.hear(
        request("INVITE", "Record-Route: <sip:10.0.0.8;lrx=1>", "Record-Route: <sip:10.0.0.9;lr>", body=OFFER)
    )
    session = lone.party.sessions[0]
    lone.hear(request("ACK", branch="z9hG4bKack", to_tag=session.dialog.local.tag))
    session.hangup()
    bye = lone.last("BYE")
    assert bye.uri == "sip:10.0.0.8;lrx=1"
    assert bye.all("route") == ["<sip:10.0.0.9;lr>", "<sip:bob@10.0.0.2:5060>"]


@pytest.mark.parametrize("status", [200, 183])
def test_the_events_of_a_call_carry_its_sdp(status: int) -> None:
    lone = Lone()
    lone.call()
    lone.hear(answer(lone.last(), status, "far", ANSWER))
    (event,) = lone.party.events
    assert isinstance(event, Answered if status == 200 else Progress)
    assert event.sdp == ANSWER


@pytest.mark.parametrize(
    ("lines", "hop"),
    [
        ((), ("UDP", ("10.0.0.2", 5060))),
        ((("record-route", "<sip:10.0.0.9:5080;transport=tcp;lr>"),), ("TCP", ("10.0.0.9", 5080))),
        ((("record-route", "<sip:[2001:db8::9];lr>"),), ("UDP", ("2001:db8::9", 5060))),
        ((("record-route", "<sip:proxy.example.com;lr>"),), ("UDP", ("10.0.0.2", 5060))),
        ((("record-route", "<sip:10.0.0.9;transport=tls;lr>"),), ("UDP", ("10.0.0.2", 5060))),
        ((("record-route", "<urn:x>"),), ("UDP", ("10.0.0.2", 5060))),
    ],
)
def test_d02_unpinned_requests_go_to_the_first_route(lines: tuple, hop: tuple) -> None:
    """Where it is an address; a name or nonsense leaves them on the flow of the dialog."""
    lone = Lone()
    session = lone.call(pinned=False)
    invite = lone.last()
    hops: list[tuple] = []

    def carry(_party: object, remote: tuple[str, int], data: bytes) -> None:
        hops.append((Via.parse(parse(data).get("via")).transport, remote))

    lone.carry = carry
    lone.hear(answer(invite, 200, "far", ANSWER, *lines))
    session.hangup()
    assert hops == [hop, hop]


def test_the_other_party() -> None:
    lone = Lone()
    session, _ = called(lone)
    assert session.remote.uri.user == "bob"
    assert lone.call().remote.uri.user == "bob"
