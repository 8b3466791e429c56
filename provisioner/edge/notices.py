"""What phones are told when no core can be reached, and when one can again: a MESSAGE to each (RFC 3428)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from provisioner.edge import routes
from provisioner.sip.headers import NameAddr

if TYPE_CHECKING:
    from provisioner.edge.edge import Edge
    from provisioner.edge.registrar import Binding

DOWN = (
    "Outside calls are not possible at the moment. Extensions work. In an emergency dial 911 all the same, "
    "or use a mobile phone."
)
BACK = "Outside calls are possible again."
_USER = "provisioner"


class Notices:
    """Tells each registered phone once of an outage, also one that registers while it lasts, and of its end."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self.down = False
        self._told: set[str] = set()  # contacts

    def check(self) -> None:
        """A trunk has gone up or down, or the trunks are others."""
        peers = self._edge.trunks.peers
        down = bool(peers) and all(peer.up is False for peer in peers)
        if down == self.down:
            return
        self.down = down
        told, self._told = self._told, set()
        for binding in self._edge.registrar.all():
            if down:
                self.registered(binding)
            elif binding.contact in told:
                self._send(binding, BACK)

    def registered(self, binding: Binding) -> None:
        """A phone is there."""
        if self.down and binding.contact not in self._told:
            self._told.add(binding.contact)
            self._send(binding, DOWN)

    def _send(self, binding: Binding, words: str) -> None:
        name = self._edge.directory.snapshot.practice.name
        attempt = routes.to_phone(self._edge, binding, _USER, name)
        kind = [("content-type", "text/plain;charset=utf-8")]
        message = self._edge.agent.new_request(
            "MESSAGE", attempt.uri, attempt.from_, NameAddr(attempt.to.uri), kind
        )
        message.body = words.encode()
        self._edge.agent.request(message, binding.flow, lambda _response: None)
