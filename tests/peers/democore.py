"""The demo's stand-in core as a process of its own, at an address of its own, as the core that plays the menus."""

import subprocess
import sys
from pathlib import Path

from tests.peers.appliance import ROOT, Appliance, Control
from tests.peers.wait import until

PORT = 5060


class DemoCore:
    """`provisioner core --menus` at `host`; outside numbers are called at `network`, a SIP address."""

    def __init__(self, directory: Path, appliance: Appliance, host: str, network: str) -> None:
        self.host = host
        self._log = directory / "core.log"
        state = directory / "core"
        command = [sys.executable, "-m", "provisioner", "core", "--menus", "--state", str(state)]
        command += ["--bind", host, "--sip-port", str(PORT)]
        command += ["--edge-sip", f"{appliance.host}:{appliance.port}"]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT)

        def ready() -> Control | None:
            assert self._process.poll() is None, self.tail()
            path = state / "run" / "core.sock"
            return Control(path) if path.exists() else None

        try:
            self.control = until(ready, "the demo core", 20, self.tail)
        except BaseException:
            self._process.kill()
            raise
        self.control.call("subscribe")
        self.control.call("network", sip=network)

    def transfers(self) -> list[dict[str, object]]:
        """The calls that it switched (docs/internals.md); none any more when it is stopped."""
        if self._process.poll() is not None:
            return []
        return self.control.call("transfers")["transfers"]

    def tail(self) -> str:
        return f"--- core at {self.host}\n{self._log.read_text(errors='replace')[-3000:]}"

    def stop(self) -> None:
        self.control.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
