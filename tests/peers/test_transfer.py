"""The warm transfer by keypad, each row of docs/calls.md: sipp's own captures are the key presses of the desk user.

All plays run at once as far as there are phones, against one appliance; the tests then ask what each party heard.
"""

import itertools
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.peers.capture import Capture, Heard, judge, needs_capture
from tests.peers.sipp import KeyTones, leave, press, press_by_info, reinvite
from tests.peers.stage import CALLER, DESK, TARGET, TRUNK_PORT, Check, Listener, Play, Stage, run
from tests.peers.ways import WAYS, keys, to_collecting, to_completing, to_consulting, to_dialling, to_menu

pytestmark = pytest.mark.peer

PAIRS = 6
LONGEST = ("target_never_answers", "nobody_takes_the_call_back", "third_silence")
PLAYS: dict[str, Callable[[Play], Check]] = {}


def play(function: Callable[[Play], Check]) -> Callable[[Play], Check]:
    """A play; it gives back what is to be found in the capture."""
    PLAYS[function.__name__] = function
    return function


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


NO_EVENTS = {" 0 101": " 0", "a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-15\n": ""}


def in_another_form(p: Play, steps: list[str]) -> Check:
    """A whole transfer by a desk phone that sends no telephone-events."""
    p.begin(steps, desk_fill=NO_EVENTS)
    to_completing(p)
    p.go("desk", "joined")
    p.parties["desk"].reached("released").finish()
    p.go("caller")
    p.end(caller="left", target="released")

    def check(heard: Listener) -> None:
        heard.prompt("desk", "menu", "menu")
        heard.tone("desk", TARGET, "consulting")
        heard.tone("caller", TARGET, "joined")

    return check


@play
def keys_by_info(p: Play) -> Check:
    first = itertools.accumulate((len(each) for each in keys(p)), initial=1)
    return in_another_form(
        p, [press_by_info(each, number) for each, number in zip(keys(p), first, strict=False)]
    )


@play
def keys_as_tones(p: Play) -> Check:
    tones, tone = KeyTones(p.stage.directory), p.stage.tones(DESK)
    return in_another_form(p, [press(each, tone, tones) for each in keys(p)])


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


@play
def targets_early_media(p: Play) -> Check:
    """The desk user hears what the target's side plays before it answers, and gives up."""
    p.begin([*keys(p, 4), "2"], target="early")
    to_dialling(p)
    p.parties["target"].reached("early")
    p.go("desk", "menu")
    p.parties["target"].reached("cancelled").finish()
    back_at_the_menu(p)

    def check(heard: Listener) -> None:
        heard.tone("desk", TARGET, "dialling")
        heard.prompt("caller", "music", "menu")

    return check


@play
def number_without_hash(p: Play) -> Check:
    p.begin(["*", "1", p.target.extension, "*", "1"])
    to_collecting(p)
    p.go("desk")
    p.state("dialling", seconds=16)
    p.state("consulting")
    p.go("desk", "completing")
    p.go("desk", "joined")
    p.parties["desk"].reached("released").finish()
    p.go("caller")
    p.end(caller="left", target="released")

    def check(heard: Listener) -> None:
        assert p.at("dialling") - p.at("collecting") > 10
        heard.tone("caller", TARGET, "joined")

    return check


@play
def no_number_in_ten_seconds(p: Play) -> Check:
    p.begin(["*", "1", "2"], target="")
    to_collecting(p)
    p.state("menu", seconds=14)
    back_at_the_menu(p)

    def check(heard: Listener) -> None:
        assert p.at("menu", 1) - p.at("collecting") > 9.8
        heard.prompt("desk", "menu", "menu", 1)
        heard.music("caller", "collecting")

    return check


@play
def star_clears_the_number(p: Play) -> Check:
    p.begin(["*", "1", f"99*{p.target.extension}#", "*", "1"])
    to_completing(p)
    p.go("desk", "joined")
    p.parties["desk"].reached("released").finish()
    p.go("caller")
    p.end(caller="left", target="released")
    return lambda heard: heard.tone("caller", TARGET, "joined")


@play
def third_wrong_key(p: Play) -> Check:
    """In the menu it leads back to the caller, in the completing menu to the target."""
    p.begin(["*", "5", "09", *keys(p, 4), "8", "00", "*", "1"])
    to_menu(p)
    p.go("desk", "menu")
    p.go("desk", "menu", "talking")
    to_completing(p)
    p.go("desk", "completing")
    p.go("desk", "completing", "consulting")
    p.go("desk", "completing")
    p.go("desk", "joined")
    p.parties["desk"].reached("released").finish()
    p.go("caller")
    p.end(caller="left", target="released")

    def check(heard: Listener) -> None:
        heard.prompt("desk", "menu", "menu", 1)
        heard.tone("desk", CALLER, "talking", 1)
        heard.prompt("desk", "completing", "completing", 1)
        heard.tone("desk", TARGET, "consulting", 1)

    return check


@play
def third_silence(p: Play) -> Check:
    p.begin(keys(p, 4))
    to_completing(p)
    p.state("consulting", seconds=50)
    p.go("caller", "kept")
    p.parties["caller"].reached("left").finish()
    p.go("target")
    p.end(target="left", desk="released")

    def check(heard: Listener) -> None:
        assert p.at("consulting", 1) - p.at("completing") > 3 * (8 + 5)  # as often, and the prompt each time
        heard.prompt("target", "music", "completing")
        heard.tone("desk", TARGET, "consulting", 1)

    return check


@play
def keys_of_the_others(p: Play) -> Check:
    """The caller's and the target's keys move nothing, and the caller hears none of those that the desk presses."""
    caller = [press("*1", p.stage.tones(CALLER)), press("*2", p.stage.tones(CALLER)), leave()]
    p.begin(keys(p), target_steps=[press("*1", p.stage.tones(TARGET)), leave()], caller_steps=caller)
    to_menu(p)
    p.go("caller")
    p.parties["caller"].reached("pressed")
    p.go("desk", "collecting")
    p.go("desk", "dialling", "consulting")
    p.go("target")
    p.parties["target"].reached("pressed")
    p.go("caller")
    p.parties["caller"].reached("pressed", 2)
    p.go("desk", "completing")
    p.go("desk", "joined")
    p.parties["desk"].reached("released").finish()
    p.go("caller")
    p.end(caller="left", target="released")

    def check(heard: Listener) -> None:
        assert [name for name, _ in p.states] == [
            "talking", "menu", "collecting", "dialling", "consulting", "completing", "joined", "ended",
        ]  # fmt: skip
        assert heard.events("caller") == heard.events("target") == []
        assert sorted(heard.events("desk")) == ["*", "1"]  # of the target, whom it talked to

    return check


@play
def offers_in_every_state(p: Play) -> Check:
    """The desk's hold key and the caller's session refreshes, in every state, and the transfer goes on."""
    hold = itertools.count(1)
    way = [
        step
        for key in ("", *keys(p, 4))
        for step in (*([key] if key else []), *(reinvite("answer", next(hold), to) for to in ("sendonly", "sendrecv")))
    ]  # fmt: skip
    refreshes = [reinvite("call", seq) for seq in range(2, 8)]
    p.begin([*way, "1"], target_steps=[leave()], caller_steps=refreshes)
    offered = {"desk": 0, "caller": 0}

    def offer(role: str) -> None:
        offered[role] += 1
        p.go(role)
        p.parties[role].reached("offered", offered[role])

    def all_offer() -> None:
        offer("desk")
        offer("caller")
        offer("desk")

    all_offer()
    for states in (("menu",), ("collecting",), ("dialling", "consulting"), ("completing",)):
        p.go("desk", *states)
        all_offer()
    p.go("desk", "joined")
    p.parties["desk"].reached("released").finish()
    offer("caller")
    p.go("target")
    p.end(target="left", caller="released")

    def check(heard: Listener) -> None:
        assert [name for name, _ in p.states] == [
            "talking", "menu", "collecting", "dialling", "consulting", "completing", "joined", "ended",
        ]  # fmt: skip
        heard.tone("caller", TARGET, "joined")
        heard.tone("target", CALLER, "joined")

    return check


@play
def three_transfers_in_a_row(p: Play) -> Check:
    """The target's own phone transfers again: back to the first desk, which transfers once more."""
    back = ["*", "1", f"{p.desk.extension}#", "*", "1"]
    steps = [press(each, p.stage.tones(TARGET)) for each in back]
    p.begin(keys(p), desk_calls=2, target_calls=2, target_steps=steps)
    for role in ("desk", "target", "desk"):
        for states in (("menu",), ("collecting",), ("dialling", "consulting"), ("completing",), ("joined",)):
            p.go(role, *states)
    p.parties["desk"].reached("released", 2).finish()
    p.go("caller")
    p.end(caller="left", target="released")

    def check(heard: Listener) -> None:
        for turn, hertz in enumerate((TARGET, DESK, TARGET)):
            heard.tone("caller", hertz, "joined", turn)
        assert heard.events("caller") == []

    return check


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


@pytest.mark.rule(
    "transfer.way-core", "transfer.way-edge", "transfer.talking", "transfer.menu",
    "transfer.collecting", "transfer.resolve", "transfer.dialling", "transfer.consulting", "transfer.completing",
    "transfer.joined", "hold.key-cuts-prompt", "hold.caller-never-lost", "hold.caller-hangs-up", "hold.one-digit",
    "hold.re-invites", "transfer.any-form",
)  # fmt: skip
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
