"""linphone as a desk phone: linphonec, with files instead of a sound card, commanded on its standard input."""

import re
import shutil
import subprocess
from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from tests.peers import audio
from tests.peers.appliance import Account
from tests.peers.wait import until

SIP_PORT, MEDIA_PORT = 5060, 7078
OTHER_CODECS = (0, 1, 2, 4, 7)  # in `codec list`, all that are enabled but for PCMU (3)
CONFIG = """\
[sip]
bind_address={host}
sip_port={ports[udp]}
sip_tcp_port={ports[tcp]}
sip_tls_port={ports[tls]}
use_ipv6=0
root_ca={ca}
verify_server_certs=1
verify_server_cn=0
media_encryption={encryption}
media_encryption_mandatory={secure}
default_proxy=0
[rtp]
bind_address={host}
audio_rtp_port={media}
[video]
capture=0
display=0
[sound]
echocancellation=0
[auth_info_0]
username={account.user}
userid={account.auth_user}
passwd={account.password}
realm=*
[proxy_0]
reg_proxy=<sip:{account.server}:{account.port};transport={transport}>
reg_identity=sip:{account.user}@{account.server}
reg_expires=300
reg_sendregister=1
"""


class Linphone:
    """One running linphonec that answers by itself and plays `hertz` for as long as a call lasts.

    It registers only on a network that leads somewhere, so it runs in the namespace of a link (`enter`). Certificates
    are checked against `ca` (a PEM file), but for the address in them: its TLS library, mbedTLS 2.28, knows DNS names
    only.
    """

    def __init__(
        self,
        directory: Path,
        account: Account,
        host: str,
        hertz: int,
        transport: str,
        secure: bool,
        ca: Path,
        enter: Sequence[str],
    ) -> None:
        self.account = account
        self.host = host
        self._directory = directory
        (directory / ".local" / "share" / "linphone").mkdir(parents=True)
        ports = {each: (SIP_PORT if each == transport else 0) for each in ("udp", "tcp", "tls")}
        encryption = "srtp" if secure else "none"
        (directory / "linphonerc").write_text(
            CONFIG.format(
                host=host, ports=ports, ca=ca, encryption=encryption, secure=int(secure), media=MEDIA_PORT,
                account=account, transport=transport,
            )
        )  # fmt: skip
        audio.write_wav(directory / "tone.wav", audio.sine(hertz, 60))
        program = shutil.which("linphonec")
        assert program
        self._screen = directory / "screen.log"
        command = [*enter, program, "-c", str(directory / "linphonerc"), "-a"]
        command += ["-d", "6", "-l", str(directory / "linphone.log")]
        with self._screen.open("wb") as screen:
            self._process = subprocess.Popen(
                command, cwd=directory, stdin=subprocess.PIPE, stdout=screen, stderr=screen,
                env={"HOME": str(directory), "PATH": "/usr/bin:/bin", "TERM": "dumb"},
            )  # fmt: skip
        for number in OTHER_CODECS:
            self.say(f"codec disable {number}")
        for line in ("soundcard use files", f"play {directory}/tone.wav", f"record {directory}/heard.wav"):
            self.say(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def say(self, line: str) -> None:
        """A command of its console."""
        assert self._process.stdin
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def dial(self, number: str) -> None:
        """Call a number."""
        self.say(f"call {number}")

    def hang_up(self) -> None:
        """End the call."""
        self.say("terminate")

    def shows(self, words: str, seconds: float = 10.0) -> None:
        """Wait for words on its console."""

        def found() -> bool:
            return re.search(words, self._screen.read_text(errors="replace")) is not None

        until(found, f"linphone {self.account.user}: {words}", seconds, self.tail)

    def talks(self) -> None:
        """Wait until its call is up."""
        self.shows("Media streams established")

    def distrusts(self) -> None:
        """Wait until it has refused the certificate of its server."""
        words = "SSL handshake failed : X509 - Certificate verification failed"
        until(lambda: words in self._log(), "linphone distrusts its server", 15, self.tail)

    def ended(self) -> None:
        """Wait until its call is over."""
        self.shows(r"Call \d+ .*ended")

    def hears(self, hertz: int, seconds: float = 10.0) -> None:
        """Wait until the last second of what it heard is the tone `hertz`."""

        def tone() -> bool:
            heard = self._recording()[-audio.RATE :]
            return len(heard) == audio.RATE and audio.share(heard, hertz) > 0.9

        until(tone, f"linphone {self.account.user} hears {hertz} Hz", seconds, self.tail)

    def _recording(self) -> array:
        """Samples so far; their header of 44 bytes is written at the end."""
        path = self._directory / "heard.wav"
        data = path.read_bytes()[44:] if path.exists() else b""
        return array("h", data[: len(data) // 2 * 2])

    def _log(self) -> str:
        path = self._directory / "linphone.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def tail(self) -> str:
        """The end of its logs."""
        screen = self._screen.read_text(errors="replace")
        return f"--- linphone {self.account.user}\n{screen[-1500:]}{self._log()[-3000:]}"

    def stop(self) -> None:
        """Unregister and end."""
        if self._process.poll() is None:
            self.say("quit")
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(5)
        assert self._process.stdin
        self._process.stdin.close()
