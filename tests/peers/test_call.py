"""Two phones of another make call each other through the appliance and hear each other."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.peers.appliance import DEMO, Appliance
from tests.peers.baresip import Baresip
from tests.peers.capture import Capture, judge, media_ports, needs_capture
from tests.peers.wait import bound, until

pytestmark = pytest.mark.peer

ONE, OTHER = 440, 700  # Hz


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    needs_capture()
    with Appliance(tmp_path_factory.mktemp("call")) as appliance:
        yield appliance


@pytest.mark.parametrize(("calling", "called"), [("udp", "udp"), ("tcp", "udp"), ("udp", "tcp")])
@pytest.mark.parametrize("who_hangs_up", ["calling", "called"])
@pytest.mark.rule("dialled.extension", "outbound.extensions-stay")
def test_extension_call(
    appliance: Appliance, tmp_path: Path, calling: str, called: str, who_hangs_up: str
) -> None:
    with ExitStack() as stack:
        capture = stack.enter_context(Capture(tmp_path, appliance))
        accounts = [appliance.account(DEMO[extension]) for extension in ("101", "102")]
        caller = stack.enter_context(
            Baresip(tmp_path / "101", accounts[0], appliance.new_host(), ONE, calling)
        )
        callee = stack.enter_context(
            Baresip(tmp_path / "102", accounts[1], appliance.new_host(), OTHER, called)
        )
        for phone in (caller, callee):
            phone.registered()
        caller.command("dial", "102")
        for phone in (caller, callee):
            phone.heard_of("CALL_ESTABLISHED")
        caller.hears(OTHER)
        callee.hears(ONE)
        (call,) = appliance.calls()
        assert (call["direction"], call["state"], call["from"], call["to"]) == (
            "internal",
            "talking",
            "101",
            "102",
        )
        legs = [port for port in media_ports(capture.path) if bound(appliance.host, port)]
        assert len(legs) == 2
        (caller if who_hangs_up == "calling" else callee).command("hangup")
        for phone in (caller, callee):
            phone.heard_of("CALL_CLOSED")
        until(lambda: not appliance.calls(), "no call is left", tail=appliance.tail)
        until(lambda: not any(bound(appliance.host, port) for port in legs), "media drops both legs")
    seen = judge(capture.path, [appliance.port])
    assert seen["sip"] >= 12
    assert seen["rtp"] >= 150
