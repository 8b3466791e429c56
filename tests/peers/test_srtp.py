"""A phone of another make with SRTP or another codec (libre's, not libsrtp) and one without hear each other."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.peers.appliance import DEMO, Appliance
from tests.peers.baresip import Baresip, needs_srtp
from tests.peers.capture import needs_capture
from tests.peers.wait import until

pytestmark = [
    pytest.mark.peer,
]

ONE, OTHER = 440, 700  # Hz


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    needs_capture()
    needs_srtp()
    with Appliance(tmp_path_factory.mktemp("srtp")) as appliance:
        yield appliance


@pytest.mark.parametrize(
    ("calling", "called"),
    [
        ("audio_codecs=PCMU;mediaenc=srtp", "audio_codecs=PCMU"),  # RTP/AVP with a=crypto
        ("audio_codecs=PCMU;mediaenc=srtp-mand", "audio_codecs=PCMA"),  # RTP/SAVP
        ("audio_codecs=G722", "audio_codecs=G722,PCMU"),
        ("audio_codecs=PCMU,G722", "audio_codecs=G722"),
    ],
)
def test_two_phones_hear_each_other(appliance: Appliance, tmp_path: Path, calling: str, called: str) -> None:
    with ExitStack() as stack:
        accounts = [appliance.account(DEMO[extension]) for extension in ("101", "102")]
        caller = stack.enter_context(
            Baresip(tmp_path / "101", accounts[0], appliance.new_host(), ONE, media=calling)
        )
        callee = stack.enter_context(
            Baresip(tmp_path / "102", accounts[1], appliance.new_host(), OTHER, media=called)
        )
        for phone in (caller, callee):
            phone.registered()
        caller.command("dial", "102")
        for phone in (caller, callee):
            phone.heard_of("CALL_ESTABLISHED")
        caller.hears(OTHER)
        callee.hears(ONE)
        log = (tmp_path / "101" / "baresip.log").read_text(errors="replace")
        assert ("SRTP is Enabled" in log) == ("srtp" in calling), log
        caller.command("hangup")
        for phone in (caller, callee):
            phone.heard_of("CALL_CLOSED")
        until(lambda: not appliance.calls(), "no call is left", tail=appliance.tail)
