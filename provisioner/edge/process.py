"""The edge as a process: sockets, the control socket, the inventory's changes, a clean stop."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import signal
import time
from contextlib import suppress

from provisioner import __version__, ipc
from provisioner.edge.directory import Source
from provisioner.edge.edge import Edge
from provisioner.edge.registrar import Binding
from provisioner.errors import OperatorError
from provisioner.media.client import MediaClient
from provisioner.paths import StateDir
from provisioner.sip.agent import Agent
from provisioner.sip.transaction import Flow
from provisioner.sip.transport import LoopTimers, SipTransport
from provisioner.store.journal import Journal

WATCH_SECONDS = 1.0
BYE_SECONDS = 2.0  # for the answers to our last BYEs
MEDIA_SECONDS = 10.0
_log = logging.getLogger(__name__)


class Process:
    """Wires the edge to its sockets."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._source = Source(state)
        self._started = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self, bind: str, port: int) -> None:
        """Serve until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        directory = await asyncio.to_thread(self._source.load)
        self._journal = await asyncio.to_thread(Journal.open, self._state.journal)
        timers = LoopTimers(loop)
        rng = random.SystemRandom()
        self._server = ipc.Server({"ping": self._ping, "status": self._status, "reload": self._reload})
        self._media = MediaClient(self._state.socket("media"), bind, secrets.token_hex(4), self._on_media)
        self._edge = Edge(
            directory,
            timers,
            rng,
            self._media,
            time.time,
            self._server.publish,
            self._journal.write,
            secrets.token_bytes(32),
        )
        transport = SipTransport(self._edge.registrar.flow_lost)
        self._transport = transport
        self._edge.port = (await transport.open(bind, port))[1]
        name = f"Provisioner/{__version__}"
        transport.agent = Agent(self._edge, timers, rng, transport.send, transport.connect, name)
        self._edge.agent = transport.agent
        self._edge.trunks.update(directory.trunks)
        await self._restore()
        self._media.start()
        with suppress(
            TimeoutError
        ):  # without media phones can register, and calls are refused until it comes
            await asyncio.wait_for(self._media.filled.wait(), MEDIA_SECONDS)
        await self._server.start(self._state.socket("edge"))
        self._tasks = [
            loop.create_task(work) for work in (self._edge.trunks.watch(), self._watch(), self._sweep())
        ]
        await stop.wait()
        await self._stop()

    async def _stop(self) -> None:
        """End all calls, wait a moment for the far ends, write what is queued."""
        for task in self._tasks:
            task.cancel()
        self._edge.close()
        clients = self._edge.agent.transactions.clients
        deadline = time.monotonic() + BYE_SECONDS
        while any(transaction.state in ("trying", "proceeding") for transaction in clients.values()):
            if time.monotonic() > deadline:
                break
            await asyncio.sleep(0.02)
        await self._media.close()
        await self._server.close()
        self._transport.close()
        await asyncio.to_thread(self._journal.close)

    def _on_media(self, name: str, data: ipc.Json) -> None:
        self._edge.on_media(name, data)

    async def _restore(self) -> None:
        """Take back the registrations from before a restart, so that phones can be rung at once.

        Not those over a connection: it is gone, and its phone registers again when it sees that.
        """
        now, monotonic = time.time(), self._edge.timers.clock()
        for row in await asyncio.to_thread(self._journal.registrations):
            try:
                body = row["body"]
                local = (body["local"][0], self._edge.port)
                flow = Flow(body["transport"], local, (body["remote"][0], body["remote"][1]))
                expires = monotonic + row["expires"] - now
                binding = Binding(
                    row["extension"],
                    body["key"],
                    body["contact"],
                    flow,
                    expires,
                    body["agent"],
                    body["call_id"],
                    body["cseq"],
                )
            except (KeyError, TypeError, IndexError):
                continue
            if row["extension"] in self._edge.directory.stations:
                self._edge.registrar.restore(binding)

    async def _watch(self) -> None:
        """See changes of the inventory that nobody told us of."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            revision = await asyncio.to_thread(self._source.revision)
            if revision is not None and revision != self._edge.directory.snapshot.revision:
                try:
                    await self._reload({})
                except OperatorError as error:
                    _log.error("%s (calls go on with the inventory in memory)", error)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            self._edge.registrar.expire()

    async def _reload(self, _args: ipc.Json) -> ipc.Json:
        """Swap the snapshot."""
        directory = await asyncio.to_thread(self._source.load)
        self._edge.directory = directory
        self._edge.trunks.update(directory.trunks)
        self._edge.registrar.keep(directory.stations.keys())
        self._edge.presence.keep()
        return {"revision": directory.snapshot.revision}

    def _ping(self, _args: ipc.Json) -> ipc.Json:
        return {"pid": os.getpid(), "uptime": round(time.monotonic() - self._started, 1)}

    def _status(self, _args: ipc.Json) -> ipc.Json:
        edge = self._edge
        host, port = self._transport.address
        return {
            "revision": edge.directory.snapshot.revision,
            "sip": f"{host}:{port}",
            "registrations": [edge.registration_row(binding) for binding in edge.registrar.all()],
            "calls": [call.view() for call in edge.calls.values()],
            "trunks": [{"id": peer.trunk.id, "up": peer.up} for peer in edge.trunks.peers],
            "counters": {**edge.counters, "malformed": edge.agent.transactions.malformed},
        }


def main(state: StateDir, bind: str, sip_port: int) -> None:
    """Run the edge until it is told to stop. Raises OperatorError when it cannot begin."""
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    with runner:
        try:
            runner.run(Process(state).run(bind, sip_port))
        except OSError as error:
            raise OperatorError(f"the edge cannot run ({error.strerror})", "see the log") from None
