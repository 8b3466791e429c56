"""The judge of the captures can fail: packets that are cut short are found."""

import struct
from pathlib import Path

import pytest

from tests.conftest import needs
from tests.peers.capture import judge, record
from tests.peers.sipp import CAPTURES

pytestmark = pytest.mark.peer

OFFER = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 10000 RTP/AVP 0 101\r\n"
INVITE = (
    b"INVITE sip:101@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    b"From: <sip:102@192.0.2.1>;tag=1\r\nTo: <sip:101@192.0.2.2>\r\nCall-ID: 1\r\nCSeq: 1 INVITE\r\n"
    b"Contact: <sip:102@192.0.2.1>\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s"
)
PRESS = struct.pack("!BBHII", 0x80, 101, 1, 160, 7) + bytes((5, 10, 0, 160))


@pytest.fixture(autouse=True)
def _tshark() -> None:
    needs("tshark", "sipp")


def test_good_packets_are_counted(tmp_path: Path) -> None:
    record(tmp_path / "good.pcap", [(5060, INVITE % (len(OFFER), OFFER)), (10000, PRESS)])
    seen = judge(tmp_path / "good.pcap", [5060])
    assert (seen["sip"], seen["sdp"], seen["rtp"], seen["rtpevent"]) == (1, 1, 1, 1)


@pytest.mark.parametrize("length", [10, 13])  # half a header; an event of one byte
def test_wrong_packets_are_found(tmp_path: Path, length: int) -> None:
    record(tmp_path / "bad.pcap", [(5060, INVITE % (len(OFFER), OFFER)), (10000, PRESS[:length])])
    with pytest.raises(AssertionError, match="1 packets that tshark finds wrong"):
        judge(tmp_path / "bad.pcap", [5060])


def test_sipps_captures_are_presses() -> None:
    for path in CAPTURES.glob("dtmf_2833_*.pcap"):
        assert judge(path, [5060])["udp"] == 10
