"""Session timers (RFC 4028) with either side as the refresher, in virtual time."""

from __future__ import annotations

import pytest

from provisioner.sip.message import Request
from provisioner.sip.session import Confirmed, Ended, Failed, Session
from provisioner.sip.transaction import ServerTransaction
from tests.sip.lone import ANSWER, OFFER, Lone, answer, request
from tests.sip.pair import Wire
from tests.sip.test_session import A, B, call, left

TIMER = "Supported: timer"


def called(lone: Lone, *lines: str) -> tuple[Session, str]:
    """A call that we took, with its ACK."""
    lone.party.on_call = lambda session: session.accept(ANSWER)
    lone.hear(request("INVITE", *lines, body=OFFER))
    session = lone.party.sessions[-1]
    tag = session.dialog.local.tag
    lone.hear(request("ACK", branch="z9hG4bKack", to_tag=tag))
    lone.party.events.clear()
    return session, tag


def dialled(lone: Lone, *lines: tuple[str, str]) -> Session:
    session = lone.call()
    lone.hear(answer(session.invite, 200, "far", ANSWER, *lines))
    lone.party.events.clear()
    return session


def refreshes(lone: Lone, method: str = "UPDATE") -> list[float]:
    return [when for when in lone.instants(method) if when]


# as UAS: table 2


@pytest.mark.parametrize(
    ("lines", "value", "require"),
    [
        ((), "", ""),
        (("Session-Expires: 600",), "600;refresher=uas", ""),
        ((TIMER,), "1800;refresher=uas", "timer"),
        ((TIMER, "Session-Expires: 600"), "600;refresher=uac", "timer"),
        ((TIMER, "x: 600;refresher=uac"), "600;refresher=uac", "timer"),
        ((TIMER, "Session-Expires: 600 ; refresher=uas"), "600;refresher=uas", "timer"),
        ((TIMER, "Min-SE: 3600"), "3600;refresher=uas", "timer"),
        ((TIMER, "Session-Expires: soon"), "1800;refresher=uas", "timer"),
        (("Session-Expires: 60",), "60;refresher=uas", ""),  # no 422 for who could do nothing with it
    ],
)
def test_p03_what_our_2xx_says(lines: tuple[str, ...], value: str, require: str) -> None:
    lone = Lone()
    called(lone, *lines)
    final = lone.last("SIP/2.0 200")
    assert (final.get("session-expires"), final.get("require")) == (value, require)


def test_p03_too_short_an_interval_is_422_with_min_se() -> None:
    lone = Lone()
    lone.hear(request("INVITE", TIMER, "Session-Expires: 89", body=OFFER))
    assert lone.lines()[-1] == "SIP/2.0 422 Session Interval Too Small"
    assert b"Min-SE: 90\r\n" in lone.sent[-1][1]
    assert lone.party.sessions == []


def test_p03_an_exempt_call_is_never_422() -> None:
    lone = Lone()
    lone.agent.exempt = lambda request: True
    called(lone, TIMER, "Session-Expires: 60")
    assert lone.last("SIP/2.0 200").get("session-expires") == "60;refresher=uac"


@pytest.mark.parametrize("method", ["UPDATE", "INVITE"])
def test_p03_too_short_a_refresh_is_422(method: str) -> None:
    lone = Lone()
    _, tag = called(lone, TIMER, "Session-Expires: 600")
    lone.hear(request(method, TIMER, "Session-Expires: 30", branch="z9hG4bKu", seq=2, to_tag=tag))
    assert lone.last().get("min-se") == "90"


@pytest.mark.parametrize(("seconds", "end"), [(600, 568), (90, 60)])
def test_p03_bye_before_expiry_when_nobody_refreshes(seconds: int, end: float) -> None:
    lone = Lone()
    called(lone, TIMER, f"Session-Expires: {seconds};refresher=uac")
    lone.run_until(end - 0.1)
    assert lone.party.events == []
    lone.run_until(end)
    assert lone.party.events == [Ended("timeout")]
    assert lone.instants("BYE") == [end]


def test_p03_a_refresh_of_the_peer_begins_the_interval_anew() -> None:
    lone = Lone()
    _, tag = called(lone, TIMER, "Session-Expires: 600;refresher=uac", "Allow: UPDATE")
    lone.run_until(300)
    refresh = ("Session-Expires: 600;refresher=uac", TIMER)
    lone.hear(request("UPDATE", *refresh, branch="z9hG4bKu", seq=2, to_tag=tag))
    assert lone.last().get("session-expires") == "600;refresher=uac"
    lone.run_until(867.9)
    assert lone.party.events == []
    lone.run_until(868)
    assert lone.party.events == [Ended("timeout")]


# as refresher


def test_p03_refresh_at_half_by_update_where_it_is_allowed() -> None:
    lone = Lone()
    session, _ = called(lone, TIMER, "Session-Expires: 600;refresher=uas", "Allow: INVITE, UPDATE")
    lone.run_until(300)
    assert lone.instants("UPDATE") == [300]
    update = lone.last("UPDATE")
    assert update.get("session-expires") == "600;refresher=uac"
    assert update.body == b""
    lone.hear(answer(update, 200, "far", b"", ("session-expires", "600;refresher=uac")))
    lone.run_until(600)
    assert lone.instants("UPDATE") == [300, 600]
    assert session.state == "up"


def test_p03_refresh_by_re_invite_with_the_same_sdp_where_update_is_not_known() -> None:
    lone = Lone()
    session, _ = called(lone, TIMER, "Session-Expires: 600;refresher=uas")
    lone.run_until(300)
    invite = lone.last("INVITE")
    assert invite.body == ANSWER
    lone.hear(answer(invite, 200, "far", OFFER, ("session-expires", "600;refresher=uac")))
    assert lone.last("ACK").cseq == (invite.cseq[0], "ACK")
    assert lone.party.events == [Confirmed(OFFER)]
    assert session.state == "up"


def test_p03_a_phone_without_timer_is_refreshed_by_us_alone() -> None:
    lone = Lone()
    session = dialled(lone, ("allow", "INVITE, UPDATE"))
    assert session.invite.get("session-expires") == "1800"
    lone.run_until(900)
    update = lone.last("UPDATE")
    assert update.get("session-expires") == "1800;refresher=uac"
    assert update.get("require") == ""
    lone.hear(answer(update, 200))
    lone.run_until(1800)
    assert refreshes(lone) == [900, 1800]


def test_p03_a_caller_without_timer_is_refreshed_by_us_alone() -> None:
    lone = Lone()
    called(lone, "Allow: UPDATE")
    lone.run_until(900)
    assert refreshes(lone) == [900]


def test_p03_the_peer_may_do_it() -> None:
    lone = Lone()
    dialled(lone, ("session-expires", "1000;refresher=uas"), ("require", "timer"))
    lone.run_until(967)
    assert (refreshes(lone), refreshes(lone, "INVITE")) == ([], [])
    lone.run_until(968)
    assert lone.party.events == [Ended("timeout")]


@pytest.mark.parametrize("status", [408, 481, None])
def test_p03_a_refresh_that_finds_nobody_ends_the_call(status: int | None) -> None:
    lone = Lone()
    session = dialled(lone, ("allow", "UPDATE"))
    lone.run_until(900)
    if status:
        lone.hear(answer(lone.last("UPDATE"), status))
    lone.run_until(932)
    assert lone.party.events == [Ended("timeout")]
    assert session.state == "over"
    assert len([line for line in lone.lines() if line.startswith("BYE")]) >= 1


def test_p03_a_refresh_that_is_refused_leaves_the_call_until_it_expires() -> None:
    lone = Lone()
    dialled(lone, ("allow", "UPDATE"))
    for when in range(900, 1768, 5):  # it is asked for again every five seconds
        lone.run_until(when)
        lone.hear(answer(lone.last("UPDATE"), 500))
    assert len(lone.instants("UPDATE")) == 174
    lone.run_until(1767.9)
    assert lone.party.events == []
    lone.run_until(1768)
    assert lone.party.events == [Ended("timeout")]


def test_p03_422_is_tried_again_with_the_interval_it_wants() -> None:
    lone = Lone()
    session = lone.call()
    first = session.invite
    lone.hear(answer(first, 422, "far", b"", ("min-se", "3600")))
    second = lone.last("INVITE")
    assert (second.get("session-expires"), second.get("min-se")) == ("3600", "3600")
    assert (second.call_id, second.cseq, second.get("from")) == (
        first.call_id,
        (2, "INVITE"),
        first.get("from"),
    )
    assert lone.party.events == []
    lone.hear(answer(second, 200, "far", ANSWER))
    lone.run_until(1800)
    assert lone.last("INVITE").get("min-se") == "3600"


@pytest.mark.parametrize("least", ["", "60", "1800", "x"])
def test_p03_422_that_says_nothing_new_is_a_refusal(least: str) -> None:
    lone = Lone()
    session = lone.call()
    lone.hear(answer(session.invite, 422, "far", b"", ("min-se", least)))
    assert [type(event) for event in lone.party.events] == [Failed]


def test_p03_422_after_we_gave_up_is_the_end() -> None:
    lone = Lone()
    session = lone.call()
    lone.hear(answer(session.invite, 180))
    session.hangup()
    lone.hear(answer(session.invite, 422, "far", b"", ("min-se", "3600")))
    assert len([line for line in lone.lines() if line.startswith("INVITE")]) == 1
    lone.run_until(100)
    assert lone.idle()


def test_p03_422_to_a_refresh() -> None:
    lone = Lone()
    dialled(lone, ("allow", "UPDATE"))
    lone.run_until(900)
    lone.hear(answer(lone.last("UPDATE"), 422, "far", b"", ("min-se", "4000")))
    assert refreshes(lone) == [900, 900]
    assert lone.last("UPDATE").get("session-expires") == "4000;refresher=uac"


def test_p03_switched_off_in_the_middle() -> None:
    lone = Lone()
    lone.agent.session_expires = 0
    session = lone.call()
    assert session.invite.get("session-expires") == ""
    lone.hear(
        answer(
            session.invite, 200, "far", ANSWER, ("session-expires", "600;refresher=uac"), ("allow", "UPDATE")
        )
    )
    session.timer.interval = 0
    lone.run_until(300)
    lone.hear(answer(lone.last("UPDATE"), 200))
    assert lone.party.timers.pending() <= 2  # what is left is of transactions, not of the session
    lone.run_until(5000)
    assert refreshes(lone) == [300]


def test_p03_nobody_wants_one() -> None:
    lone = Lone()
    lone.agent.session_expires = 0
    session, _ = called(lone, TIMER)
    assert lone.last("SIP/2.0 200").get("session-expires") == ""
    lone.run_until(5000)
    assert session.state == "up"
    assert lone.party.timers.pending() == 0


def test_e01_an_unlimited_call_is_never_ended_by_us() -> None:
    lone = Lone()
    session = lone.call(unlimited=True)
    assert session.invite.get("session-expires") == ""
    lone.hear(answer(session.invite, 200, "far", ANSWER, ("session-expires", "90;refresher=uas")))
    lone.run_until(5000)
    assert session.state == "up"
    assert lone.instants("BYE") == []


@pytest.mark.parametrize("seconds", [90, 1800])
def test_p03_two_of_us_keep_a_call_for_a_day(seconds: int) -> None:
    wire = Wire()
    for party in (wire.a, wire.b):
        party.agent.session_expires = seconds
    wire.b.on_call = lambda session: session.accept(wire.b.media.answer(session.invite.body))
    flow = wire.a.connect("UDP", wire.b.address)
    session = wire.a.agent.invite("sip:bob@10.0.0.2", flow, A, B, wire.a.media.offer(), wire.a.listen)
    wire.pass_time(86400)
    assert session.state == wire.b.sessions[0].state == "up"
    updates = [line for line in wire.starts() if line.startswith("UPDATE")]
    assert len(updates) == 86400 * 2 // seconds
    session.hangup()
    wire.pass_time(40)
    assert not any(left(wire))


def test_m05_the_timer_may_be_required() -> None:
    lone = Lone()
    called(lone, TIMER, "Require: timer", "Session-Expires: 600")
    assert isinstance(lone.party.sessions[0].invite, Request)


def test_a_refresh_that_is_refused_is_tried_again_before_the_end() -> None:
    wire = Wire()
    wire.b.on_call = lambda session: session.accept(wire.b.media.answer(session.offer))
    session = call(wire)
    wire.run()
    refused: list[str] = []

    def answer(transaction: ServerTransaction) -> None:
        refused.append(transaction.request.method)
        transaction.reply(500)

    there = wire.b.sessions[0]
    usual, there._on_offer = there._on_offer, answer  # type: ignore[method-assign]
    wire.pass_time(session.timer.interval / 2 + 1)
    there._on_offer = usual  # type: ignore[method-assign]
    wire.pass_time(session.timer.interval)
    assert (refused, session.state) == (["UPDATE"], "up")
