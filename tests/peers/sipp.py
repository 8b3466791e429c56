"""sipp as phones, callers and the far end of a trunk: one process a party, told what to do next while it runs.

A party's steps are part of its scenario. Those that wait for the test begin at an INFO of its call that the test sends
straight to sipp, which never goes through the appliance.
"""

import itertools
import shutil
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.peers import audio
from tests.peers.appliance import Account, Appliance
from tests.peers.capture import record
from tests.peers.wait import bound, until

SCENARIOS = Path(__file__).parent / "scenarios"
CAPTURES = Path("/usr/share/sip-tester")  # sipp's own key presses: payload type 101, 140 ms each
KEYS = {**{digit: digit for digit in "0123456789"}, "*": "star", "#": "pound"}
SIP_PORT = 5060
MEDIA_PORT = 6000
LISTEN = 1700  # ms that the desk user listens to a prompt before the next key
PRESS = 400  # ms from one key to the next; a capture lasts 140
TONE_SECONDS = 60.0

_NOP = "<nop><action>{}</action></nop>"
_WAIT = (
    _NOP.format('<log message="waiting [call_id]"/>')
    + '<recv request="BYE" optional="true" next="released"/><recv request="INFO"/>'
)
_PLAY = '<exec play_pcap_audio="{}"/>'


def as_events(key: str) -> Path:
    """The capture of a key press by RFC 4733."""
    return CAPTURES / f"dtmf_2833_{KEYS[key]}.pcap"


def press(keys: str, tone: Path, capture: Callable[[str], Path] = as_events) -> str:
    """Wait for the test, listen a moment, press `keys`, and go on with the tone."""
    pause = f'<pause milliseconds="{PRESS}"/>'
    presses = pause.join(_NOP.format(_PLAY.format(capture(key))) for key in keys)
    done = _NOP.format(f'<log message="pressed [call_id]"/>{_PLAY.format(tone)}')
    return f'{_WAIT}<pause milliseconds="{LISTEN}"/>{presses}{pause}{done}'


def leave(listen: int = LISTEN) -> str:
    """Wait for the test, listen a moment (milliseconds), then hang up."""
    return f'{_WAIT}<pause milliseconds="{listen}"/><nop next="leave"/>'


_OFFER = """v=0
o=- [call_number] {version} IN IP4 [media_ip]
s=-
c=IN IP4 [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
a={direction}
"""
_ENDS = {  # by scenario: who says so, to whom
    "call": ("<sip:[caller]@[local_ip]>;tag=[pid]-[call_number]", "[$to]"),
    "answer": ("[$to];tag=[pid]-[call_number]", "[$from]"),
}
_IN_DIALOG = """{method} [next_url] SIP/2.0
[routes]
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
From: {mine}
To: {theirs}
Call-ID: [call_id]
CSeq: {seq} {method}
Contact: <sip:party@[local_ip]:[local_port]>
"""


def reinvite(scenario: str, seq: int, direction: str = "sendrecv") -> str:
    """Wait for the test, then offer again, as a hold key or a session refresh does; such a party cannot leave."""
    mine, theirs = _ENDS[scenario]

    def request(method: str, rest: str) -> str:
        text = _IN_DIALOG.format(method=method, mine=mine, theirs=theirs, seq=seq) + rest
        again = ' retrans="500"' if method == "INVITE" else ""
        return f"<send{again}><![CDATA[\n{text}]]></send>"

    offer = _OFFER.format(version=seq, direction=direction)
    invite = request("INVITE", f"Content-Type: application/sdp\nContent-Length: [len]\n\n{offer}")
    answers = '<recv response="100" optional="true"/><recv response="200"/>'
    done = _NOP.format('<log message="offered [call_id]"/>')
    return _WAIT + invite + answers + request("ACK", "Content-Length: 0\n\n") + done


def press_by_info(keys: str, first: int) -> str:
    """The same by INFO, of a party that answered; `first`: CSeq of the first request."""
    mine, theirs = _ENDS["answer"]
    steps = f'{_WAIT}<pause milliseconds="{LISTEN}"/>'
    for number, key in enumerate(keys):
        head = _IN_DIALOG.format(method="INFO", mine=mine, theirs=theirs, seq=first + number)
        head += "Content-Type: application/dtmf-relay\nContent-Length: [len]\n\n"
        steps += f'<send retrans="500"><![CDATA[\n{head}Signal={key}\nDuration=160\n]]></send>'
        steps += f'<recv response="200"/><pause milliseconds="{PRESS}"/>'
    return steps + _NOP.format('<log message="pressed [call_id]"/>')


def takes_refer(status: str = "", notify: str = "") -> str:
    """A caller waits for a REFER, answers it with `status` (not at all: ""), then tells what came of it."""
    mine, theirs = _ENDS["call"]
    refer = '<ereg regexp=".*" search_in="hdr" header="Refer-To:" assign_to="refer"/>'
    refer += '<log message="referred [call_id] [$refer]"/>'
    steps = f'<recv request="REFER"><action>{refer}</action></recv>'
    if status:
        copied = "\n".join(f"[last_{name}:]" for name in ("Via", "From", "To", "Call-ID", "CSeq"))
        contact = "Contact: <sip:party@[local_ip]:[local_port]>"
        steps += f"<send><![CDATA[\nSIP/2.0 {status}\n{copied}\n{contact}\nContent-Length: 0\n\n]]></send>"
    if notify:
        head = _IN_DIALOG.format(method="NOTIFY", mine=mine, theirs=theirs, seq=2)
        head += "Event: refer\nSubscription-State: terminated;reason=noresource\n"
        head += "Content-Type: message/sipfrag;version=2.0\nContent-Length: [len]\n\n"
        steps += f'<send retrans="500"><![CDATA[\n{head}SIP/2.0 {notify}\n]]></send><recv response="200"/>'
    return steps + _NOP.format('<log message="told [call_id]"/>')


class Tones:
    """Captures of tones for `play_pcap_audio`, made once per frequency."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(self, hertz: int) -> Path:
        path = self._directory / f"{hertz}.pcap"
        if not path.exists():
            record(path, ((MEDIA_PORT, packet) for packet in audio.tone_packets(hertz, TONE_SECONDS)))
        return path


class KeyTones:
    """Captures of keys as tones in the audio, made once per key."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(self, key: str) -> Path:
        path = self._directory / f"inband-{KEYS[key]}.pcap"
        if not path.exists():
            record(path, ((MEDIA_PORT, packet) for packet in audio.key_packets(key)))
        return path


class Party:
    """One running sipp, that calls the appliance, or `to`. `fill` replaces words of its scenario."""

    _numbers = itertools.count(1)

    def __init__(
        self,
        directory: Path,
        scenario: str,
        host: str,
        appliance: Appliance,
        port: int = SIP_PORT,
        media: int = MEDIA_PORT,
        number: str = "",
        calls: int | None = 1,
        seconds: int = 100,
        arguments: Sequence[str] = (),
        to: tuple[str, int] | None = None,
        **fill: str,
    ) -> None:
        self.name = f"{scenario}-{next(self._numbers)}"
        self.directory = directory / self.name
        self.directory.mkdir(parents=True)
        self.host, self.port, self.media = host, port, media
        text = (SCENARIOS / f"{scenario}.xml").read_text()
        for word, value in {"MORE": "", **fill}.items():
            text = text.replace(word, value)
        (self.directory / "scenario.xml").write_text(text)
        program = shutil.which("sipp")
        assert program
        there, where = to or (appliance.host, appliance.port)
        command = [*appliance.enter, program, f"{there}:{where}", "-sf", "scenario.xml", "-nostdin"]
        command += ["-i", host, "-p", str(port), "-bind_local", "-mi", host, "-mp", str(media)]
        command += ["-s", number or "sipp", "-timeout", str(seconds), "-timeout_error", "-ci", host]
        command += ["-trace_msg", "-message_file", "messages.log", "-trace_err", "-error_file", "errors.log"]
        command += ["-trace_logs", "-log_file", "steps.log", "-default_behaviors", "none", *arguments]
        if calls is not None:
            command += ["-m", str(calls)]
        with (self.directory / "screen.log").open("wb") as screen:
            self.process = subprocess.Popen(
                command, cwd=self.directory, stdin=subprocess.DEVNULL, stdout=screen, stderr=screen
            )
        self._order = 0

    # what it says

    def _read(self, name: str) -> str:
        path = self.directory / name
        return path.read_text(errors="replace") if path.exists() else ""

    def tail(self) -> str:
        """The ends of its logs."""
        parts = (
            self._read("errors.log")[-1500:],
            self._read("steps.log")[-500:],
            self._read("messages.log")[-4000:],
        )
        return f"--- {self.name}, exit {self.process.poll()}\n" + "\n---\n".join(parts)

    @property
    def messages(self) -> str:
        """All that it sent and received."""
        return self._read("messages.log")

    def reached(self, step: str, times: int = 1, seconds: float = 10.0) -> "Party":
        """Wait until it has done `step`: rung, answered, pressed, cancelled, released, left."""
        what = f"{self.name} {step}"
        until(lambda: self._read("steps.log").count(step) >= times, what, seconds, self.tail)
        return self

    def listening(self) -> "Party":
        """Wait until its socket is there."""
        until(
            lambda: self.process.poll() is not None or bound(self.host, self.port, self.process.pid),
            self.name,
            10,
            self.tail,
        )
        return self

    def finish(self, seconds: float = 10.0, code: int = 0) -> "Party":
        """Wait for its end; it must have gone as its scenario says."""
        until(lambda: self.process.poll() is not None, f"{self.name} ends", seconds, self.tail)
        assert self.process.returncode == code, self.tail()
        return self

    # what it is told

    def go(self) -> None:
        """Begin the next step that waits for the test, in the call that was answered last."""
        self._order += 1
        self.reached("waiting", self._order)
        call = [line.split()[-1] for line in self._read("steps.log").splitlines() if "waiting" in line][-1]
        headers = [
            f"INFO sip:{self.host}:{self.port} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:9;branch=z9hG4bKgo{self._order}",
            "Max-Forwards: 70",
            "From: <sip:test@127.0.0.1>;tag=test",
            "To: <sip:party@127.0.0.1>",
            f"Call-ID: {call}",
            f"CSeq: {self._order} INFO",
            "Content-Length: 0",
        ]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(("\r\n".join(headers) + "\r\n\r\n").encode(), (self.host, self.port))

    def stop(self) -> None:
        """End it, whatever it does."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)


def register(
    directory: Path, appliance: Appliance, account: Account, host: str, status: str = "200"
) -> Party:
    """Register a phone at `host` with sipp; it is to be answered with `status`."""
    arguments = ("-au", account.auth_user, "-ap", account.password)
    party = Party(
        directory,
        "register",
        host,
        appliance,
        number=account.user,
        seconds=10,
        arguments=arguments,
        STATUS=status,
    )
    return party.finish()
