"""`release = "refer"` against sipps that play a core: one takes the transfer over, others refuse, fail, are silent."""

import re
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from urllib.parse import unquote

import pytest

from provisioner.store.records import Trunk
from tests.peers.capture import Capture, Heard, judge, needs_capture
from tests.peers.kamailio import set_trunks, up
from tests.peers.sipp import leave, takes_refer
from tests.peers.stage import TARGET, TRUNK_PORT, Check, Listener, Play, Stage, run
from tests.peers.wait import until

pytestmark = pytest.mark.peer
KEYS = ["*", "1", "6502530000#", "*", "1"]
REFER_SECONDS = 30.0
BRIDGED = {  # what the core does with the REFER, and how long the edge waits for more
    "refused": (("603 Decline", ""), 0.0),
    "not_known": (("501 Not Implemented", ""), 0.0),
    "failed": (("202 Accepted", "503 Service Unavailable"), 0.0),
    "silent": (("202 Accepted", ""), REFER_SECONDS),
    "deaf": (("", ""), REFER_SECONDS),
}


def joined(p: Play, *steps: str) -> None:
    """A transfer to an outside number is complete; the core has the REFER."""
    p.begin(KEYS, target="", caller_steps=steps)
    for states in (("menu",), ("collecting",), ("dialling", "consulting"), ("completing",), ("joined",)):
        p.go("desk", *states)
    p.parties["desk"].reached("released").finish()
    p.parties["caller"].reached("referred")


def taken_over(p: Play) -> Check:
    joined(p, takes_refer("202 Accepted", "200 OK"))
    p.parties["caller"].reached("told")
    p.end(caller="released")

    def check(heard: Listener) -> None:
        """The REFER named the dialog with the target, as the target sees it."""
        found = re.search(r"^Refer-To: <(\S+?)\?Replaces=(\S+)>", p.parties["caller"].messages, re.M)
        assert found
        call_id, *tags = unquote(found[2]).split(";")
        talk = p.stage.trunk.messages.split(f"Call-ID: {call_id}")
        assert len(talk) > 3
        with_target = p.stage.trunk.messages
        assert f"<{found[1]}>" in with_target
        for tag in tags:
            assert f";tag={tag.partition('=')[2]}" in with_target
        assert [tag.partition("=")[0] for tag in tags] == ["to-tag", "from-tag"]

    return check


def bridged(how: str) -> Callable[[Play], Check]:
    answers, wait = BRIDGED[how]

    def acted(p: Play) -> Check:
        joined(p, takes_refer(*answers), leave())
        if wait:
            appliance = p.stage.appliance
            until(lambda: appliance.count("refer-failed") == len(BRIDGED), "it gives up", wait + 10, p.tail)
        p.go("caller")
        p.end(caller="left")

        def check(heard: Listener) -> None:
            heard.tone("caller", TARGET, "joined")
            last = heard.during("caller", "ended", 0, 0.0, before=1.5)
            assert len(last) > 8000, f"{len(last)} samples in the last 1.5 s"

        return check

    return acted


PLAYS: dict[str, Callable[[Play], Check]] = {
    "taken_over": taken_over,
    **{how: bridged(how) for how in BRIDGED},
}


class Evening:
    """All plays, at once."""

    def __init__(self, directory: Path) -> None:
        stage = Stage(directory, len(PLAYS))
        try:
            uri = f"sip:{stage.appliance.core_host}:{TRUNK_PORT}"
            set_trunks(stage.appliance, Trunk(id="core", uri=uri, release="refer"))
            up(stage.appliance, "core")
            with Capture(directory, stage.appliance) as self.capture, ThreadPoolExecutor(len(PLAYS)) as pool:
                self.played: dict[str, Future[tuple[Play, Check]]] = {
                    name: pool.submit(run, stage, act) for name, act in PLAYS.items()
                }
            self.counted = {
                name: stage.appliance.count(name) for name in ("released-by-refer", "refer-failed")
            }
        finally:
            stage.close()
        self.port = stage.appliance.port
        self.heard: dict[tuple[str, int], Heard] = self.capture.heard()


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Evening:
    needs_capture()
    return Evening(tmp_path_factory.mktemp("release"))


@pytest.mark.rule("hold.release-refer")
@pytest.mark.parametrize("name", PLAYS)
def test_play(evening: Evening, name: str) -> None:
    played, check = evening.played[name].result()
    try:
        check(Listener(played, evening.heard))
    except AssertionError as error:
        error.add_note(played.tail())
        raise


def test_each_was_counted(evening: Evening) -> None:
    assert evening.counted == {"released-by-refer": 1, "refer-failed": len(BRIDGED)}


def test_tshark_finds_nothing_wrong(evening: Evening) -> None:
    seen = judge(evening.capture.path, [evening.port, TRUNK_PORT])
    assert seen["sip"] >= 20 * len(PLAYS)
