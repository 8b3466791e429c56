"""Calls between two agents in virtual time: answer, refusal, cancel, loss, hold."""

from __future__ import annotations

import pytest

from provisioner.sip.headers import NameAddr, Uri
from provisioner.sip.session import Answered, Ended, Failed, Offered, Progress, Session
from tests.sip.pair import Party, Wire

A = NameAddr(Uri("sip", "10.0.0.1", user="alice"))
B = NameAddr(Uri("sip", "10.0.0.2", user="bob"))


def call(wire: Wire) -> Session:
    flow = wire.a.connect(wire.a.transport, wire.b.address)
    return wire.a.agent.invite("sip:bob@10.0.0.2", flow, A, B, wire.a.media.offer(), wire.a.listen)


def answer(party: Party, session: Session) -> None:
    session.accept(party.media.answer(session.invite.body))


def left(wire: Wire) -> tuple[int, ...]:
    parties = (wire.a, wire.b)
    tables = [table for p in parties for table in (p.agent.sessions, *_tables(p))]
    return (*(len(table) for table in tables), *(p.timers.pending() for p in parties))


def _tables(party: Party) -> tuple[dict, dict]:
    return party.agent.transactions.clients, party.agent.transactions.servers


@pytest.mark.parametrize("reliable", [False, True])
def test_answered_call_ends_with_nothing_left(reliable: bool) -> None:
    wire = Wire(reliable)
    wire.b.on_call = lambda session: (session.progress(180), answer(wire.b, session))
    session = call(wire)
    wire.run()
    assert wire.a.kinds() == ["Progress", "Answered"]
    assert wire.b.kinds() == ["Confirmed"]
    assert wire.a.media.accept(wire.a.events[1].sdp).remote == ("10.0.0.2", 4000)
    session.hangup()
    wire.run()
    assert wire.b.events[-1] == Ended("bye")
    wire.pass_time(40)
    assert not any(left(wire))


def test_callee_hangs_up() -> None:
    wire = Wire()
    wire.b.on_call = lambda session: answer(wire.b, session)
    call(wire)
    wire.run()
    wire.b.sessions[0].hangup(reason='SIP;cause=200;text="done"')
    wire.run()
    assert wire.a.events[-1] == Ended("bye", 'SIP;cause=200;text="done"')


def test_refused_call_is_acknowledged() -> None:
    wire = Wire()
    wire.b.on_call = lambda session: session.reject(486)
    call(wire)
    wire.run()
    assert isinstance(wire.a.events[-1], Failed)
    assert wire.a.events[-1].status == 486
    assert wire.starts()[-1].startswith("ACK")
    wire.pass_time(40)
    assert not any(left(wire))


def test_t06_cancel_waits_for_a_provisional() -> None:
    wire = Wire()
    session = call(wire)
    session.hangup()
    assert [line.split()[0] for line in wire.starts()] == ["INVITE"]
    wire.run()
    lines = wire.starts()
    assert any(line.startswith("CANCEL") for line in lines)
    assert any("487" in line for line in lines)
    assert wire.a.events == []
    assert wire.b.events == [Ended("cancelled")]
    wire.pass_time(40)
    assert not any(left(wire))


def test_t06_cancel_crossing_200_ends_with_bye() -> None:
    wire = Wire()
    wire.b.on_call = lambda session: session.progress(180)
    session = call(wire)
    wire.run()
    answer(wire.b, wire.b.sessions[0])
    session.hangup()
    wire.run()
    assert wire.b.events[-1] == Ended("bye")
    wire.pass_time(40)
    assert not any(left(wire))


@pytest.mark.parametrize("lost", range(1, 7))
def test_a_lost_message_changes_nothing(lost: int) -> None:
    """Messages 1 to 6: INVITE, 100, 180, 200, ACK, and what follows."""
    wire = Wire()
    wire.lose = lambda number, data: number == lost
    wire.b.on_call = lambda session: (session.progress(180), answer(wire.b, session))
    session = call(wire)
    wire.pass_time(5)
    assert [event for event in wire.a.events if isinstance(event, Answered)]
    assert len(wire.b.sessions) == 1
    assert wire.b.kinds().count("Confirmed") == 1
    session.hangup()
    wire.pass_time(40)
    assert not any(left(wire))


def test_nobody_answers_timer_b() -> None:
    wire = Wire()
    wire.lose = lambda number, data: True
    call(wire)
    wire.pass_time(31.9)
    assert wire.a.events == []
    wire.pass_time(0.2)
    assert wire.a.events == [Failed(408, "No answer")]
    assert len(wire.log) == 7  # timer A: 0, .5, 1.5, 3.5, 7.5, 15.5, 31.5
    assert not any(left(wire))


def test_2xx_without_ack_ends_with_bye() -> None:
    wire = Wire()
    wire.b.on_call = lambda session: answer(wire.b, session)
    wire.lose = lambda number, data: data.startswith(b"ACK")
    call(wire)
    wire.pass_time(33)
    assert wire.b.events == [Ended("timeout")]
    assert wire.a.events[-1] == Ended("bye")
    wire.pass_time(40)
    assert not any(left(wire))


def test_late_fork_is_acknowledged_and_released() -> None:
    wire = Wire()
    call(wire)
    wire.run()
    first = wire.b.sessions[0]
    answer(wire.b, first)
    wire.run()
    second = wire.log[-2].replace(first.incoming.tag.encode(), b"otherfork")
    assert second.startswith(b"SIP/2.0 200")
    wire.a.agent.receive(second, wire.a.connect("UDP", wire.b.address))
    assert [line.split()[0] for line in wire.starts()[-2:]] == ["ACK", "BYE"]
    assert wire.a.kinds().count("Answered") == 1


def test_d08_second_offer_while_first_is_open_is_refused() -> None:
    wire = Wire()
    wire.b.on_call = lambda session: answer(wire.b, session)
    session = call(wire)
    wire.run()
    for direction in ("sendonly", "sendrecv"):
        request = session.dialog.request("INVITE")
        request.headers.append(("content-type", "application/sdp"))
        request.body = wire.a.media.offer(direction)
        wire.a.agent.request_in(session.dialog, request)
    wire.run()
    offered = [event for event in wire.b.events if isinstance(event, Offered)]
    assert len(offered) == 1
    assert "500" in wire.starts()[-2]


def test_reinvite_is_answered_and_hold_seen() -> None:
    wire = Wire()
    wire.b.on_call = lambda session: answer(wire.b, session)
    session = call(wire)
    wire.run()
    request = session.dialog.request("INVITE")
    request.headers.append(("content-type", "application/sdp"))
    request.body = wire.a.media.offer("sendonly")
    wire.a.agent.request_in(session.dialog, request)
    wire.run()
    offered = wire.b.events[-1]
    wire.b.sessions[0].answer(offered.transaction, wire.b.media.answer(offered.sdp))
    assert b"a=recvonly" in wire.log[-1]
    assert not wire.b.media.negotiated.send


def test_early_media_is_passed_on() -> None:
    wire = Wire()
    wire.b.on_call = lambda session: session.progress(183, wire.b.media.answer(session.invite.body))
    call(wire)
    wire.run()
    progress = wire.a.events[0]
    assert isinstance(progress, Progress)
    assert progress.status == 183
    assert b"m=audio 4000" in progress.sdp


def test_unknown_dialog_is_481() -> None:
    wire = Wire()
    wire.b.on_call = lambda session: answer(wire.b, session)
    session = call(wire)
    wire.run()
    wire.b.agent.sessions.clear()
    session.hangup()
    wire.run()
    assert "481" in wire.starts()[-1]
