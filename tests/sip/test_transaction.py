"""Timers A to M to the instant, matching, and what repeats do (RFC 3261 section 17, RFC 6026, RFC 4320)."""

from __future__ import annotations

import pytest

from provisioner.sip.message import Response
from provisioner.sip.session import Ended, Failed
from tests.sip.lone import ANSWER, ME, OFFER, YOU, Lone, answer, request

DOUBLING = [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
CAPPED = [0, 0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]


def options(lone: Lone) -> list[Response | None]:
    heard: list[Response | None] = []
    message = lone.agent.new_request("OPTIONS", "sip:bob@10.0.0.2", ME, YOU, [])
    lone.agent.request(message, lone.flow, heard.append)
    return heard


# client


@pytest.mark.parametrize(("reliable", "instants"), [(False, DOUBLING), (True, [0])])
def test_timers_a_and_b(reliable: bool, instants: list[float]) -> None:
    lone = Lone(reliable)
    lone.call()
    lone.run_until(31.9)
    assert lone.party.events == []
    lone.run_until(32)
    assert lone.instants("INVITE") == instants
    assert lone.party.events == [Failed(408, "No answer")]
    assert lone.idle()


def test_timer_a_stops_at_a_provisional() -> None:
    lone = Lone()
    lone.call()
    lone.run_until(1)
    lone.hear(answer(lone.last(), 100, ""))
    lone.run_until(40)
    assert lone.instants("INVITE") == [0, 0.5]
    assert lone.party.events == []


def test_timer_c_restarts_at_each_provisional_but_100() -> None:
    lone = Lone()
    lone.call()
    invite = lone.last()
    for when, status in ((1, 180), (100, 183), (200, 100)):
        lone.run_until(when)
        lone.hear(answer(invite, status))
    lone.run_until(280.9)
    assert lone.instants("CANCEL") == []
    lone.run_until(281)
    assert lone.instants("CANCEL") == [281]
    assert lone.party.events[-1] == Failed(408, "No answer")
    lone.hear(answer(lone.last("CANCEL"), 200))
    lone.hear(answer(invite, 487))
    lone.run_until(320)
    assert lone.party.kinds() == ["Progress", "Progress", "Failed"]
    assert lone.idle()


@pytest.mark.parametrize(("reliable", "acks"), [(False, [1, 32.9]), (True, [1])])
def test_timer_d_acknowledges_each_repeat(reliable: bool, acks: list[float]) -> None:
    lone = Lone(reliable)
    lone.call()
    busy = answer(lone.last(), 486)
    for when in (1, 32.9, 33.1):
        lone.run_until(when)
        lone.hear(busy)
    assert lone.instants("ACK") == acks
    assert [event.status for event in lone.party.events] == [486]
    assert lone.idle()


def test_t05_ack_of_a_refusal_is_built_by_the_transaction() -> None:
    lone = Lone()
    lone.call(headers=[("route", "<sip:10.0.0.2;lr>")])
    invite = lone.last()
    lone.hear(answer(invite, 486))
    ack = lone.last("ACK")
    assert ack.uri == invite.uri
    assert ack.all("via") == invite.all("via")
    assert ack.cseq == (1, "ACK")
    assert ack.get("to").endswith(";tag=far")
    assert ack.all("route") == ["<sip:10.0.0.2;lr>"]


@pytest.mark.parametrize(
    ("reliable", "provisional", "instants"),
    [
        (False, False, CAPPED),
        (False, True, [0, 0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]),
        (True, True, [0]),
    ],
)
def test_timers_e_and_f(reliable: bool, provisional: bool, instants: list[float]) -> None:
    lone = Lone(reliable)
    heard = options(lone)
    if provisional:
        lone.hear(answer(lone.last(), 100, ""))
    lone.run_until(31.9)
    assert None not in heard
    lone.run_until(32)
    assert lone.instants("OPTIONS") == instants
    assert heard[-1] is None
    assert lone.idle()


@pytest.mark.parametrize(("reliable", "kept"), [(False, True), (True, False)])
def test_timer_k_absorbs_repeated_answers(reliable: bool, kept: bool) -> None:
    lone = Lone(reliable)
    heard = options(lone)
    ok = answer(lone.last(), 200)
    lone.hear(ok)
    lone.run_until(4.9)
    assert bool(lone.agent.transactions.clients) is kept
    lone.hear(ok)
    lone.run_until(5)
    assert [response.status for response in heard] == [200]
    assert lone.idle()


def test_timer_m_late_2xx_of_another_fork() -> None:
    """T04, RFC 6026 7.2: taken for 64*T1, acknowledged and released; after that it is a stray."""
    lone = Lone()
    session = lone.call()
    invite = lone.last()
    lone.hear(answer(invite, 200, "one", ANSWER))
    lone.run_until(31.9)
    lone.hear(answer(invite, 200, "two", ANSWER))
    bye = lone.last("BYE")
    assert (bye.get("to").rpartition("=")[2], bye.cseq) == ("two", (2, "BYE"))
    lone.run_until(32.1)
    count = len(lone.sent)
    lone.hear(answer(invite, 200, "three", ANSWER))
    assert len(lone.sent) == count
    assert session.state == "up"


@pytest.mark.parametrize("reliable", [False, True])
def test_t03_each_repeated_2xx_gets_the_same_ack(reliable: bool) -> None:
    lone = Lone(reliable)
    lone.call()
    ok = answer(lone.last(), 200, "far", ANSWER)
    lone.hear(ok)
    lone.hear(ok)
    acks = [data for _, data in lone.sent if data.startswith(b"ACK")]
    assert len(acks) == 2
    assert len(set(acks)) == 1
    assert lone.party.kinds() == ["Answered"]


@pytest.mark.parametrize(
    ("change", "taken"),
    [
        (("branch=", "branch=x"), False),
        (("CSeq: 1 OPTIONS", "CSeq: 1 INVITE"), False),
        (("CSeq: 1 OPTIONS", "CSeq: 7 OPTIONS"), True),
        (("10.0.0.1", "10.9.9.9"), True),
    ],
)
def test_t01_client_matches_by_branch_and_method(change: tuple[str, str], taken: bool) -> None:
    lone = Lone()
    heard = options(lone)
    lone.hear(answer(lone.last(), 200).encode().replace(*(part.encode() for part in change)))
    assert bool(heard) is taken


# server


@pytest.mark.parametrize(("reliable", "instants"), [(False, CAPPED), (True, [0])])
def test_timers_g_and_h(reliable: bool, instants: list[float]) -> None:
    lone = Lone(reliable)
    lone.party.on_call = lambda session: session.reject(486)
    lone.hear(request("INVITE", body=OFFER))
    lone.run_until(31.9)
    assert lone.agent.transactions.servers
    lone.run_until(32)
    assert lone.instants("SIP/2.0 486") == instants
    assert lone.idle()


@pytest.mark.parametrize(("reliable", "end"), [(False, 6), (True, 1)])
def test_timer_i_absorbs_repeated_acks(reliable: bool, end: float) -> None:
    lone = Lone(reliable)
    lone.party.on_call = lambda session: session.reject(486)
    lone.hear(request("INVITE", body=OFFER))
    lone.run_until(1)
    tag = lone.last("SIP/2.0 486").get("to").rpartition("=")[2]
    lone.hear(request("ACK", to_tag=tag))
    lone.run_until(end - 0.1)
    assert bool(lone.agent.transactions.servers) is not reliable
    if not reliable:
        lone.hear(request("ACK", to_tag=tag))
        lone.hear(request("INVITE", body=OFFER))  # a stray repeat behind the ACK
    lone.run_until(end)
    assert lone.instants("SIP/2.0 486") == ([0] if reliable else [0, 0.5])
    assert len(lone.party.sessions) == 1
    assert lone.idle()


@pytest.mark.parametrize(("reliable", "last"), [(False, 32), (True, 0)])
def test_timer_j_repeats_the_answer(reliable: bool, last: float) -> None:
    lone = Lone(reliable)
    lone.hear(request("OPTIONS"))
    if not reliable:
        for when in (1, 31.9):
            lone.run_until(when)
            lone.hear(request("OPTIONS"))
        assert len({data for _, data in lone.sent}) == 1
        assert lone.instants("SIP/2.0 200") == [0, 1, 31.9]
    lone.run_until(last)
    assert len(lone.party.requests) == 1
    assert lone.idle()


def test_timer_l_absorbs_invite_repeats() -> None:
    """T04, RFC 6026 7.1; the 2xx itself is repeated by the session alone."""
    lone = Lone()
    lone.party.on_call = lambda session: session.accept(ANSWER)
    lone.hear(request("INVITE", body=OFFER))
    tag = lone.party.sessions[0].dialog.local.tag
    lone.run_until(1)
    lone.hear(request("ACK", branch="z9hG4bKb2", to_tag=tag))
    lone.run_until(31.9)
    lone.hear(request("INVITE", body=OFFER))
    assert lone.instants("SIP/2.0") == [0, 0, 0.5]
    lone.run_until(32)
    assert not lone.agent.transactions.servers
    assert len(lone.party.sessions) == 1


@pytest.mark.parametrize("reliable", [False, True])
def test_t03_2xx_is_repeated_on_every_transport_then_bye(reliable: bool) -> None:
    lone = Lone(reliable)
    lone.party.on_call = lambda session: session.accept(ANSWER)
    lone.hear(request("INVITE", body=OFFER))
    lone.run_until(32)
    assert lone.instants("SIP/2.0 200") == CAPPED
    assert lone.instants("BYE")[0] == 32
    assert lone.party.events == [Ended("timeout")]
    lone.hear(answer(lone.last("BYE"), 481))
    lone.run_until(40)
    assert lone.idle()


def test_t02_100_at_once_and_the_last_provisional_again() -> None:
    lone = Lone()
    lone.hear(request("INVITE", body=OFFER))
    assert lone.lines() == ["SIP/2.0 100 Trying"]
    lone.party.sessions[0].progress(180)
    lone.hear(request("INVITE", body=OFFER))
    assert lone.lines()[1:] == ["SIP/2.0 180 Ringing"] * 2
    assert len(lone.party.sessions) == 1


def test_t07_no_late_and_no_408_answer_to_a_non_invite() -> None:
    """RFC 4320 4.1, 4.2; such a transaction ends of itself."""
    lone = Lone()
    lone.party.on_request = None
    held: list = []
    lone.party.agent.application = type("Silent", (), {"on_request": lambda self, t: held.append(t)})()
    lone.hear(request("OPTIONS"))
    held[0].reply(408)
    lone.run_until(31.9)
    lone.hear(request("OPTIONS"))
    assert len(held) == 1
    lone.run_until(32)
    held[0].reply(200)
    assert lone.sent == []
    assert lone.idle()


OLD = {"branch": "1"}


def test_t01_server_without_the_magic_cookie() -> None:
    """17.2.3, the rules of RFC 2543: a repeat matches, another CSeq, tag or Via does not."""
    lone = Lone()
    lone.party.on_call = lambda session: session.reject(486)
    lone.hear(request("INVITE", body=OFFER, **OLD))
    lone.hear(request("INVITE", body=OFFER, **OLD))
    assert len(lone.party.sessions) == 1
    lone.hear(request("ACK", to_tag=lone.last().get("to").rpartition("=")[2], **OLD))
    assert next(iter(lone.agent.transactions.servers.values())).state == "confirmed"
    for other in ({"seq": 2}, {"from_tag": "x"}, {"transport": "TCP"}):
        lone.hear(request("INVITE", body=OFFER, **OLD, **other))
    assert len(lone.party.sessions) == 4


def test_t01_same_branch_from_another_sent_by_is_another_transaction() -> None:
    lone = Lone()
    lone.hear(request("OPTIONS"))
    lone.hear(request("OPTIONS").replace(b"10.0.0.2:5060;branch", b"10.0.0.3:5060;branch"))
    assert len(lone.party.requests) == 2


def test_t08_the_top_via_says_where_it_came_from_and_keeps_the_rest() -> None:
    lone = Lone()
    odd = "z9hG4bK@x/1=;rport;x=y:z/w"
    lone.hear(request("OPTIONS", branch=odd).replace(b"Via: ", b'Via: SIP/2.0/UDP h;branch="q" , ', 1))
    lone.hear(request("OPTIONS", branch=odd))
    first, second = (parse_via(data) for _, data in lone.sent)
    assert (
        first
        == 'SIP/2.0/UDP h;branch="q";received=10.0.0.2, SIP/2.0/UDP 10.0.0.2:5060;branch=' + odd + ";rport"
    )
    assert second == (
        "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK@x/1=;rport=5060;x=y:z/w;rport;received=10.0.0.2"
    )


def parse_via(data: bytes) -> str:
    line = next(line for line in data.split(b"\r\n") if line.startswith(b"Via"))
    return line.decode().partition(": ")[2]


def test_a_second_final_response_is_dropped() -> None:
    lone = Lone()
    lone.hear(request("OPTIONS"))
    lone.party.requests[0].reply(500)
    assert lone.lines() == ["SIP/2.0 200 OK"]


def test_a_provisional_after_a_2xx_is_dropped() -> None:
    lone = Lone()
    lone.party.on_call = lambda session: session.accept(ANSWER)
    lone.hear(request("INVITE", body=OFFER))
    invite = lone.party.sessions[0].incoming
    invite.reply(183)
    assert invite.state == "accepted"
    assert lone.instants("SIP/2.0 183") == []


def test_what_the_application_cannot_read_is_refused_by_its_transaction() -> None:
    """Else it would stay in proceeding for ever."""
    lone = Lone()
    lone.party.on_call = lambda session: session.accept(ANSWER)
    lone.hear(
        request("INVITE", body=OFFER).replace(b"Contact: <sip:bob@10.0.0.2:5060>", b"Contact: <nonsense")
    )
    assert lone.lines() == ["SIP/2.0 100 Trying", "SIP/2.0 400 Bad address"]
    lone.run_until(40)
    assert lone.idle()


def test_transport_failure_ends_the_clients_of_that_flow_only() -> None:
    lone = Lone(reliable=True)
    lone.call()
    heard = options(lone)
    lone.agent.transactions.transport_failed(lone.party.connect("TCP", ("10.0.0.9", 5060)))
    assert (lone.party.events, heard) == ([], [])
    lone.agent.transactions.transport_failed(lone.flow)
    assert (lone.party.events, heard) == ([Failed(503, "Not delivered")], [None])
    assert lone.idle()
