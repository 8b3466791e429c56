"""The process `core` from outside: its control socket, and how it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from random import Random

import pytest

from provisioner import ipc
from provisioner.core.process import serve
from provisioner.paths import StateDir
from tests.core.pidf import CIVIC

START = """
import sys
from provisioner.core.process import main
from provisioner.paths import StateDir
sys.exit(main(StateDir.create(sys.argv[1]), life=True))
"""


def test_control_calls(tmp_path: Path) -> None:
    state = StateDir.create(tmp_path)

    async def scene() -> None:
        stop = asyncio.Event()
        serving = asyncio.create_task(serve(state, "127.0.0.1", 0, "", True, Random(1), stop))
        events: asyncio.Queue[tuple[str, ipc.Json]] = asyncio.Queue()
        client = ipc.Client(
            state.socket("core"), lambda name, data: events.put_nowait((name, data)), retry=0.01
        )
        client.start()
        await asyncio.wait_for(client.connected.wait(), 10)
        assert (await client.ask("ping"))["pid"] == os.getpid()
        with pytest.raises(ipc.Refused, match="no edge"):
            await client.ask("call", {"from": "+12125550143", "to": "+14155550100"})
        status = await client.ask("status")
        assert (status["edge"], status["active"]) == ("", 0)
        await client.ask("edge", {"sip": status["sip"]})
        await client.ask("register_address", {"number": "4155550101", "civic": CIVIC, "name": "Clinic"})
        assert await client.ask("addresses") == {"+14155550101": {"civic": CIVIC, "name": "Clinic"}}
        with pytest.raises(ipc.Refused, match="bad arguments"):
            await client.ask("register_address", {"number": 1})
        # the core is its own edge: both ends of the call are in its record
        placed = await client.ask("call", {"from": "+12125550143", "to": "+14155550199", "seconds": 30})
        async with asyncio.timeout(10):
            while (await events.get()) != ("call", {**_row(placed), "state": "talking"}):
                pass
        assert [row["kind"] for row in (await client.ask("calls"))["calls"]] == ["inbound", "patient"]
        await client.ask("hangup", placed)
        with pytest.raises(ipc.Refused, match="no such call"):
            await client.ask("hangup", placed)
        stop.set()
        await asyncio.wait_for(serving, 10)
        await client.close()

    asyncio.run(scene())


def _row(placed: ipc.Json) -> ipc.Json:
    numbers = {"from": "+12125550143", "to": "+14155550199"}
    return {"call": placed["call"], **numbers, "kind": "inbound", "heard": "", "outcome": ""}


def test_sigterm_ends_the_process(tmp_path: Path) -> None:
    state = StateDir.create(tmp_path)

    async def scene() -> None:
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", START, str(tmp_path))
        client = ipc.Client(state.socket("core"), retry=0.02)
        client.start()
        await asyncio.wait_for(client.connected.wait(), 20)
        os.kill(process.pid, signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 3) == 0
        await client.close()

    asyncio.run(scene())
