"""The warm transfer by keypad, each row of docs/calls.md: sipp's own captures are the key presses of the desk user.

All plays run at once as far as there are phones, against one appliance; the tests then ask what each party heard.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.peers.capture import Capture, Heard, judge, needs_capture
from tests.peers.stage import CALLER, DESK, TARGET, TRUNK_PORT, Check, Listener, Play, Stage, run

pytestmark = pytest.mark.peer

PAIRS = 6
LONGEST = ("target_never_answers", "nobody_takes_the_call_back")
PLAYS: dict[str, Callable[[Play], Check]] = {}


def play(function: Callable[[Play], Check]) -> Callable[[Play], Check]:
    """A play; it gives back what is to be found in the capture."""
    PLAYS[function.__name__] = function
    return function


def to_menu(p: Play) -> None:
    p.go("desk", "menu")


def to_collecting(p: Play) -> None:
    to_menu(p)
    p.go("desk", "collecting")


def to_dialling(p: Play) -> None:
    to_collecting(p)
    p.go("desk", "dialling")


def to_consulting(p: Play) -> None:
    to_dialling(p)
    p.state("consulting")


def to_completing(p: Play) -> None:
    to_consulting(p)
    p.go("desk", "completing")


# by state: how many keys lead there, the way, and what the target does
WAYS: dict[str, tuple[int, Callable[[Play], None], str]] = {
    "talking": (0, lambda p: None, ""),
    "menu": (1, to_menu, ""),
    "collecting": (2, to_collecting, ""),
    "dialling": (3, to_dialling, "ring"),
    "consulting": (3, to_consulting, "answer"),
    "completing": (4, to_completing, "answer"),
}


def keys(p: Play, count: int = 5) -> list[str]:
    """The desk user's keys for a whole transfer, or its beginning."""
    return ["*", "1", f"{p.target.extension}#", "*", "1"][:count]


@play
def whole(p: Play) -> Check:
    p.begin(keys(p))
    to_completing(p)
    p.go("desk", "joined")
    p.parties["desk"].reached("released").finish()
    p.go("caller")
    p.end(caller="left", target="released")

    def check(heard: Listener) -> None:
        heard.tone("desk", CALLER, "talking")
        heard.tone("caller", DESK, "talking")
        heard.prompt("desk", "menu", "menu")
        heard.prompt("caller", "music", "menu")
        heard.prompt("desk", "dialtone", "collecting")
        heard.tone("desk", TARGET, "consulting")
        heard.tone("target", DESK, "consulting")
        heard.music("caller", "collecting")
        heard.music("caller", "consulting")
        heard.music("caller", "completing")
        heard.prompt("desk", "completing", "completing")
        heard.prompt("target", "music", "completing")
        heard.tone("caller", TARGET, "joined")
        heard.tone("target", CALLER, "joined")
        assert heard.events("caller") == []
        assert heard.events("target") == []

    return check


@play
def to_an_outside_number(p: Play) -> Check:
    p.begin(["*", "1", "6502530000#", "*", "1"], target="")
    to_completing(p)
    p.go("desk", "joined")
    p.parties["desk"].reached("released").finish()
    p.go("caller")
    p.end(caller="left")

    def check(heard: Listener) -> None:
        heard.tone("desk", TARGET, "consulting")
        heard.tone("caller", TARGET, "joined")

    return check


@play
def two_at_the_menu(p: Play) -> Check:
    p.begin(["*", "2"], target="")
    to_menu(p)
    p.go("desk", "talking")
    p.go("caller")
    p.end(caller="left", desk="released")

    def check(heard: Listener) -> None:
        heard.prompt("desk", "menu", "menu")
        heard.tone("desk", CALLER, "talking", 1)
        heard.tone("caller", DESK, "talking", 1)

    return check


@play
def two_at_the_completing_menu(p: Play) -> Check:
    p.begin([*keys(p, 4), "2"])
    to_completing(p)
    p.go("desk", "talking")
    p.parties["target"].reached("released").finish()
    p.go("caller")
    p.end(caller="left", desk="released")

    def check(heard: Listener) -> None:
        heard.prompt("desk", "completing", "completing")
        heard.tone("desk", CALLER, "talking", 1)
        heard.tone("caller", DESK, "talking", 1)

    return check


def refused(targets: dict[str, str]) -> Callable[[Play], Check]:
    """A play of targets that cannot be; `{own}` is the desk phone's own extension."""

    def acted(p: Play) -> Check:
        dialled = [key for target in targets for key in ("1", target.format(own=p.desk.extension) + "#")]
        p.begin(["*", *dialled, "2"], target="")
        to_menu(p)
        for _ in targets:
            p.go("desk", "collecting")
            p.go("desk", "menu")
        p.go("desk", "talking")
        p.go("caller")
        p.end(caller="left", desk="released")

        def check(heard: Listener) -> None:
            for turn, prompt in enumerate(targets.values(), 1):
                heard.prompt("desk", prompt, "menu", turn, 2.5)
            heard.tone("caller", DESK, "talking", 1)

        return check

    return acted


PLAYS["wrong_target"] = refused({"199": "invalid", "{own}": "own-extension", "411": "refused"})
PLAYS["forbidden_target"] = refused(
    {"911": "emergency-target", "988": "crisis-target", "933": "emergency-target"}
)
PLAYS["unclear_target"] = refused({"5551234": "area-code", "01144207946": "not-nanp"})


def back_at_the_menu(p: Play) -> None:
    """The desk user, at the menu again, goes back to the caller, who hangs up."""
    p.go("desk", "talking")
    p.go("caller")
    p.end(caller="left", desk="released")


def target_refuses(status: str, prompt: str) -> Callable[[Play], Check]:
    """The target's phone refuses with `status`, and the desk user hears why."""

    def acted(p: Play) -> Check:
        p.begin([*keys(p, 3), "2"], target=status)
        to_dialling(p)
        p.state("menu")
        p.parties["target"].finish()
        back_at_the_menu(p)
        return lambda heard: heard.prompt("desk", prompt, "menu", 1)

    return acted


PLAYS["target_busy"] = target_refuses("486 Busy Here", "busy-target")
PLAYS["target_declines"] = target_refuses("603 Decline", "busy-target")
PLAYS["target_fails"] = target_refuses("503 Service Unavailable", "unreachable")


@play
def target_without_a_phone(p: Play) -> Check:
    p.begin(["*", "1", "103#", "2"], target="")
    to_collecting(p)
    p.go("desk", "menu")
    back_at_the_menu(p)
    return lambda heard: heard.prompt("desk", "no-answer", "menu", 1)


@play
def target_never_answers(p: Play) -> Check:
    p.begin([*keys(p, 3), "2"], target="ring")
    to_dialling(p)
    p.state("menu", seconds=40)
    p.parties["target"].reached("cancelled").finish()
    back_at_the_menu(p)

    def check(heard: Listener) -> None:
        assert p.at("menu", 1) - p.at("dialling") > 29
        heard.prompt("desk", "ringback", "dialling")
        heard.prompt("caller", "music", "menu")
        heard.prompt("desk", "no-answer", "menu", 1)

    return check


@play
def star_stops_dialling(p: Play) -> Check:
    p.begin([*keys(p, 4), "2"], target="ring")
    to_dialling(p)
    p.go("desk", "menu")
    p.parties["target"].reached("cancelled").finish()
    back_at_the_menu(p)
    return lambda heard: heard.prompt("desk", "menu", "menu", 1)


@play
def target_hangs_up(p: Play) -> Check:
    p.begin([*keys(p, 3), "2"])
    to_consulting(p)
    p.go("target", "menu")
    p.parties["target"].reached("left").finish()
    back_at_the_menu(p)
    return lambda heard: heard.prompt("desk", "menu", "menu", 1)


def caller_hangs_up(state: str) -> Callable[[Play], Check]:
    """The caller hangs up in `state`: the desk user keeps the target, or hears that nobody is there any more."""
    count, way, target = WAYS[state]

    def acted(p: Play) -> Check:
        p.begin(keys(p, count), target, leaves=target == "answer")
        way(p)
        p.go("caller")
        if target == "answer":
            p.state("kept")
            p.parties["caller"].reached("left").finish()
            p.go("desk")
            p.end(desk="left", target="released")
        else:
            p.end(caller="left", desk="released")
        if target == "ring":
            p.parties["target"].reached("cancelled").finish()

        def check(heard: Listener) -> None:
            if target == "answer":
                heard.tone("desk", TARGET, "kept")
                heard.tone("target", DESK, "kept")
            elif state != "talking":
                heard.prompt("desk", "caller-hung-up", state, 0, 15)

        return check

    return acted


def desk_hangs_up(state: str) -> Callable[[Play], Check]:
    """The desk user hangs up in `state`: the caller is rung through to the desk again, or has the target."""
    count, way, target = WAYS[state]
    recalled = state in ("menu", "collecting", "dialling")

    def acted(p: Play) -> Check:
        p.begin(keys(p, count), target, leaves=True, desk_calls=2 if recalled else 1)
        way(p)
        p.go("desk")
        if recalled:
            p.state("recall")
            p.state("talking")
            if target:
                p.parties["target"].reached("cancelled").finish()
            p.go("caller")
            p.end(caller="left", desk="released")
        elif target:
            p.state("joined")
            p.parties["desk"].reached("left").finish()
            p.go("caller")
            p.end(caller="left", target="released")
        else:
            p.end(desk="left", caller="released")

        def check(heard: Listener) -> None:
            if recalled:
                heard.tone("caller", DESK, "talking", 1)
                heard.tone("desk", CALLER, "talking", 1)
            elif target:
                heard.tone("caller", TARGET, "joined")
                heard.tone("target", CALLER, "joined")

        return check

    return acted


@play
def nobody_takes_the_call_back(p: Play) -> Check:
    """The caller of an extension has no ring group to go to: it is released, so that voicemail can follow."""
    p.begin(["*"], target="", leaves=True)
    to_menu(p)
    p.go("desk", "recall")
    p.parties["desk"].reached("left").finish()
    p.ring_desk()
    p.state("ended", seconds=40)
    p.parties["desk"].reached("cancelled").finish()
    p.parties["caller"].reached("released").finish()
    return lambda heard: heard.prompt("caller", "ringback", "recall")


PLAYS |= {f"caller_hangs_up_{state}": caller_hangs_up(state) for state in WAYS}
PLAYS |= {f"desk_hangs_up_{state}": desk_hangs_up(state) for state in WAYS}


class Evening:
    """All plays, played; and the capture of them."""

    def __init__(self, directory: Path, way: str) -> None:
        stage = Stage(directory, PAIRS, way)
        try:
            self.ports = [stage.appliance.port, TRUNK_PORT]
            capture = Capture(directory, stage.appliance, others=stage.sources())
            with capture as self.capture, ThreadPoolExecutor(PAIRS) as pool:
                longest_first = sorted(PLAYS, key=lambda name: name not in LONGEST)
                self.played: dict[str, Future[tuple[Play, Check]]] = {
                    name: pool.submit(run, stage, PLAYS[name]) for name in longest_first
                }
        finally:
            stage.close()
        self.heard: dict[tuple[str, int], Heard] = self.capture.heard()


@pytest.fixture(scope="module", params=["edge", "core"])
def evening(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Evening:
    needs_capture()
    return Evening(tmp_path_factory.mktemp("transfer"), request.param)


@pytest.mark.parametrize("name", PLAYS)
def test_play(evening: Evening, name: str) -> None:
    played, check = evening.played[name].result()
    try:
        check(Listener(played, evening.heard))
    except AssertionError as error:
        error.add_note(played.tail())
        raise


def test_tshark_finds_nothing_wrong(evening: Evening) -> None:
    seen = judge(evening.capture.path, evening.ports)
    assert seen["sip"] >= 12 * len(PLAYS)
    assert seen["rtp"] >= 1000 * len(PLAYS)
    assert seen["rtpevent"] >= 20 * len(PLAYS)
