"""The edge: what becomes of each request of a phone or the core. Answers from memory; nothing here waits."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Protocol

from provisioner.dialing.classify import Destination, classify
from provisioner.edge import callers, features, leads, outbound, placing, referral, routes
from provisioner.edge.call import Call
from provisioner.edge.callback import Callbacks
from provisioner.edge.carriage import Located
from provisioner.edge.directory import Directory, Station
from provisioner.edge.emergency import EmergencyCall
from provisioner.edge.frontdesk import FrontDesk
from provisioner.edge.gate import EdgeGate
from provisioner.edge.leg import Attempt, Leg, Owner
from provisioner.edge.limits import Limits
from provisioner.edge.moves import Moves
from provisioner.edge.notices import Notices
from provisioner.edge.placing import MAX_DIALOGS
from provisioner.edge.presence import EVENTS, Presence
from provisioner.edge.quality import Records
from provisioner.edge.registrar import Binding, IntervalTooBriefError, Registrar
from provisioner.edge.resync import Resyncs
from provisioner.edge.selftest import SelfTests
from provisioner.edge.texts import Delivery
from provisioner.edge.through import Bindings
from provisioner.edge.trunk import Peer, Trunks
from provisioner.emergency import pidf, references
from provisioner.errors import PeerError
from provisioner.sip.agent import ALLOW, Agent, Random
from provisioner.sip.digest import Authenticator
from provisioner.sip.headers import NameAddr, Uri
from provisioner.sip.message import Request
from provisioner.sip.refer import Referral
from provisioner.sip.sdp import offered
from provisioner.sip.session import Session
from provisioner.sip.subscription import event_of
from provisioner.sip.timers import Timers
from provisioner.sip.transaction import Flow, ServerTransaction

if TYPE_CHECKING:
    from provisioner.media.client import MediaLeg

REALM = "provisioner"
EMERGENCY_RESERVE = (
    12  # media ports that only emergency calls may take; a call takes two, or three for a moment
)
_log = logging.getLogger(__name__)


class Media(Protocol):
    """Where media legs come from: `MediaClient`."""

    def take(self) -> MediaLeg | None: ...


class Speech(Protocol):
    """What speaks names: `provisioner.media.speech`."""

    def prepare(self, call: str, name: str) -> None: ...

    def clip(self, call: str) -> str: ...

    def forget(self, call: str) -> None: ...


class ActiveCall(Protocol):
    """What `calls` holds."""

    id: str
    over: bool
    started: float
    answered: float | None

    def view(self) -> dict[str, Any]: ...

    def dialogs(self) -> Iterable[Leg]: ...

    def hangup(self, outcome: str) -> None: ...


class Edge:
    """The application on the SIP agent. `publish` pushes events, `record` queues rows for the journal."""

    def __init__(
        self,
        directory: Directory,
        timers: Timers,
        rng: Random,
        media: Media,
        wall_clock: Callable[[], float],
        publish: Callable[[str, dict[str, Any]], None],
        record: Callable[[str, dict[str, Any]], None],
        nonce_key: bytes,
    ) -> None:
        self.directory = directory
        self.timers = timers
        self.rng = rng
        self.media = media
        self.wall_clock = wall_clock
        self.publish = _unfailing(publish)
        self.record = _unfailing(record)
        self.port = 5060
        self.reference_key = b""  # of location URIs; the front has the same
        self.registrar = Registrar(timers.clock, self._registration, lambda: 1 - rng.randrange(101) / 1000)
        self.trunks = Trunks(self, self._trunk_changed)
        self.notices = Notices(self)
        self.auth = Authenticator(REALM, nonce_key, timers.clock)
        self.calls: dict[str, ActiveCall] = {}
        self.media_owners: dict[str, Leg] = {}
        self.counters: Counter[str] = Counter()
        self.through = Bindings(self)
        self.spent: Callable[[str], None] = lambda _binding: (
            None
        )  # a dial-through that was good once is used up
        self.records = Records(lambda row: record("calls", row), lambda call: call in self.calls)
        self.limits = Limits(
            timers.clock,
            wall_clock,
            lambda: self.directory.snapshot.practice,
            lambda line: outbound.busy(self, line),
        )
        self.gate = EdgeGate(self, nonce_key)
        self.presence = Presence(self)
        self.resyncs = Resyncs(self)
        self.moves = Moves(self)
        self.save: Callable[[str, features.Values], None] = lambda _extension, _values: (
            None
        )  # into the inventory
        self.first: dict[str, str] = {}  # who was the first to ring of each ring group, last time
        self.turned: Callable[[], None] = lambda: None  # `first` is new
        self.callbacks = Callbacks(wall_clock)
        self.front_desk = FrontDesk(self)
        self.selftests = SelfTests(self)
        self.closing = False
        self.speech: Speech | None = None
        self._reserve: list[MediaLeg] = []
        self._token = 0

    @property
    def agent(self) -> Agent:
        """The user agent that the edge stands on."""
        return self._agent

    @agent.setter
    def agent(self, agent: Agent) -> None:
        """Whoever the agent is, nothing gets past the gate; say what we can do, and what it must let through."""
        self._agent = agent
        agent.transactions.gate = self.gate
        agent.supported = (*agent.supported, "replaces", "norefersub")
        agent.events = EVENTS
        agent.exempt = self._urgent

    # small things that calls need

    def count(self, name: str) -> None:
        """One more of `name`."""
        self.counters[name] += 1

    def new_id(self) -> str:
        return f"{self.rng.getrandbits(64):016x}"

    def next_token(self) -> int:
        self._token += 1
        return self._token

    def take_media(self, reserve: bool = False) -> MediaLeg | None:
        """A media leg, without waiting; a few are kept back for emergency calls (`reserve`)."""
        while len(self._reserve) < EMERGENCY_RESERVE and (leg := self.media.take()):
            self._reserve.append(leg)
        leg = self.media.take()
        if leg is None and reserve and self._reserve:
            leg = self._reserve.pop()
        if leg is None:
            self.count("no-media-port")
        return leg

    def located(self, station: Station | None) -> Located | None:
        """Where a phone is, as calls carry it. Never fails: the call goes out without it then."""
        if station is None or station.location is None:
            return None
        entity = f"sip:{self.directory.emergency_number(station)}@provisioner.invalid"
        try:
            at = datetime.fromtimestamp(self.wall_clock(), UTC)
            document = pidf.pidf_lo(station.location.civic, entity=entity, mac=station.phone.id, at=at)
        except Exception as error:
            _log.error("the location of extension %s is no good: %s", station.extension, error)
            document = b""
        return Located(station.location, document, lambda base: self.reference(station.phone.id, base))

    def reference(self, mac: str, base: str) -> str:
        """A location URI of a phone below `base` (RFC 5808), "" while the key for it is not known."""
        if not self.reference_key:
            return ""
        expires = int(self.wall_clock()) + references.SECONDS
        nonce = self.rng.getrandbits(64).to_bytes(8, "big")
        return f"{base}/{references.token(self.reference_key, mac, expires, nonce)}"

    def swap(self, directory: Directory) -> None:
        """Answer from a newer inventory; who registered with an account that is no more is gone at once."""
        before, self.directory = self.directory.stations, directory
        kept = {ext for ext, station in directory.stations.items() if station.same_account(before.get(ext))}
        self.registrar.keep(kept)
        self.presence.keep()
        self.moves.swap()

    def flow_lost(self, flow: Flow) -> None:
        """A connection is gone, with the bindings that were reached over it."""
        self.registrar.flow_lost(flow)
        self.trunks.flow_lost(flow)

    def phones_at(self, host: str) -> bool:
        """Whether a phone is registered from this address."""
        return self.registrar.at(host)

    def dialogs(self, extension: str) -> int:
        """How many call legs a line has."""
        return sum(leg.extension == extension for leg in self.media_owners.values())

    def phone_attempts(self, extension: str, user: str, name: str) -> list[Attempt]:
        """One attempt for each contact of an extension; none when it has all the calls that it may."""
        if self.dialogs(extension) >= MAX_DIALOGS:
            self.count("too-many-dialogs")
            return []
        return [routes.to_phone(self, binding, user, name) for binding in self.registrar.contacts(extension)]

    def shown_caller(self, call: Call) -> tuple[str, str]:
        """(display name, user) that a desk phone shows; of an outside caller with privacy, the label."""
        if call.station:
            return routes.label_of(call.station), call.station.extension
        return callers.shown(call.who, call.called, self.directory.number(call.called), call.urgent)

    def set_features(self, extension: str, values: features.Values) -> None:
        """A phone has changed what becomes of its calls: at once here, then in the inventory."""
        self.directory = self.directory.with_features(extension, values)
        self.save(extension, values)

    def rang_first(self, group: str, target: str) -> None:
        """Somebody of a ring group was the first to ring: the next call begins with who follows."""
        if group:
            self.first[group] = target
            self.turned()

    def take_turns(self, kept: object) -> None:
        """Who was first before a restart, as `first` said it. Anything odd in it is left out."""
        if isinstance(kept, dict):
            self.first = {str(group): target for group, target in kept.items() if isinstance(target, str)}

    def contact_failed(self, leg: Leg) -> None:
        """A contact that says nothing to an INVITE, not even 100, is dead."""
        if leg.extension and not leg.heard:
            for binding in self.registrar.contacts(leg.extension):
                if binding.flow == leg.session.flow:
                    self.registrar.drop(binding)

    # events

    def publish_call(self, call: ActiveCall) -> None:
        self.publish("call", call.view())
        self.presence.changed()

    def call_over(self, call: ActiveCall, outcome: str) -> None:
        """The call is over: tell, and write its row."""
        if self.calls.pop(call.id, None) is None:
            return
        if self.speech:
            self.speech.forget(call.id)
        view = {**call.view(), "state": "ended", "outcome": outcome}
        self.publish("call", view)
        self.presence.changed()
        self.count("calls")
        row = {
            key: view[key] for key in ("id", "started", "answered", "direction", "desk", "target", "steps")
        }
        row |= {"caller": view["from"], "called": view["to"], "ended": self.wall_clock(), "outcome": outcome}
        self.records.over({**row, "emergency": int(view["direction"] == "emergency")})
        if isinstance(call, EmergencyCall) and call.kind == "emergency-test":
            self.selftests.ended(call)
        elif isinstance(call, EmergencyCall) and call.station:
            self.resyncs.emergency(call.station.phone.id, self.wall_clock())

    def registration_row(self, binding: Binding, registered: bool = True) -> dict[str, Any]:
        """A row of `registrations` (docs/internals.md)."""
        station = self.directory.stations.get(binding.extension)
        return {
            "extension": binding.extension,
            "mac": station.phone.id if station else "",
            "contact": binding.contact,
            "address": f"{binding.flow.remote[0]}:{binding.flow.remote[1]}",
            "agent": binding.agent,
            "transport": binding.flow.transport,
            "since": self.wall_clock() - self.registrar.age(binding),
            "expires_in": self.registrar.remaining(binding) if registered else 0,
        }

    def _trunk_changed(self, peer: Peer) -> None:
        self.publish("trunk", {"id": peer.trunk.id, "up": peer.up})
        self.notices.check()

    def _registration(self, binding: Binding, registered: bool) -> None:
        row = self.registration_row(binding, registered)
        self.publish("registration", row)
        if registered:
            self.resyncs.registered(binding, row["mac"])
            self.front_desk.registered(binding)
            self.notices.registered(binding)
        body = {
            "key": binding.key,
            "mac": row["mac"],
            "contact": binding.contact,
            "transport": binding.flow.transport,
            "local": list(binding.flow.local),
            "remote": list(binding.flow.remote),
            "agent": binding.agent,
            "call_id": binding.call_id,
            "cseq": binding.cseq,
            "since": row["since"],
        }
        expires = self.wall_clock() + row["expires_in"]
        self.record(
            "registrations",
            {"extension": binding.extension, "contact": binding.key, "body": body, "expires": expires},
        )

    # requests outside calls

    def on_request(self, transaction: ServerTransaction) -> None:
        """REGISTER, OPTIONS and the rest."""
        method = transaction.request.method
        if method == "REGISTER":
            self._on_register(transaction)
        elif method == "NOTIFY":
            self._on_notify(transaction)
        elif method == "OPTIONS":
            transaction.reply(200, "", [*self.agent.abilities, ("accept", "application/sdp")])
        elif method in ("SUBSCRIBE", "MESSAGE"):
            self._on_station_request(transaction)
        else:  # REFER without a call: nothing that we would do for anybody
            status = {"REFER": 603, "PUBLISH": 405}.get(method, 501)
            transaction.reply(status, "", [("allow", ALLOW)])

    def _on_notify(self, transaction: ServerTransaction) -> None:
        """From a core: its mailboxes. From phones: keep-alives, which want an answer and nothing else."""
        request = transaction.request
        if event_of(request) == "message-summary" and self.trunks.source(request, transaction.flow):
            self.presence.notified(transaction)
        else:
            transaction.reply(200)

    def _on_station_request(self, transaction: ServerTransaction) -> None:
        """SUBSCRIBE and MESSAGE: of phones that prove who they are (RFC 6665 4.2.1.3: by 401)."""
        request = transaction.request
        station = self.directory.account(transaction.account)
        if station is None:
            transaction.reply(403)
        elif request.method == "SUBSCRIBE":
            self.presence.subscribe(transaction, station)
        else:
            Delivery(self, transaction, station).begin()

    def _on_register(self, transaction: ServerTransaction) -> None:
        request, flow = transaction.request, transaction.flow
        station = self.directory.account(transaction.account)
        if station is None or NameAddr.parse(request.get("to")).uri.dialled not in _identities(station):
            transaction.reply(403)
            return
        try:
            bindings = self.registrar.register(request, station.extension, flow)
        except IntervalTooBriefError:
            transaction.reply(423, "", [("min-expires", "60")])
            return
        except PeerError as error:
            transaction.reply(error.status, error.reason)
            return
        if any(binding.flow.remote == flow.remote for binding in bindings):
            self.moves.heard(station, flow.remote[0], request.get("p-access-network-info"))
        contacts = [
            f"<{binding.contact}>;expires={self.registrar.remaining(binding)}" for binding in bindings
        ]
        date = formatdate(self.wall_clock(), usegmt=True)  # phones without NTP set their clock by it
        headers = [*(("contact", contact) for contact in contacts), ("date", date)]
        if "reg-id=" in request.get("contact") and "outbound" in request.get("supported"):
            headers.append(
                ("require", "outbound")
            )  # we call it over the flow that it registered on (RFC 5626 6)
        transaction.reply(200, "", headers)

    # calls

    def on_invite(self, session: Session) -> None:
        """A call begins: from the core, an emergency, or from a phone that proves who it is."""
        request, flow = session.invite, session.flow
        peer = self.trunks.source(request, flow)
        try:
            dialled = Uri.parse(request.uri).dialled
        except PeerError as error:
            session.reject(error.status)
            return
        destination = classify(dialled, "keypad", self.directory.plan(None))
        if self._urgent(request) and (
            peer is None or not peer.listens_at(flow.remote)
        ):  # a phone may share the core's address
            if self.agent.looped(request, self.agent.trail(routes.EMERGENCY_TRAIL)):
                session.reject(482)  # the route led to ourselves: the call goes on by the next one
            else:
                self._emergency(session, destination)
            return
        trail = self.agent.trail(f"{peer.trunk.id if peer else 'phone'} {dialled}")
        if self.agent.looped(request, trail):
            session.reject(482)
            return
        if peer:
            self._from_core(session, peer, routes.called_through(peer, request, self._is_ours), trail)
            return
        station = self.directory.account(session.incoming.account) if session.incoming else None
        if station is None:
            session.reject(403)
        elif self.closing:
            session.reject(503, "", [("retry-after", "5")])
        elif (replaces := referral.replaces_of(session)) or session.state == "over":
            if replaces:
                referral.replace(self, session, station, replaces)
        else:
            placing.from_phone(self, session, station, dialled, trail)

    def _who(self, request: Request, flow: Flow) -> Station | None:
        """The line behind an unauthenticated request: by its registered address, else by what it says."""
        stations = self.directory.stations
        extension = self.registrar.extension_at(flow.remote)
        if extension in stations:
            return stations[extension]
        for header in ("from", "contact"):  # a phone that hides its number says in Contact who it is
            with suppress(PeerError):
                user = NameAddr.parse(request.get(header)).uri.dialled
                if station := stations.get(user) or self.directory.account(user):
                    return station
        return None

    def _emergency(self, session: Session, destination: Destination) -> None:
        media = self.take_media(reserve=True)
        if media is None:
            session.reject(503)
            return
        station = self._who(session.invite, session.flow)
        leg = Leg.incoming(self, _NOBODY, session, media, station.extension if station else "")
        call = EmergencyCall(self, leg, destination.number, destination.kind, station)
        leg.owner = call
        call.begin()

    def _urgent(self, request: Request) -> bool:
        """Whether a request is an emergency call, which nothing here may refuse."""
        try:
            dialled = Uri.parse(request.uri).dialled
        except PeerError:
            return False
        kind = classify(dialled, "keypad", self.directory.plan(None)).kind
        return request.method == "INVITE" and kind in ("emergency", "emergency-test", "crisis")

    def refer(self, leg: Leg, request: Referral) -> None:
        """A phone's own transfer key."""
        referral.refer(self, leg, request)

    def new_leg(self, session: Session, extension: str) -> Leg | None:
        try:
            if session.offer:
                offered(session.offer, session.flow.local[0])  # nobody is rung for what nobody could hear
        except PeerError as error:
            session.reject(error.status)
            return None
        media = self.take_media()
        if media is None:
            session.reject(503, "", [("retry-after", "5")])
            return None
        return Leg.incoming(self, _NOBODY, session, media, extension)

    def _is_ours(self, called: str) -> bool:
        number = self.directory.number(called)
        leads_on = number and (number.extension or number.ring_group or number.dial_through)
        return called in self.directory.stations or bool(leads_on)

    def _from_core(self, session: Session, peer: Peer, called: str, trail: str) -> None:
        marked = "psap-callback" in session.invite.get("priority").lower()  # RFC 7090
        plan = self.callbacks.plan(self.directory, called, marked, self.first)
        urgent = plan is not None
        plan = plan or leads.of_number(self.directory, called, self.first)
        who = callers.identify(session.invite)
        bound = self.through.find(called, who)
        if plan is None and bound is None:
            session.reject(404)
            return
        session.reliable_early = peer.profile.reliable_provisional
        if self.closing:
            session.reject(503, "", [("retry-after", "5")])
            return
        leg = self.new_leg(session, "")
        if leg is None:
            return
        leg.peer = peer
        if bound:
            self.through.connect(leg, bound, trail)
            return
        call = Call(self, "inbound", who.number, called)
        call.who, call.urgent = who, urgent
        call.diversions = callers.diversions(session.invite)
        if called in self.directory.stations and peer.trunk.transfer == "core":  # target of a transfer there
            call.station = self.directory.stations.get(who.number)
        call.may_transfer = peer.trunk.transfer == "edge"
        call.trail = trail
        leg.owner = call
        assert plan
        call.begin_plan(leg, plan)

    # media events

    def on_media(self, name: str, data: dict[str, Any]) -> None:
        """An event of the media process."""
        leg = self.media_owners.get(str(data.get("leg")))
        if leg is None:
            return
        if name == "digit":
            leg.owner.on_digit(leg, str(data["digit"]))
        elif name == "press":
            leg.send_key(str(data["digit"]), int(data["milliseconds"]))
        elif name == "played":
            leg.on_played(int(data.get("token") or 0))
        elif name == "silent" and isinstance(leg.owner, Call):
            leg.silent_at = self.timers.clock()
            leg.owner.on_silent()

    def close(self) -> None:
        """Take no new calls, and end those that are up; not emergency calls, new or up."""
        self.closing = True
        self.presence.close()
        self.selftests.close()
        self.front_desk.close()
        for call in self._others():
            call.hangup("the appliance stopped")

    @property
    def emergencies(self) -> list[EmergencyCall]:
        """Emergency calls that are on."""
        return [call for call in self.calls.values() if isinstance(call, EmergencyCall)]

    def _others(self) -> list[ActiveCall]:
        return [call for call in self.calls.values() if not isinstance(call, EmergencyCall)]

    def end_emergencies(self) -> None:
        """End these as well: the process ends, and a BYE tells the centre more than silence."""
        for call in self.emergencies:
            call.hangup("the appliance stopped")


Told = Callable[[str, dict[str, Any]], None]


def _unfailing(tell: Told) -> Told:
    """`tell`, whose faults are logged: no call is lost because it cannot be told of or written down."""

    def told(name: str, data: dict[str, Any]) -> None:
        try:
            tell(name, data)
        except Exception:
            _log.exception("%s cannot be told", name)

    return told


def _identities(station: Station) -> set[str]:
    """What a line may call itself in To and From."""
    return {station.extension, *([station.credential.auth_user] if station.credential else [])}


class _Nobody:
    """Owner of a leg for the moment before its call takes it."""

    id = ""

    def on_leg(self, leg: Leg, kind: str, detail: int | str) -> None: ...

    def on_digit(self, leg: Leg, digit: str) -> None: ...

    def on_played(self, leg: Leg) -> None: ...


_NOBODY: Owner = _Nobody()
