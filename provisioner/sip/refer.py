"""REFER, received and sent, and what it names: Refer-To, Replaces, Referred-By (RFC 3515, 3891, 3892, 4488)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from provisioner.errors import PeerError
from provisioner.sip.dialog import Dialog
from provisioner.sip.events import tokens
from provisioner.sip.headers import NameAddr, Uri, parse_params
from provisioner.sip.message import REASONS, Request, Response
from provisioner.sip.transaction import ServerTransaction

if TYPE_CHECKING:
    from provisioner.sip.agent import Agent
    from provisioner.sip.session import Session

EXPIRES = 180  # seconds of the subscription that a REFER makes: longer than any target may ring
SIPFRAG = "message/sipfrag;version=2.0"
_STATUS_LINE = re.compile(rb"SIP/2\.0 ([1-6]\d\d)(?: |\r|\n|$)")


@dataclass(frozen=True)
class Replaces:
    """A dialog to be replaced, named from its receiver's side: `to_tag` is the receiver's own."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    @classmethod
    def parse(cls, text: str) -> Replaces:
        """One Replaces value (RFC 3891 6.1). Raises PeerError."""
        call_id, semicolon, rest = text.strip().partition(";")
        params = parse_params(semicolon + rest)
        to_tag, from_tag = params.get("to-tag"), params.get("from-tag")
        if not call_id or not to_tag or not from_tag:
            raise PeerError("bad Replaces")
        return cls(call_id.strip(), to_tag, from_tag, "early-only" in params)

    @classmethod
    def of(cls, invite: Request) -> Replaces | None:
        """What an INVITE replaces, None when it does not. Raises PeerError (400)."""
        values = invite.all("replaces")
        if len(values) > 1:
            raise PeerError("more than one Replaces")
        return cls.parse(values[0]) if values else None

    @property
    def keys(self) -> tuple[tuple[str, str, str], tuple[str, str, str]]:
        """Keys of the dialog: as the receiver's own, and as seen from its other end (a watcher's pickup)."""
        return (self.call_id, self.to_tag, self.from_tag), (self.call_id, self.from_tag, self.to_tag)


def _refer_to(request: Request) -> tuple[Uri, Replaces | None]:
    values = tokens(request, "refer-to")
    if len(values) != 1:
        raise PeerError("exactly one Refer-To is needed")
    uri = NameAddr.parse(values[0]).uri
    if (uri.params.get("method") or "INVITE") != "INVITE":
        raise PeerError("only an INVITE can be asked for", 403)
    headers = {name.lower(): value for name, _, value in (h.partition("=") for h in uri.headers.split("&"))}
    replaces = Replaces.parse(unquote(headers["replaces"])) if "replaces" in headers else None
    return replace(uri, headers=""), replaces


class Referral:
    """One REFER inside a dialog, and the subscription to its fate. Raises PeerError (400, 403) when made."""

    def __init__(self, agent: Agent, dialog: Dialog, transaction: ServerTransaction, first: bool) -> None:
        request = transaction.request
        self.target, self.replaces = _refer_to(request)
        self.referred_by = request.get("referred-by")
        self.over = False
        self._agent = agent
        self._dialog = dialog
        self._transaction = transaction
        self._silent = request.get("refer-sub").partition(";")[0].strip().lower() == "false"
        self._event = "refer" if first else f"refer;id={request.cseq[0]}"  # RFC 3515 2.4.6
        self._last = 0

    def accept(self) -> None:
        """202, and the first NOTIFY at once (RFC 3515 2.4.4)."""
        headers = [("contact", self._agent.contact(self._transaction.flow)), *self._agent.abilities]
        if self._silent:
            headers.append(("refer-sub", "false"))
        self._transaction.reply(202, "", headers)
        self.report(100)

    def refuse(self, status: int) -> None:
        """Nothing will be done."""
        self.over = True
        self._transaction.reply(status)

    def report(self, status: int) -> None:
        """What has become of it: a final status ends the subscription; the same twice is no news."""
        if self.over or status == self._last:
            return
        self._last = status
        self.over = status >= 200
        if self._silent:
            return
        state = "terminated;reason=noresource" if self.over else f"active;expires={EXPIRES}"
        notify = self._dialog.request("NOTIFY")
        notify.headers += [("event", self._event), ("subscription-state", state), ("content-type", SIPFRAG)]
        notify.headers += [("contact", self._agent.contact(self._dialog.flow)), *self._agent.abilities]
        notify.body = f"SIP/2.0 {status} {REASONS.get(status, 'Unknown')}\r\n".encode()
        self._agent.request_in(self._dialog, notify, self._answered)

    def _answered(self, response: Response | None) -> None:
        """A peer that knows nothing of it (481) is told no more; what it asked for goes on."""
        if response is None or response.status == 481:
            self.over = True


def replacing(replaced: Dialog) -> str:
    """Refer-To that asks for a call to the far end of `replaced`, in the place of `replaced` (RFC 5589 7.3)."""
    tags = f"{replaced.call_id};to-tag={replaced.remote.tag};from-tag={replaced.local.tag}"
    return f"<{replaced.target}?Replaces={quote(tags, safe='')}>"


class OutgoingReferral:
    """A REFER of ours inside `session`. `on_result` hears each final status: of the REFER when it is refused, of
    what was asked for when a NOTIFY tells of it. 408: no answer; 500: the peer stopped to tell before the end.
    """

    def __init__(self, session: Session, refer_to: str, on_result: Callable[[int], None]) -> None:
        assert session.dialog
        self._on_result = on_result
        self._session = session
        request = session.dialog.request("REFER")
        request.headers += [("refer-to", refer_to), ("referred-by", f"<{session.dialog.local.uri}>")]
        request.headers += [("contact", session.agent.contact(session.flow)), *session.agent.abilities]
        session.on_notify = self._notified
        session.agent.request(request, session.agent.hop(session.dialog), self._answered, session.credentials)

    def stop(self) -> None:
        """Hear no more of it."""
        self._on_result = lambda _status: None

    def _answered(self, response: Response | None) -> None:
        status = response.status if response else 408
        if status >= 300:
            self._on_result(status)

    def _notified(self, notify: Request) -> None:
        """A NOTIFY of its fate; it may come before the 202 (RFC 3515 2.4.4)."""
        if notify.get("event").partition(";")[0].strip().lower() != "refer":
            return
        found = _STATUS_LINE.match(notify.body.lstrip())
        status = int(found[1]) if found else 0
        ended = notify.get("subscription-state").partition(";")[0].strip().lower() == "terminated"
        if status >= 200:
            self._on_result(status)
        elif ended:
            self._on_result(500)
