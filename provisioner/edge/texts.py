"""MESSAGE between desk phones of the building (RFC 3428); nothing is stored, nothing goes outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.edge import routes
from provisioner.sip.agent import ALLOW
from provisioner.sip.headers import NameAddr, Uri
from provisioner.sip.message import Request, Response

if TYPE_CHECKING:
    from provisioner.edge.directory import Station
    from provisioner.edge.edge import Edge
    from provisioner.edge.registrar import Binding
    from provisioner.sip.transaction import ServerTransaction

MAX_MESSAGE = 1300  # bytes: section 8


class Delivery:
    """One MESSAGE on its way to all phones of an extension; the first that takes it settles it."""

    def __init__(self, edge: Edge, transaction: ServerTransaction, sender: Station) -> None:
        self._edge = edge
        self._transaction = transaction
        self._sender = sender
        self._left = 0
        self._settled = False

    def begin(self) -> None:
        """Deliver, or refuse."""
        request = self._transaction.request
        extension = Uri.parse(request.uri).dialled
        kind = request.get("content-type").partition(";")[0].strip().lower()
        if extension not in self._edge.directory.stations:
            self._transaction.reply(405, "", [("allow", ALLOW)])
        elif kind != "text/plain":
            self._transaction.reply(415, "", [("accept", "text/plain")])
        elif len(request.encode()) > MAX_MESSAGE:
            self._transaction.reply(413)
        else:
            self._send(self._edge.registrar.contacts(extension))

    def _send(self, bindings: list[Binding]) -> None:
        self._left = len(bindings)
        if not bindings:
            self._transaction.reply(480)
        for binding in bindings:
            self._edge.agent.request(self._copy(binding), binding.flow, self._answered)

    def _copy(self, binding: Binding) -> Request:
        """In the sender's name, as we know it."""
        label = routes.label_of(self._sender)
        attempt = routes.to_phone(self._edge, binding, self._sender.extension, label)
        to = NameAddr(attempt.to.uri)
        kind = self._transaction.request.get("content-type")
        message = self._edge.agent.new_request(
            "MESSAGE", attempt.uri, attempt.from_, to, [("content-type", kind)]
        )
        message.body = self._transaction.request.body
        return message

    def _answered(self, response: Response | None) -> None:
        if response is not None and response.status < 200:
            return
        self._left -= 1
        taken = response is not None and response.status < 300
        if not self._settled and (taken or not self._left):
            self._settled = True
            self._transaction.reply(200 if taken else 480)
