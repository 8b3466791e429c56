"""The edge as a process: sockets, the control socket, the inventory's changes, a clean stop."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import secrets
import signal
import time
from collections.abc import Callable
from contextlib import suppress

import msgspec

from provisioner import __version__, certificates, garbage, ipc
from provisioner.edge import click
from provisioner.edge.directory import Source
from provisioner.edge.edge import Edge
from provisioner.edge.features import Values
from provisioner.edge.kept import Kept
from provisioner.edge.registrar import Binding
from provisioner.edge.resync import JOB_SECONDS
from provisioner.edge.trunk import Peer
from provisioner.edge.trunk_test import TrunkTests
from provisioner.errors import OperatorError, ProvisionerError
from provisioner.interfaces import local_addresses
from provisioner.media.client import MediaClient
from provisioner.media.speech import Speech
from provisioner.paths import StateDir, write_atomically
from provisioner.phones.notify import Dialects
from provisioner.sip import tls
from provisioner.sip.agent import Agent
from provisioner.sip.headers import join_host
from provisioner.sip.resolve import Resolver
from provisioner.sip.transaction import Flow
from provisioner.sip.transport import LoopTimers, SipTransport
from provisioner.store import dial_through
from provisioner.store.inventory import Inventory
from provisioner.store.journal import Journal
from provisioner.store.records import Trunk, TrunkSecret

WATCH_SECONDS = 1.0
PURGE_SECONDS = 60.0  # between deletions of old calls
DAY = 86_400.0
MEASURE_SECONDS = 0.1
BYE_SECONDS = 1.5  # for the answers to our last BYEs
EMERGENCY_SECONDS = 2.0  # that emergency calls go on for when all others are ended
MEDIA_SECONDS = 10.0
RECENT_CALLS = 200
TEST_NUMBER = "933"  # of emergency calls: nobody calls back
TRUNKS_FILE = "trunks.json"
LIMITS_FILE = "limits.json"
CALLBACKS_FILE = "callbacks.json"
BANS_FILE = "bans.json"
SELFTESTS_FILE = "selftests.json"  # when each line calls 933
SELFTEST_SECONDS = 30.0  # between two looks at whose turn it is
TURNS_FILE = "turns.json"  # who was the first to ring of each ring group
_log = logging.getLogger(__name__)


class Process:
    """Wires the edge to its sockets."""

    def __init__(self, state: StateDir) -> None:
        self._state = state
        self._source = Source(state)
        self._started = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []
        self._kept: ipc.Json = {}
        self._saving: set[asyncio.Task[None]] = set()

    async def run(self, bind: str, port: int, tls_port: int = 0) -> None:
        """Serve until SIGTERM or SIGINT."""
        loop = asyncio.get_running_loop()
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        directory = await asyncio.to_thread(self._source.load)
        self._journal = await asyncio.to_thread(Journal.open, self._state.journal)
        rng = random.SystemRandom()
        self._trunk_tests = TrunkTests(bind, lambda: Resolver(loop.time, rng), rng, self._stored_trunk)
        self._server = ipc.Server(self._methods())
        self._media = MediaClient(self._state.socket("media"), bind, secrets.token_hex(4), self._on_media)
        self._edge = Edge(
            directory, LoopTimers(loop), rng, self._media, time.time,
            self._server.publish, self._journal.write, secrets.token_bytes(32),
        )  # fmt: skip
        self._edge.speech = Speech(self._media.speak, self._state.run)
        self._edge.spent = self._spent
        self._edge.save = self._save_features
        self._edge.reference_key = await asyncio.to_thread(self._source.reference_key)
        await self._recall()
        self._transport = SipTransport(self._edge.flow_lost, self._edge.gate.connects)
        await self._open(bind, port, tls_port)
        await self._restore()
        await self._resume()
        with suppress(OperatorError):  # the journal itself says what is wrong with it
            self._edge.moves.load(await asyncio.to_thread(self._journal.whereabouts))
        self._media.start()
        with suppress(TimeoutError):  # without media phones register, and calls are refused until it comes
            await asyncio.wait_for(self._media.filled.wait(), MEDIA_SECONDS)
        await self._server.start(self._state.socket("edge"))
        watch = self._edge.trunks.watch(Resolver(loop.time, rng))
        work = (watch, self._watch(), self._sweep(), self._measure(), self._selftest())
        self._tasks = [loop.create_task(each) for each in work]
        garbage.settle()
        await stop.wait()
        await self._stop()

    def _methods(self) -> dict[str, ipc.Method]:
        """What the control socket answers (docs/internals.md)."""
        return {
            "ping": self._ping,
            "status": self._status,
            "metrics": self._metrics,
            "reload": self._reload,
            "unban": self._unban,
            "emergency_test": self._emergency_test,
            "call": self._call,
            "legs": self._legs,
            "resync": self._resync,
            "resync_status": self._resync_status,
            "trunk_test": self._trunk_tests.start,
            "trunk_test_status": self._trunk_tests.status,
        }

    async def _recall(self) -> None:
        """What the edge knew before it was started again, and where that is kept from now on."""
        self._limits = Kept(self._state.root / LIMITS_FILE, self._edge.limits.remember)
        self._edge.limits.recall(await asyncio.to_thread(self._limits.load))
        self._edge.limits.changed = self._limits.changed
        self._callbacks = Kept(self._state.root / CALLBACKS_FILE, self._edge.callbacks.remember)
        self._edge.callbacks.recall(await asyncio.to_thread(self._callbacks.load))
        self._edge.callbacks.changed = self._callbacks.changed
        self._bans = Kept(self._state.root / BANS_FILE, self._edge.gate.remember)
        self._edge.gate.recall(await asyncio.to_thread(self._bans.load))
        self._selftests = Kept(self._state.root / SELFTESTS_FILE, lambda: self._edge.selftests.schedule.due)
        self._edge.selftests.recall(await asyncio.to_thread(self._selftests.load))
        self._edge.selftests.changed = self._selftests.changed
        self._turns = Kept(self._state.root / TURNS_FILE, lambda: self._edge.first)
        self._edge.take_turns(await asyncio.to_thread(self._turns.load))
        self._edge.turned = self._turns.changed

    async def _open(self, bind: str, port: int, tls_port: int) -> None:
        """The sockets, and the trunks over them. Raises OperatorError when the port is taken."""
        edge, transport = self._edge, self._transport
        edge.trunks.recall(await asyncio.to_thread(self._remembered))
        edge.port = (await transport.open(bind, port))[1]
        name = f"Provisioner/{__version__}"
        edge.agent = Agent(edge, edge.timers, edge.rng, transport.send, transport.connect, name)
        edge.agent.stream_to = transport.stream_to
        transport.agent = edge.agent
        edge.trunks.trust = self._trust
        edge.trunks.update(edge.directory.trunks, edge.directory.snapshot.trunk_secrets)
        await self._open_tls(bind, tls_port)

    async def _open_tls(self, bind: str, port: int) -> None:
        """TLS for phones. Whatever goes wrong with it, all other calls go on."""
        names = local_addresses() if bind in ("", "0.0.0.0", "::") else [bind]  # noqa: S104
        try:
            folder = self._state.root / "tls"
            context = await asyncio.to_thread(certificates.context, folder, names, file="sip.pem")
            await self._transport.open_tls(port, context)
        except OperatorError as error:
            _log.error("no SIP over TLS: %s", error)

    def _trust(self, peer: Peer) -> None:
        """Tell the sockets what the servers of a trunk must show. Raises OperatorError."""
        context = tls.client_context(peer.trunk.authorities)
        policy = tls.Policy(context, peer.profile.tls_wildcards, peer.profile.keep_alive)
        self._transport.policies[peer.domain] = policy

    def _remembered(self) -> object:
        """Where the trunks were, before the restart."""
        try:
            return msgspec.json.decode((self._state.root / TRUNKS_FILE).read_bytes())
        except (OSError, msgspec.MsgspecError):
            return None

    async def _remember(self) -> None:
        """Keep where the trunks are, for a start with DNS dead."""
        known = self._edge.trunks.remember()
        if known and known != self._kept:
            self._kept = known
            try:
                data = msgspec.json.encode(known)
                await asyncio.to_thread(write_atomically, self._state.root / TRUNKS_FILE, data)
            except OSError as error:
                _log.warning("the addresses of the trunks cannot be kept (%s)", error.strerror)

    async def _stop(self) -> None:
        """End all calls, wait a moment for the far ends, write what is queued."""
        for task in self._tasks:
            task.cancel()
        self._edge.close()
        await _while(lambda: bool(self._edge.emergencies), EMERGENCY_SECONDS)
        self._edge.end_emergencies()
        clients = self._edge.agent.transactions.clients
        await _while(
            lambda: any(each.state in ("trying", "proceeding") for each in clients.values()), BYE_SECONDS
        )
        await self._media.close()
        await self._server.close()
        self._transport.close()
        await self._limits.close()
        await self._callbacks.close()
        self._keep_bans()
        await self._bans.close()
        await self._turns.close()
        await self._selftests.close()
        await asyncio.gather(*self._saving)
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
                    monotonic + body["since"] - now if "since" in body else None,
                )
            except (KeyError, TypeError, IndexError):
                continue
            station = self._edge.directory.stations.get(row["extension"])
            if station and body.get("mac", station.phone.id) == station.phone.id:
                self._edge.registrar.restore(binding)

    async def _resume(self) -> None:
        """Take up the jobs of before a restart, and what may not be disturbed meanwhile."""
        resyncs, now = self._edge.resyncs, time.time()
        folder = self._state.root / "phone_templates"
        try:
            resyncs.dialects = await asyncio.to_thread(Dialects, [folder])
        except OperatorError as error:
            _log.error("%s (what ships is used)", error)
        try:
            calls = await asyncio.to_thread(self._journal.calls, RECENT_CALLS)
            rows = await asyncio.to_thread(self._journal.resyncs, "", now - 2 * JOB_SECONDS)
        except OperatorError as error:
            _log.error("%s (jobs that were interrupted do not go on)", error)
            return
        for call in calls:
            station = self._edge.directory.stations.get(str(call["desk"]))
            if call["emergency"] and station and not str(call["called"]).endswith(TEST_NUMBER):
                resyncs.emergency(station.phone.id, float(call["ended"] or now))
        resyncs.resume(rows)

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
        purged = float("-inf")
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            self._edge.registrar.expire()
            if time.monotonic() - purged >= PURGE_SECONDS:
                purged = time.monotonic()
                practice = self._edge.directory.snapshot.practice
                self._journal.purge_calls(time.time() - max(1, practice.keep_calls_days) * DAY)
                self._journal.purge_requests(time.time() - max(1, practice.keep_requests_days) * DAY)
            await self._hear()
            await self._remember()
            self._keep_bans()

    def _keep_bans(self) -> None:
        """Write the bans if there is news; once a second, for somebody may forge many sources."""
        if self._edge.gate.guard.changed:
            self._bans.changed()

    async def _hear(self) -> None:
        """What phones asked the front for, while somebody waits for them to come back."""
        resyncs = self._edge.resyncs
        if resyncs.running:
            with suppress(OperatorError):  # the journal itself says what is wrong with it
                read = self._journal.requests_after
                resyncs.heard(await asyncio.to_thread(read, resyncs.seen, resyncs.since))

    async def _measure(self) -> None:
        """How late this loop gets to what is due: the queue that a request waits in."""
        clock = self._edge.timers.clock
        while True:
            due = clock() + MEASURE_SECONDS
            await asyncio.sleep(MEASURE_SECONDS)
            self._edge.gate.overload.measured(clock() - due)

    async def _selftest(self) -> None:
        """Calls to 933 by the schedule."""
        while True:
            await asyncio.sleep(SELFTEST_SECONDS)
            try:
                self._edge.selftests.tick()
            except Exception:
                _log.exception("no test of emergency calls now")

    def _save_features(self, extension: str, values: Values) -> None:
        """Write what a phone changed by a code; the call does not wait for the disk."""
        task = asyncio.get_running_loop().create_task(self._write_features(extension, values))
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)

    async def _write_features(self, extension: str, values: Values) -> None:
        try:
            await asyncio.to_thread(self._source.set_features, extension, values)
        except ProvisionerError as error:
            _log.error("what extension %s has set holds until the next restart only: %s", extension, error)

    async def _reload(self, _args: ipc.Json) -> ipc.Json:
        """Swap the snapshot."""
        directory = await asyncio.to_thread(self._source.load)
        self._edge.swap(directory)
        if not self._edge.reference_key:
            self._edge.reference_key = await asyncio.to_thread(self._source.reference_key)
        self._edge.trunks.update(directory.trunks, directory.snapshot.trunk_secrets)
        return {"revision": directory.snapshot.revision}

    def _unban(self, args: ipc.Json) -> ipc.Json:
        """Listen to a source again. Raises OperatorError when it is not banned."""
        return self._edge.gate.unban(str(args.get("source", "")))

    def _emergency_test(self, args: ipc.Json) -> ipc.Json:
        """Call 933 in the name of a line. Raises UsageError."""
        return {"call": self._edge.selftests.start(str(args.get("extension", "")), "hand")}

    def _resync(self, args: ipc.Json) -> ipc.Json:
        """Begin a job. Raises ProvisionerError for what makes no sense."""
        macs = args.get("macs")
        chosen = None if macs == "all" else [str(mac) for mac in macs] if isinstance(macs, list) else []
        return self._edge.resyncs.start(chosen, str(args.get("mode", "")), str(args.get("who", "")))

    def _resync_status(self, args: ipc.Json) -> ipc.Json:
        return self._edge.resyncs.status(str(args.get("job", "")))

    def _stored_trunk(self, name: str) -> tuple[Trunk, TrunkSecret | None] | None:
        snapshot = self._edge.directory.snapshot
        trunk = snapshot.trunks.get(name)
        return (trunk, snapshot.trunk_secrets.get(name)) if trunk else None

    def _spent(self, binding: str) -> None:
        """A dial-through number that was good once is used up; should that not be written, it is so till a restart."""

        def release() -> None:
            with suppress(OperatorError):
                inventory = Inventory.open(self._state.inventory)
                try:
                    dial_through.release(inventory, binding, who="dial-through")
                finally:
                    inventory.close()

        asyncio.get_running_loop().run_in_executor(None, release)

    def _call(self, args: ipc.Json) -> ipc.Json:
        """Click-to-call. Raises OperatorError."""
        extension, to, number = (str(args.get(name) or "") for name in ("extension", "to", "number"))
        return click.call(self._edge, extension, to, number)

    def _legs(self, args: ipc.Json) -> ipc.Json:
        """The legs so far of a call that is on; none of any other."""
        edge, name = self._edge, str(args.get("call", ""))
        call = edge.calls.get(name)
        if call is None:
            return {"legs": []}
        live = [leg for leg in edge.media_owners.values() if leg.owner.id == name]
        return {"legs": edge.records.legs(name, call.started, live, edge.wall_clock())}

    def _ping(self, _args: ipc.Json) -> ipc.Json:
        return {"pid": os.getpid(), "uptime": round(time.monotonic() - self._started, 1)}

    def _metrics(self, _args: ipc.Json) -> ipc.Json:
        return {**self._edge.records.measured(), "dropped": self._journal.dropped}

    def _status(self, _args: ipc.Json) -> ipc.Json:
        edge = self._edge
        host, port = self._transport.address
        return {
            "revision": edge.directory.snapshot.revision,
            "sip": join_host(host, port),
            "sips": join_host(host, self._transport.tls_port) if self._transport.tls_port else "",
            "registrations": [edge.registration_row(binding) for binding in edge.registrar.all()],
            "calls": [call.view() for call in edge.calls.values()],
            "trunks": [self._trunk_row(peer) for peer in edge.trunks.peers],
            "bans": edge.gate.bans(),
            "suspects": edge.moves.suspects(),
            "limits": edge.limits.view(),
            "counters": {
                **edge.counters,
                "malformed": edge.agent.transactions.malformed,
                "probes": self._transport.probes,
            },
        }

    def _trunk_row(self, peer: Peer) -> ipc.Json:
        """A row of `trunks` (docs/internals.md)."""
        return {
            "id": peer.trunk.id,
            "up": peer.up,
            "registered": peer.registration.registered if peer.registration else None,
            "stale": peer.stale,
            "gateways": [
                {
                    "transport": gateway.target.transport,
                    "address": join_host(*gateway.address),
                    "up": gateway.up,
                    "problem": self._transport.problems.get(gateway.address, ""),
                }
                for gateway in peer.gateways
            ],
        }


async def _while(condition: Callable[[], bool], seconds: float) -> None:
    """Wait as long as `condition` holds, at most so long."""
    deadline = time.monotonic() + seconds
    while condition():
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.02)


def main(state: StateDir, bind: str, sip_port: int, sips_port: int = 0) -> None:
    """Run the edge until it is told to stop. Raises OperatorError when it cannot begin."""
    try:
        import uvloop

        runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    except ImportError:
        runner = asyncio.Runner()
    with runner:
        try:
            runner.run(Process(state).run(bind, sip_port, sips_port))
        except OSError as error:
            raise OperatorError(f"the edge cannot run ({error.strerror})", "see the log") from None
