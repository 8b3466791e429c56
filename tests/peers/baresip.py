"""baresip as a desk phone: plays a tone, records what it hears, is commanded and watched over its control socket."""

import json
import re
import shutil
import socket
import subprocess
import threading
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from tests.conftest import without
from tests.peers import audio
from tests.peers.appliance import Account
from tests.peers.wait import until

MODULES = Path("/usr/lib/baresip/modules")
SIP_PORT, CONTROL_PORT = 5060, 4444
CONFIG = """\
poll_method epoll
sip_listen {host}:{port}
net_interface {host}
audio_player aubridge,nobody
audio_source aufile,{tone}
audio_alert aubridge,nobody
audio_level no
ausrc_srate 8000
auplay_srate 8000
ausrc_channels 1
auplay_channels 1
rtp_stats yes
jitter_buffer_delay 1-5
module_path {modules}
module g711.so
module g722.so
module srtp.so
module sndfile.so
module aubridge.so
module aufile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {host}:{control}
snd_path {directory}
ringback_disabled yes
"""


def needs_srtp() -> None:
    """Skip, or fail, where baresip has no SRTP."""
    if not (MODULES / "srtp.so").exists():
        without("apt-get install baresip-core")


class Baresip:
    """One running baresip with one account, that plays `hertz` for as long as a call lasts. `media`: codecs, keys.

    `enter`: what starts a program where its `host` is; `ca`: the authority whose certificates it takes over TLS.
    """

    def __init__(
        self,
        directory: Path,
        account: Account,
        host: str,
        hertz: int = 440,
        transport: str = "udp",
        media: str = "audio_codecs=PCMU",
        enter: Sequence[str] = (),
        ca: Path | None = None,
    ) -> None:
        self.account = account
        self.directory = directory
        directory.mkdir(parents=True)
        self.host = host
        tone = directory / "tone.wav"
        audio.write_wav(tone, audio.sine(hertz, 30))
        (directory / "config").write_text(
            CONFIG.format(
                host=host,
                port=SIP_PORT,
                control=CONTROL_PORT,
                tone=tone,
                directory=directory,
                modules=MODULES,
            )
            + (f"sip_cafile {ca}\n" if ca else "")
        )
        (directory / "accounts").write_text(
            f"<sip:{account.user}@{account.server}:{account.port};transport={transport}>"
            f";auth_user={account.auth_user};auth_pass={account.password}"
            f";answermode=auto;regint=300;{media}\n"
        )
        (directory / "contacts").write_text("")
        program = shutil.which("baresip")
        assert program
        self._log = directory / "baresip.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*enter, program, "-4", "-s", "-f", str(directory)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.events: list[dict[str, Any]] = []
        self._control = until(self._connect, "baresip's control socket", 10, self.tail)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _connect(self) -> socket.socket | None:
        assert self._process.poll() is None, self.tail()
        try:
            return socket.create_connection((self.host, CONTROL_PORT), 1)
        except OSError:
            return None

    def _read(self) -> None:
        """Netstrings with JSON."""
        held = b""
        self._control.settimeout(None)
        while data := self._control.recv(65536):
            held += data
            while (colon := held.find(b":")) > 0 and len(held) > (end := colon + 1 + int(held[:colon])):
                self.events.append(json.loads(held[colon + 1 : end]))
                held = held[end + 1 :]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def command(self, name: str, params: str = "") -> None:
        """A command of its menu."""
        text = json.dumps({"command": name, "params": params, "token": name}).encode()
        self._control.sendall(b"%d:%s," % (len(text), text))

    def dial(self, number: str) -> None:
        """Call a number."""
        self.command("dial", number)

    def hang_up(self) -> None:
        """End the call."""
        self.command("hangup")

    def talks(self) -> None:
        """Wait until its call is up."""
        self.heard_of("CALL_ESTABLISHED")

    def ended(self) -> None:
        """Wait until its call is over."""
        self.heard_of("CALL_CLOSED")

    def registered(self, outcome: str = "200 OK") -> None:
        """Wait for the registrar's last word; baresip may have it before it can be asked."""
        line = re.compile(rf"^[^\n]*{self.account.user}@[^\n]*{outcome}", re.M)
        until(
            lambda: line.search(self._log.read_text(errors="replace")),
            f"registration: {outcome}",
            10,
            self.tail,
        )

    def heard_of(self, kind: str, seconds: float = 10.0, times: int = 1) -> None:
        """Wait for an event such as CALL_ESTABLISHED or CALL_CLOSED."""
        until(lambda: self.count(kind) >= times, f"{kind} of baresip {self.account.user}", seconds, self.tail)

    def count(self, kind: str) -> int:
        """How many events of a kind there were."""
        return sum(event.get("type") == kind for event in list(self.events))

    def tail(self) -> str:
        """The end of its log."""
        return f"--- baresip {self.account.user}\n" + self._log.read_text(errors="replace")[-3000:]

    def recording(self) -> array:
        """What it has heard so far."""
        files = sorted(self.directory.glob("dump-*-dec.wav"))
        return audio.read_wav(files[-1]) if files else array("h")

    def hears(self, hertz: int, seconds: float = 10.0) -> None:
        """Wait until the last second of what it heard is the tone `hertz`."""

        def tone() -> bool:
            heard = self.recording()[-audio.RATE :]
            return len(heard) == audio.RATE and audio.share(heard, hertz) > 0.9

        until(tone, f"baresip {self.account.user} hears {hertz} Hz", seconds, self.tail)

    def goes_on_hearing(self, hertz: int) -> None:
        """It hears the tone in the seconds to come."""
        since = len(self.recording())
        until(lambda: len(self.recording()) > since + 2 * audio.RATE, "more audio", 10, self.tail)
        assert audio.share(self.recording()[since : since + 2 * audio.RATE], hertz) > 0.9

    def stop(self) -> None:
        """Hang up, unregister and end."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)
        self._reader.join(5)
        self._control.close()
