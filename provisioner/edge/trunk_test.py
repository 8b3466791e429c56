"""A live test of a trunk: its name looked up, its gateways reached and asked, its password tried.

It has sockets, transactions and look-ups of its own, and registers nothing: no call, no route and no gateway's health
is touched by it, whatever comes of it (docs/internals.md, "edge").
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Literal

import msgspec

from provisioner import __version__, ipc
from provisioner.edge.trunk import Locator
from provisioner.errors import OperatorError, PeerError, UsageError
from provisioner.sip import tls
from provisioner.sip.agent import Agent, Credentials, Random
from provisioner.sip.digest import Account
from provisioner.sip.headers import NameAddr, Uri, Via, join_host, numeric, split_list
from provisioner.sip.message import Request, Response
from provisioner.sip.resolve import DnsDeadError, Target
from provisioner.sip.session import Session
from provisioner.sip.transaction import Flow, ServerTransaction
from provisioner.sip.transport import LoopTimers, SipTransport
from provisioner.store.records import Trunk, TrunkSecret
from provisioner.trunks.profile import profile_of

NAME_SECONDS = 8.0  # for all questions to DNS together
ANSWER_SECONDS = 4.0  # for one gateway, as long as an emergency call gives it
PASSWORD_SECONDS = 5.0
MOST_TARGETS = 4
MOST_AT_ONCE = 3
KEPT = 16  # finished tests whose steps can still be read
NAMES = ("name", "reach", "answer", "password")

State = Literal["waiting", "running", "good", "warn", "bad"]


class Step(msgspec.Struct, kw_only=True):
    """One step: how it stands, and by `code` and `detail` why; the page has the words."""

    step: str
    state: State = "waiting"
    code: str = ""
    detail: dict[str, Any] = {}


class _Asker(Agent):
    """A user agent whose REGISTER only asks: without a Contact it binds nothing (RFC 3261 10.2.3)."""

    def add_via(self, request: Request, flow: Flow) -> None:
        super().add_via(request, flow)
        request.remove("contact")


class _Nobody:
    """Takes nothing: a test only asks."""

    def on_invite(self, session: Session) -> None:
        session.reject(480)

    def on_request(self, transaction: ServerTransaction) -> None:
        transaction.reply(501)


class TrunkTest:
    """One test. `run` never raises for what a core does; `steps` may be read at any time."""

    def __init__(
        self, trunk: Trunk, secret: TrunkSecret | None, bind: str, locator: Locator, rng: Random
    ) -> None:
        """Raises OperatorError for a trunk that cannot be one."""
        self.trunk = trunk
        self.profile = profile_of(trunk)
        self.uri = _uri(trunk.uri)
        self.next_hop = _uri(trunk.proxy) if trunk.proxy else self.uri
        self.steps = [Step(step=name) for name in NAMES]
        self.done = False
        self._policy = tls.Policy(tls.client_context(trunk.authorities), self.profile.tls_wildcards, 0)
        self._account = Account(secret.user, secret.password, secret.realm) if secret else None
        self._user = secret.user if secret else ""
        self._bind, self._locator, self._rng = bind, locator, rng

    async def run(self) -> None:
        """Do the steps, each after the other; those after one that failed stay undone."""
        transport = SipTransport(None, lambda _host: False)
        transport.policies[self.next_hop.host] = self._policy
        timers = LoopTimers(asyncio.get_running_loop())
        agent = _Asker(
            _Nobody(), timers, self._rng, transport.send, transport.connect, f"Provisioner/{__version__}"
        )
        transport.agent = agent
        try:
            await transport.open(self._bind, 0)
            await self._all(transport, agent)
        except OperatorError as error:
            self._current.state, self._current.code = "bad", "here"
            self._current.detail = {"problem": str(error)}
        finally:
            self.done = True
            transport.close()

    @property
    def _current(self) -> Step:
        return next((step for step in self.steps if step.state in ("running", "waiting")), self.steps[-1])

    def view(self) -> ipc.Json:
        """As `trunk_test_status` answers; no password is in it."""
        return {"trunk": self.trunk.id, "done": self.done, "steps": msgspec.to_builtins(self.steps)}

    def _say(self, name: str, state: State, code: str = "", **detail: Any) -> None:
        step = self.steps[NAMES.index(name)]
        step.state, step.code, step.detail = state, code, detail

    async def _all(self, transport: SipTransport, agent: Agent) -> None:
        targets = await self._look_up()
        if not targets:
            return
        reached = await self._reach(targets, transport, agent)
        if reached is None:
            return
        target, response, challenged = reached
        if response.status == 503:
            self._say("answer", "bad", "unavailable", status=503)
            return
        shut = response.status == 403
        self._say(
            "answer", "warn" if shut else "good", "forbidden" if shut else "answered", status=response.status
        )
        await self._password(target, response, challenged, transport, agent)

    async def _look_up(self) -> list[Target]:
        """The gateways, in order; none when that is the end."""
        host = self.next_hop.host
        self._say("name", "running", host=host)
        try:
            async with asyncio.timeout(NAME_SECONDS):
                found = await self._locator.locate(self.next_hop, self.profile.transports)
        except (DnsDeadError, TimeoutError):
            self._say("name", "bad", "dns-dead", host=host)
            return []
        targets = list(found.targets)
        if not targets:
            self._say("name", "bad", "unknown", host=host)
            return []
        shown = [[target.transport, join_host(target.host, target.port)] for target in targets[:MOST_TARGETS]]
        code = "numeric" if numeric(host) else "found"
        self._say("name", "good", code, host=host, targets=shown, more=max(0, len(targets) - MOST_TARGETS))
        return targets[:MOST_TARGETS]

    async def _reach(
        self, targets: list[Target], transport: SipTransport, agent: Agent
    ) -> tuple[Target, Response, bool] | None:
        """The first gateway that answers OPTIONS, its answer, and whether it asked for a password."""
        failed: list[list[str]] = []
        for target in targets:
            place = [target.transport, join_host(target.host, target.port)]
            self._say("reach", "running", transport=place[0], address=place[1], failed=failed)
            flow = self._flow(target, agent)
            me = NameAddr(Uri("sip", "provisioner.invalid", user="ping"))
            request = agent.new_request("OPTIONS", str(self.uri), me, NameAddr(self.uri), [])
            response, challenged = await _ask(agent, request, flow, self._account, ANSWER_SECONDS)
            if response is not None:
                seen = _seen_as(response)
                self._say(
                    "reach", "good", "reached", transport=place[0], address=place[1], failed=failed, seen=seen
                )
                return target, response, challenged
            connected = flow.reliable and transport.stream_is_open(flow)
            failed.append([*place, "silent" if connected else transport.problems.get(flow.remote, "silent")])
        silent = all(problem == "silent" for *_place, problem in failed)
        quiet = silent and not self.profile.options
        self._say(
            "reach", "warn" if quiet else "bad", "quiet" if quiet else "silent" if silent else "unreachable",
            failed=failed,
        )  # fmt: skip
        return None

    def _flow(self, target: Target, agent: Agent) -> Flow:
        address = (target.host, target.port)
        if target.transport == "UDP":
            return agent.connect("UDP", address)
        return agent.connect(target.transport, address, self.next_hop.host)

    async def _password(
        self, target: Target, said: Response, challenged: bool, transport: SipTransport, agent: Agent
    ) -> None:
        """Whether the account is taken: by a REGISTER that binds nothing, else by what OPTIONS has shown."""
        self._say("password", "running")
        registers = self.profile.authentication == "register"
        if self._account is None:
            asked = registers or self.profile.authentication == "invite" or said.status in (401, 407)
            seen = _seen_as(said)
            self._say("password", "bad" if asked else "good", "missing" if asked else "by-address", seen=seen)
        elif registers:
            me = NameAddr(Uri("sip", self.uri.host, None, self._user))
            uri = f"{self.uri.scheme}:{join_host(self.uri.host)}"
            request = agent.new_request("REGISTER", uri, me, me, [])
            flow = self._flow(target, agent)
            response, asked = await _ask(agent, request, flow, self._account, PASSWORD_SECONDS)
            self._judge(response, asked)
        elif challenged:
            self._judge(said, True)
        else:
            self._say("password", "warn", "at-call")

    def _judge(self, response: Response | None, asked: bool) -> None:
        status = response.status if response else 0
        if 200 <= status < 300:
            self._say("password", "good", "accepted" if asked else "unasked")
        elif status in (401, 407):
            self._say("password", "bad", "rejected", status=status)
        elif status in (403, 404):
            self._say("password", "bad", "forbidden" if status == 403 else "no-account", status=status)
        else:
            self._say("password", "warn", "not-told", status=status)


async def _ask(
    agent: Agent, request: Request, flow: Flow, account: Credentials | None, seconds: float
) -> tuple[Response | None, bool]:
    """The final answer, None when there is none in time, and whether a password was asked for."""
    answer: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()

    def heard(response: Response | None) -> None:
        if not answer.done() and (response is None or response.status >= 200):
            answer.set_result(response)

    exchange = agent.request(request, flow, heard, account)
    response: Response | None = None
    with suppress(TimeoutError):
        response = await asyncio.wait_for(answer, seconds)
    exchange.abandoned = True
    shown = exchange.request.get("authorization") or exchange.request.get("proxy-authorization")
    return response, bool(shown) or (response is not None and response.status in (401, 407))


def _seen_as(response: Response) -> str:
    """The address that the core sees us at (RFC 3261 18.2.1), "" where it is our own."""
    try:
        via = Via.parse(split_list(response.get("via"))[0])
    except (PeerError, IndexError):
        return ""
    received = via.params.get("received") or ""
    return received if received != via.host else ""


def _uri(text: str) -> Uri:
    try:
        uri = Uri.parse(text)
    except PeerError:
        uri = Uri("tel")
    if uri.scheme not in ("sip", "sips") or not uri.host:
        raise OperatorError("the trunk's address is no SIP address", "write it as sip:provider.example")
    return uri


class TrunkTests:
    """The tests of an edge, by name. `stored`: a trunk of the inventory with its secret, by id."""

    def __init__(
        self,
        bind: str,
        locator: Callable[[], Locator],
        rng: Random,
        stored: Callable[[str], tuple[Trunk, TrunkSecret | None] | None],
    ) -> None:
        self._bind, self._locator, self._rng, self._stored = bind, locator, rng, stored
        self._tests: OrderedDict[str, TrunkTest] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, args: ipc.Json) -> ipc.Json:
        """Begin a test of the `trunk`: a record with `user`, `password`, `realm`, or the id of a stored one.

        Raises ProvisionerError.
        """
        if len(self._tasks) >= MOST_AT_ONCE:
            raise OperatorError("other trunks are being tested", "wait a few seconds")
        trunk, secret = self._wanted(args)
        test = TrunkTest(trunk, secret, self._bind, self._locator(), self._rng)
        name = f"{self._rng.getrandbits(64):016x}"
        self._tests[name] = test
        while len(self._tests) > KEPT:
            self._tests.popitem(last=False)
        task = asyncio.get_running_loop().create_task(test.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return {"test": name, **test.view()}

    def status(self, args: ipc.Json) -> ipc.Json:
        """How a `test` stands. Raises OperatorError when it is forgotten."""
        name = str(args.get("test", ""))
        test = self._tests.get(name)
        if test is None:
            raise OperatorError("that test is forgotten", "begin it again")
        return {"test": name, **test.view()}

    def _wanted(self, args: ipc.Json) -> tuple[Trunk, TrunkSecret | None]:
        given = args.get("trunk")
        if isinstance(given, str):
            found = self._stored(given)
            if found is None:
                raise OperatorError(
                    f"there is no trunk {given}", "save it first, or look at the list of trunks"
                )
            return found
        try:
            trunk = msgspec.convert(given, Trunk)
        except msgspec.ValidationError as error:
            raise UsageError(f"That is no trunk: {error}") from None
        user, password, realm = (str(args.get(name) or "") for name in ("user", "password", "realm"))
        return trunk, TrunkSecret(id=trunk.id, user=user, password=password, realm=realm) if user else None
