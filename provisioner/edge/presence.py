"""What phones may subscribe to: busy lamps (RFC 4235) and waiting messages (RFC 3842)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import etree

from provisioner.edge import routes
from provisioner.edge.call import Call
from provisioner.errors import PeerError
from provisioner.sip.headers import NameAddr, Uri, join_host
from provisioner.sip.subscription import MIN_EXPIRES, Subscription, event_of, too_brief

if TYPE_CHECKING:
    from provisioner.edge.directory import Station
    from provisioner.edge.edge import Edge
    from provisioner.edge.leg import Leg
    from provisioner.sip.transaction import ServerTransaction

EVENTS = ("dialog", "message-summary")
MAX_SUBSCRIPTIONS = 100  # of one phone
MAX_SUMMARY = 4096
NAMESPACE = "urn:ietf:params:xml:ns:dialog-info"
DIALOG_INFO = "application/dialog-info+xml"
SUMMARY = "application/simple-message-summary"
NO_MESSAGES = "Messages-Waiting: no\r\nVoice-Message: 0/0 (0/0)\r\n"
_WAITING = re.compile(rb"^Messages-Waiting[ \t]*:[ \t]*(yes|no)[ \t]*\r?$", re.I | re.M)
_PAIR = rb"[ \t]*(\d{1,4})[ \t]*/[ \t]*(\d{1,4})[ \t]*"
_COUNTS = re.compile(rb"^Voice-Message[ \t]*:" + _PAIR + rb"(?:\(" + _PAIR + rb"\))?", re.I | re.M)


@dataclass(frozen=True)
class Lamp:
    """One dialog of a desk phone, from that phone's side. `name` and `user`: of who is at the other end."""

    id: str
    call_id: str
    local_tag: str
    remote_tag: str
    direction: str
    state: str
    name: str
    user: str


@dataclass
class _Watch:
    """A subscription, who has it, whom it is about, and what it was told last."""

    subscription: Subscription
    watcher: Station
    extension: str
    told: tuple[Lamp, ...] = ()


def lamp_of(leg: Leg, name: str, user: str) -> Lamp:
    """The dialog of a phone as it is now; without its own tag it is only half of one (4.1.1)."""
    session = leg.session
    dialog = session.present
    return Lamp(
        leg.media.id,
        session.invite.call_id,
        dialog.remote.tag if dialog else "",
        dialog.local.tag if dialog else NameAddr.parse(session.invite.get("from")).tag,
        "initiator" if session.incoming else "recipient",
        "confirmed" if session.state == "up" else "early",
        name,
        user,
    )


def dialog_info(entity: str, host: str, version: int, lamps: tuple[Lamp, ...]) -> bytes:
    """A full-state document (RFC 4235 4). Names are text: lxml escapes them, and refuses controls."""
    root = etree.fromstring(f'<dialog-info xmlns="{NAMESPACE}"/>')
    root.set("version", str(version))
    root.set("state", "full")
    root.set("entity", entity)
    for lamp in lamps:
        item = etree.SubElement(root, f"{{{NAMESPACE}}}dialog", id=lamp.id)
        item.set("call-id", lamp.call_id)
        for name, tag in (("local-tag", lamp.local_tag), ("remote-tag", lamp.remote_tag)):
            if tag:
                item.set(name, tag)
        item.set("direction", lamp.direction)
        etree.SubElement(item, f"{{{NAMESPACE}}}state").text = lamp.state
        remote = etree.SubElement(item, f"{{{NAMESPACE}}}remote")
        identity = etree.SubElement(remote, f"{{{NAMESPACE}}}identity")
        identity.text = f"sip:{lamp.user}@{host}"
        if lamp.name:
            identity.set("display", lamp.name)
        etree.SubElement(remote, f"{{{NAMESPACE}}}target", uri=f"sip:{lamp.user}@{host}")
    document: bytes = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
    return document


def summary_of(body: bytes) -> str:
    """What a core's summary says of voice messages, in our own words; raises PeerError when nothing."""
    waiting, counts = _WAITING.search(body), _COUNTS.search(body)
    if not waiting or len(body) > MAX_SUMMARY:
        raise PeerError("not a message summary")
    new, old, urgent, old_urgent = (
        int(n or 0) for n in (counts.groups() if counts else (b"", b"", b"", b""))
    )
    words = f"Messages-Waiting: {waiting[1].decode().lower()}\r\n"
    return words + (f"Voice-Message: {new}/{old} ({urgent}/{old_urgent})\r\n" if counts else "")


class Presence:
    """All subscriptions of phones. `changed` may be called as often as one likes."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self._watches: list[_Watch] = []
        self._summaries: dict[str, str] = {}  # by extension, as the core told last
        self._looking = False

    # SUBSCRIBE

    def subscribe(self, transaction: ServerTransaction, station: Station) -> None:
        """A phone that proved who it is wants to be told."""
        request = transaction.request
        event = event_of(request)
        extension = Uri.parse(request.uri).dialled
        mine = [watch for watch in self._watches if watch.watcher.phone.id == station.phone.id]
        if event not in EVENTS:
            transaction.reply(489, "", [("allow-events", ", ".join(EVENTS))])
        elif too_brief(request):
            transaction.reply(423, "", [("min-expires", str(MIN_EXPIRES))])
        elif extension not in self._edge.directory.stations:
            transaction.reply(404)
        elif event == "message-summary" and not self._own(station, extension):
            transaction.reply(403)
        elif len(mine) >= MAX_SUBSCRIPTIONS:
            transaction.reply(403, "Too many subscriptions")
        else:
            self._begin(transaction, station, extension, event)

    def _own(self, station: Station, extension: str) -> bool:
        return self._edge.directory.stations[extension].phone.id == station.phone.id

    def _begin(self, transaction: ServerTransaction, station: Station, extension: str, event: str) -> None:
        host = join_host(*transaction.flow.local)

        def document(version: int) -> tuple[str, bytes]:
            entity = f"sip:{extension}@{host}"
            if event == "dialog":
                lamps = self._lamps().get(extension, ())
                return DIALOG_INFO, dialog_info(entity, host, version, lamps)
            waiting, _, rest = self._summaries.get(extension, NO_MESSAGES).partition("\r\n")
            return SUMMARY, f"{waiting}\r\nMessage-Account: {entity}\r\n{rest}".encode()

        told = self._lamps().get(extension, ())
        subscription = Subscription(self._edge.agent, transaction, document, self._gone)
        if not subscription.over:
            self._watches.append(_Watch(subscription, station, extension, told))

    def _gone(self, subscription: Subscription) -> None:
        self._watches = [watch for watch in self._watches if watch.subscription is not subscription]

    # busy lamps

    def changed(self) -> None:
        """Something is new with a call. Looked at after whoever says so is done: no call waits for lamps."""
        if self._looking or not any(watch.subscription.event == "dialog" for watch in self._watches):
            return
        self._looking = True
        self._edge.timers.after(0.0, self._look)

    def _look(self) -> None:
        self._looking = False
        lamps = self._lamps()
        for watch in list(self._watches):
            now = lamps.get(watch.extension, ())
            if watch.subscription.event == "dialog" and now != watch.told:
                watch.told = now
                watch.subscription.changed()

    def _lamps(self) -> dict[str, tuple[Lamp, ...]]:
        """What each extension is in now."""
        found: dict[str, tuple[Lamp, ...]] = {}
        for leg, name, user in self._legs():
            found[leg.extension] = (*found.get(leg.extension, ()), lamp_of(leg, name, user))
        return found

    def _legs(self) -> Iterator[tuple[Leg, str, str]]:
        for call in self._edge.calls.values():
            for leg in call.dialogs():
                name, user = self._other_end(call, leg) if isinstance(call, Call) else ("", "911")
                yield leg, name, user

    def _other_end(self, call: Call, leg: Leg) -> tuple[str, str]:
        """(display name, user) as the phone itself may show it; of outside parties no more than that."""
        stations = self._edge.directory.stations
        far = call.far(leg)
        extension = far.extension if far else call.called
        if extension in stations:
            return routes.label_of(stations[extension]), extension
        if far is not None and far is call.legs.get("caller"):
            return self._edge.shown_caller(call)
        return "Outside call", self._edge.directory.snapshot.practice.main_number

    # waiting messages

    def notified(self, transaction: ServerTransaction) -> None:
        """A core tells of a mailbox, asked or not (RFC 3842 3): of a number, of an extension, of a group."""
        request = transaction.request
        try:
            extensions = self._mailbox(routes.called_number(Uri.parse(request.uri).dialled))
            summary = summary_of(request.body)
        except PeerError as error:
            transaction.reply(error.status)
            return
        transaction.reply(200 if extensions else 404)
        for extension in extensions:
            self._summaries[extension] = summary
        for watch in list(self._watches):
            if watch.subscription.event == "message-summary" and watch.extension in extensions:
                watch.subscription.changed()

    def _mailbox(self, called: str) -> tuple[str, ...]:
        directory = self._edge.directory
        number = directory.number(called)
        group = directory.group(number.ring_group) if number and number.ring_group else None
        if group:
            return tuple(each.target for each in group.each if each.target in directory.stations)
        extension = number.extension if number else called
        return (extension,) if extension in directory.stations else ()

    # the end

    def keep(self) -> None:
        """The inventory has changed: nobody is told of lines that are no more, nor tells us."""
        stations = self._edge.directory.stations
        for watch in list(self._watches):
            watcher = stations.get(watch.watcher.extension)
            mine = watcher is not None and watcher.phone.id == watch.watcher.phone.id
            if watch.extension not in stations or not mine:
                watch.subscription.end("noresource")
        self._summaries = {ext: text for ext, text in self._summaries.items() if ext in stations}

    def close(self) -> None:
        """The appliance stops: phones subscribe again when it is back (RFC 6665 4.1.3)."""
        for watch in list(self._watches):
            watch.subscription.end("deactivated")
