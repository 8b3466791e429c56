"""The registrar: who is reachable where (RFC 3261 section 10, RFC 5626 section 6)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from provisioner.errors import PeerError
from provisioner.sip.headers import NameAddr, split_list
from provisioner.sip.message import Request
from provisioner.sip.transaction import Flow

MIN_EXPIRES = 60
MAX_EXPIRES = 3600
DEFAULT_EXPIRES = 3600
MAX_CONTACTS = 10


@dataclass(frozen=True)
class Binding:
    """One contact of an extension, and the flow that it registered over."""

    extension: str
    key: str
    contact: str
    flow: Flow
    expires: float  # by the registrar's clock
    agent: str
    call_id: str
    cseq: int
    since: float | None = None  # by the registrar's clock: without a pause since then


class IntervalTooBriefError(PeerError):
    """Expires is below what we keep (RFC 3261 10.3 step 7)."""

    def __init__(self) -> None:
        super().__init__("Interval Too Brief", 423)


def _restarted(old: Binding, flow: Flow) -> bool:
    """Whether a lower CSeq is that of a phone that began anew: the same instance at the same address."""
    return old.key != old.contact and old.flow.remote[0] == flow.remote[0]


class Registrar:
    """All bindings, by a monotonic clock; `on_change` hears of each that comes, is refreshed or goes.

    `share`: the part of what a phone asks for that it gets, anew for each, so that those that came together
    after a power cut do not come back together.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        on_change: Callable[[Binding, bool], None],
        share: Callable[[], float] = lambda: 1.0,
    ) -> None:
        self._clock = clock
        self._on_change = on_change
        self._share = share
        self._bindings: dict[str, dict[str, Binding]] = {}
        self._by_address: dict[tuple[str, int], str] = {}

    def register(self, request: Request, extension: str, flow: Flow) -> list[Binding]:
        """Apply a REGISTER; returns what is left. Raises PeerError, and changes nothing then."""
        now = self._clock()
        held = {key: old for key, old in self._bindings.get(extension, {}).items() if old.expires > now}
        values = [value for line in request.all("contact") for value in split_list(line)]
        if values == ["*"]:
            if request.get("expires") != "0":
                raise PeerError("Contact * needs Expires 0")
            changes = [self._expired(binding) for binding in held.values()]
        else:
            changes = [self._binding(NameAddr.parse(value), request, extension, flow) for value in values]
        for change in changes:
            old = held.get(change.key)
            late = old and old.call_id == request.call_id and request.cseq[0] <= old.cseq
            if old and late and not _restarted(old, flow):
                raise PeerError("CSeq out of order", 500)
        if len({*held, *(change.key for change in changes)}) > MAX_CONTACTS:
            raise PeerError("Too many contacts", 403)
        for change in changes:
            self._apply(change)
        return self.contacts(extension)

    def _binding(self, contact: NameAddr, request: Request, extension: str, flow: Flow) -> Binding:
        text = contact.params.get("expires") or request.get("expires")
        seconds = int(text) if text.isdecimal() and len(text) < 11 else DEFAULT_EXPIRES
        if 0 < seconds < MIN_EXPIRES:
            raise IntervalTooBriefError
        instance = contact.params.get("+sip.instance")
        key = f"{instance};{contact.params.get('reg-id') or ''}" if instance else str(contact.uri)
        granted = max(MIN_EXPIRES, int(min(seconds, MAX_EXPIRES) * self._share())) if seconds else 0
        expires = self._clock() + granted
        agent = request.get("user-agent")[:120]
        return Binding(
            extension, key, str(contact.uri), flow, expires, agent, request.call_id, request.cseq[0]
        )

    def _expired(self, binding: Binding) -> Binding:
        return Binding(**{**binding.__dict__, "expires": self._clock()})

    def _apply(self, binding: Binding) -> None:
        if binding.expires <= self._clock():
            self._remove(binding.extension, binding.key)
            return
        held = self._bindings.setdefault(binding.extension, {})
        old = held.get(binding.key)
        if old:
            self._by_address.pop(old.flow.remote, None)
        went_on = old is not None and old.expires > self._clock()
        began = old.since if old and went_on else binding.since
        binding = replace(binding, since=self._clock() if began is None else began)
        held[binding.key] = binding
        self._by_address[binding.flow.remote] = binding.extension
        self._on_change(binding, True)

    def _remove(self, extension: str, key: str) -> None:
        binding = self._bindings.get(extension, {}).pop(key, None)
        if binding is None:
            return
        remote = binding.flow.remote
        others = [other.extension for other in self.all() if other.flow.remote == remote]
        if others:  # another line of the same phone
            self._by_address[remote] = others[-1]
        else:
            self._by_address.pop(remote, None)
        self._on_change(binding, False)

    def age(self, binding: Binding) -> float:
        """Seconds since it registered first, without a pause between."""
        return self._clock() - binding.since if binding.since is not None else 0.0

    def restore(self, binding: Binding) -> None:
        """Take back a binding from before a restart."""
        if binding.expires > self._clock() and not binding.flow.reliable:
            self._apply(binding)

    def contacts(self, extension: str) -> list[Binding]:
        """Live bindings of an extension, the latest registered last."""
        now = self._clock()
        return [binding for binding in self._bindings.get(extension, {}).values() if binding.expires > now]

    def extension_at(self, remote: tuple[str, int]) -> str:
        """The extension that registered from this address and port, "" without one."""
        return self._by_address.get(remote, "")

    def at(self, host: str) -> bool:
        """Whether anything registered from this address, from whatever port."""
        return any(remote[0] == host for remote in self._by_address)

    def all(self) -> Iterator[Binding]:
        """All live bindings."""
        for extension in list(self._bindings):
            yield from self.contacts(extension)

    def expire(self) -> None:
        """Drop what has run out; call it every now and then."""
        now = self._clock()
        for extension, held in self._bindings.items():
            for key in [key for key, binding in held.items() if binding.expires <= now]:
                self._remove(extension, key)

    def keep(self, extensions: Collection[str]) -> None:
        """Drop the bindings of lines that are no more."""
        for binding in [binding for binding in self.all() if binding.extension not in extensions]:
            self.drop(binding)

    def drop(self, binding: Binding) -> None:
        """This contact is dead: nothing answers there."""
        self._remove(binding.extension, binding.key)

    def flow_lost(self, flow: Flow) -> None:
        """A connection went away, and with it what was reachable only over it."""
        for binding in [binding for binding in self.all() if binding.flow == flow]:
            self.drop(binding)

    def remaining(self, binding: Binding) -> int:
        """Seconds that a binding still has."""
        return max(0, round(binding.expires - self._clock()))
