"""Forks, loops and copies: several answers to one INVITE, one INVITE by several ways."""

from __future__ import annotations

import pytest

from provisioner.sip.message import Request, Response
from provisioner.sip.outgoing import MAX_FORKS
from provisioner.sip.sdp import MediaSession
from provisioner.sip.session import Answered, Progress
from tests.sip.lone import ANSWER, ME, OFFER, PEER, US, YOU, Lone, answer, request

OTHER = MediaSession(PEER[0], 4100, 1).answer(MediaSession(US[0], 5000, 1).offer())
RELIABLE = (("require", "100rel"), ("rseq", "1"))


def test_d05_each_fork_has_its_own_dialog_and_numbers() -> None:
    lone = Lone()
    session = lone.call()
    for tag in ("one", "two"):
        lone.hear(answer(session.invite, 183, tag, ANSWER, *RELIABLE))
        lone.hear(answer(session.invite, 180, tag, b"", ("require", "100rel"), ("rseq", "2")))
    pracks = [data for _, data in lone.sent if data.startswith(b"PRACK")]
    assert [(b"tag=one" in data, b"RAck: 2" in data) for data in pracks] == [
        (True, False), (True, True), (False, False), (False, True),
    ]  # fmt: skip
    assert len(lone.agent.sessions) == 2


def test_d05_the_first_2xx_wins_with_what_its_own_fork_said() -> None:
    lone = Lone()
    session = lone.call()
    lone.hear(answer(session.invite, 183, "one", ANSWER))
    lone.hear(answer(session.invite, 183, "two", OTHER))
    assert [event.sdp for event in lone.party.events] == [ANSWER, OTHER]  # the last one that speaks is heard
    lone.hear(answer(session.invite, 200, "one"))
    assert lone.party.events[-1].sdp == ANSWER
    assert session.dialog.remote.tag == "one"
    lone.hear(answer(session.invite, 200, "two", OTHER))
    bye = lone.last("BYE")
    assert bye.get("to").endswith("tag=two")
    assert [type(event) for event in lone.party.events] == [Progress, Progress, Answered]
    assert list(lone.agent.sessions.values()) == [session]


def test_d05_the_bye_of_a_late_fork_counts_on_from_its_prack() -> None:
    lone = Lone()
    session = lone.call()
    lone.hear(answer(session.invite, 183, "two", ANSWER, *RELIABLE))
    lone.hear(answer(session.invite, 200, "one", ANSWER))
    lone.hear(answer(session.invite, 200, "two"))
    assert lone.last("BYE").cseq == (3, "BYE")


def test_h09_only_some_forks_are_kept() -> None:
    lone = Lone()
    session = lone.call()
    for number in range(MAX_FORKS + 5):
        lone.hear(answer(session.invite, 180, f"t{number}"))
    assert len(lone.agent.sessions) == MAX_FORKS
    assert len(lone.party.events) == MAX_FORKS + 5
    lone.hear(answer(session.invite, 200, f"t{MAX_FORKS + 4}", ANSWER))
    assert session.state == "up"


def test_d11_199_is_ignored() -> None:
    lone = Lone()
    session = lone.call()
    lone.hear(answer(session.invite, 180, "one"))
    lone.hear(answer(session.invite, 199, "one"))
    assert [event.status for event in lone.party.events] == [180]
    assert session.state == "calling"


def test_n08_a_1xx_without_a_tag_is_heard() -> None:
    lone = Lone()
    session = lone.call()
    lone.hear(answer(session.invite, 183, "", ANSWER))
    assert lone.party.events[0].sdp == ANSWER
    assert lone.agent.sessions == {}


# copies and loops


def test_t13_the_same_invite_by_another_way_is_482() -> None:
    lone = Lone()
    lone.hear(request("INVITE", body=OFFER))
    lone.hear(request("INVITE", body=OFFER, branch="z9hG4bKother"))
    assert lone.lines()[-1] == "SIP/2.0 482 Loop Detected"
    assert len(lone.party.sessions) == 1
    lone.hear(request("INVITE", body=OFFER, branch="z9hG4bKnext", seq=2))
    assert len(lone.party.sessions) == 2


def test_t13_a_register_that_repeats_itself_is_no_loop() -> None:
    lone = Lone()
    lone.hear(request("REGISTER"))
    lone.hear(request("REGISTER", branch="z9hG4bKother"))
    assert lone.lines() == ["SIP/2.0 200 OK"] * 2


def test_t13_once_settled_the_same_numbers_are_a_new_request() -> None:
    lone = Lone()
    lone.hear(request("OPTIONS"))
    lone.hear(request("OPTIONS", branch="z9hG4bKother"))
    assert lone.lines() == ["SIP/2.0 200 OK"] * 2
    lone.run_until(80)
    assert lone.idle()
    assert lone.agent.transactions._first == {}


def test_t13_what_went_round_is_known_again() -> None:
    lone = Lone()
    here, there = lone.agent.trail("phone 101"), lone.agent.trail("core 101")
    assert here != there
    session = lone.agent.invite("sip:bob@10.0.0.2", lone.flow, ME, YOU, OFFER, lone.party.listen, trail=here)
    assert lone.agent.looped(session.invite, here)
    assert not lone.agent.looped(session.invite, there)  # a spiral: it comes to another place
    assert not Lone().agent.looped(session.invite, "")
    session.hangup()


@pytest.mark.parametrize("hops", ["0", "00"])
def test_t13_an_exempt_call_has_no_last_hop(hops: str) -> None:
    lone = Lone()
    lone.agent.exempt = lambda request: request.method == "INVITE"
    lone.hear(request("INVITE", f"Max-Forwards: {hops}", body=OFFER))
    assert len(lone.party.sessions) == 1
    lone.hear(request("MESSAGE", f"Max-Forwards: {hops}", branch="z9hG4bKm", seq=2))
    assert lone.lines()[-1] == "SIP/2.0 483 Too Many Hops"


def test_max_forwards_of_a_new_request_may_be_given() -> None:
    lone = Lone()
    headers = [("max-forwards", "12")]
    request = lone.agent.new_request("OPTIONS", "sip:10.0.0.2", ME, YOU, headers)
    assert isinstance(request, Request)
    assert request.all("max-forwards") == ["12"]
    assert isinstance(request.response(200), Response)
