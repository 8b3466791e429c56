"""Kamailio as the cloud core: it passes on calls between the appliance and sipps that are the patients outside."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives import serialization

from provisioner.store.inventory import Inventory
from provisioner.store.records import Record, Trunk, TrunkSecret
from tests.peers.appliance import Appliance
from tests.peers.sipp import SCENARIOS, Party
from tests.peers.wait import bound, until
from tests.sip.authority import Authority

OPEN, CHALLENGED, TLS, WRONG_NAME = 5060, 5080, 5061, 5071  # ports for the edge
BY = {"udp": 5060, "tcp": 5070, "tls": 5061}  # UDP ports for patients, by how their calls go on to the edge
REALM, ACCOUNT, PASSWORD = "core.example", "clinic", "only-here"  # noqa: S105
TLS_CONFIG = """\
[server:default]
method = TLSv1.2+
private_key = {folder}/right.pem
certificate = {folder}/right.pem
[server:{host}:{wrong}]
method = TLSv1.2+
private_key = {folder}/wrong.pem
certificate = {folder}/wrong.pem
[client:default]
method = TLSv1.2+
verify_certificate = yes
require_certificate = yes
ca_list = {edge_ca}
"""


class Kamailio:
    """One Kamailio at `host`, that sends what the edge dials to `outside`, a SIP address."""

    def __init__(
        self,
        directory: Path,
        host: str,
        appliance: Appliance,
        outside: str,
        authority: Authority,
        algorithm: str = "MD5",
    ) -> None:
        self.host = host
        self._folder = directory
        directory.mkdir(parents=True)
        self._certify(authority)
        words = {
            "HOST": host,
            "DIRECTORY": str(directory),
            "ALGORITHM": algorithm,
            "REALM": REALM,
            "PASSWORD": PASSWORD,
            "ACCOUNT": ACCOUNT,
            "OUTSIDE": outside,
            "EDGE_HOST": appliance.host,
            "EDGE_PORT": str(appliance.port),
            "EDGE_TLS": appliance.edge.call("status")["sips"].rpartition(":")[2],
        }
        text = (SCENARIOS / "kamailio.cfg").read_text()
        for word, value in sorted(words.items(), key=lambda pair: -len(pair[0])):
            text = text.replace(word, value)
        (directory / "kamailio.cfg").write_text(text)
        edge_ca = appliance.state / "tls" / "ca.pem"
        (directory / "tls.cfg").write_text(
            TLS_CONFIG.format(folder=directory, host=host, wrong=WRONG_NAME, edge_ca=edge_ca)
        )
        self._log = directory / "kamailio.log"
        self.start()

    def _certify(self, authority: Authority) -> None:
        """A certificate for its address, and one for another."""
        for name, wanted in (("right", self.host), ("wrong", "elsewhere.example")):
            authority.issue([wanted])
            shutil.copy(authority.folder / "issued.pem", self._folder / f"{name}.pem")

    def start(self) -> None:
        """Begin (again); returns when it listens."""
        program = shutil.which("kamailio")
        assert program
        folder = str(self._folder)
        command = [program, "-DD", "-E", "-f", f"{folder}/kamailio.cfg", "-m", "32", "-M", "4"]
        command += ["-Y", folder, "-P", f"{folder}/kamailio.pid"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        until(
            lambda: self._process.poll() is not None or bound(self.host, CHALLENGED),
            "Kamailio",
            10,
            self.tail,
        )
        assert self._process.poll() is None, self.tail()

    def _signal(self, number: int) -> None:
        os.killpg(self._process.pid, number)

    def kill(self) -> None:
        """SIGKILL to all its processes."""
        self._signal(signal.SIGKILL)
        self._process.wait(5)
        until(lambda: not bound(self.host, OPEN), "Kamailio is gone")

    def freeze(self) -> None:
        """SIGSTOP: its sockets are there, and nobody reads them."""
        self._signal(signal.SIGSTOP)

    def stop(self) -> None:
        """End it, whatever it does."""
        if self._process.poll() is None:
            self._signal(signal.SIGKILL)
            self._process.wait(5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    @property
    def log(self) -> str:
        """What it did, by Call-ID."""
        return self._log.read_text(errors="replace")

    def tail(self) -> str:
        return f"--- Kamailio at {self.host}\n{self.log[-4000:]}"

    def way(self, party: Party) -> list[tuple[str, ...]]:
        """The requests of a patient's call: method, where it came from, and over what; each once."""
        call = re.search(r"^Call-ID: (\S+)", party.messages, re.M)
        assert call, party.tail()
        log = self.log
        mine = re.findall(rf"{re.escape(call.group(1))}: <script>: (.+)", log)
        assert not any("without a route" in line for line in mine), mine
        assert "BYE along the route" in mine
        found = (re.fullmatch(r"(\w+) of (\S+) over (\w+) to \d+", line) for line in mine)
        return list(dict.fromkeys(match.groups() for match in found if match))

    def did(self, words: str, times: int = 1, seconds: float = 10.0) -> None:
        """Wait until it has logged `words`."""
        until(lambda: self.log.count(words) >= times, f"Kamailio: {words}", seconds, self.tail)


def secret(name: str) -> TrunkSecret:
    """What Kamailio asks of that trunk."""
    return TrunkSecret(id=name, user=ACCOUNT, password=PASSWORD, realm=REALM)


def set_trunks(appliance: Appliance, *records: Record) -> None:
    """These are the appliance's trunks, and their secrets, from now on; returns when each is up."""
    inventory = Inventory.open(appliance.state / "inventory.db")
    try:
        with inventory.change(who="test") as change:
            for kind in (Trunk, TrunkSecret):
                for record in change.all(kind):
                    change.delete(kind, record.id)
            for record in records:
                change.put(record)
    finally:
        inventory.close()
    appliance.edge.call("reload")


def trunk(appliance: Appliance, name: str) -> dict[str, object]:
    """A trunk in the edge's status."""
    return next(row for row in appliance.edge.call("status")["trunks"] if row["id"] == name)


def up(appliance: Appliance, name: str, wanted: bool = True, seconds: float = 20.0) -> None:
    """Wait until a trunk is known to be up, or down."""
    until(
        lambda: trunk(appliance, name)["up"] is wanted, f"trunk {name} up: {wanted}", seconds, appliance.tail
    )
