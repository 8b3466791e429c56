"""The arguments of `put`: what the edge wants of a leg, checked (docs/internals.md)."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Any, Literal

import msgspec

from provisioner.errors import ProvisionerError
from provisioner.media.codecs import PAYLOAD_TYPES
from provisioner.media.latch import Address, Network
from provisioner.media.rtp import RATE
from provisioner.media.srtp import Keys

PayloadType = Annotated[int, msgspec.Meta(ge=0, le=127)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Clock = Annotated[int, msgspec.Meta(ge=1000, le=192000)]  # units per second
CodecName = Annotated[str, msgspec.Meta(min_length=1, max_length=32)]


class Source(msgspec.Struct, frozen=True):
    """What a party hears: either another leg, or files one after the other."""

    leg: str | None = None
    play: tuple[str, ...] | None = None
    loop: bool = False
    token: int | str | None = None


class Document(msgspec.Struct, frozen=True):
    """All that is wanted of a leg. Payload types of None: those that are fixed for the codec."""

    leg: str
    remote: tuple[str, Port] | None = None
    rtcp: tuple[str, Port] | None = None
    mux: bool = False
    nets: tuple[str, ...] = ()
    codec: CodecName = "PCMU"
    clock: Clock = RATE
    payload_in: PayloadType | None = None
    payload_out: PayloadType | None = None
    event_in: PayloadType | None = None
    event_out: PayloadType | None = None
    event_clock: Clock = RATE
    srtp: Keys | None = None
    source: Source | None = None
    keys: Literal["", "info", "inband"] = ""
    take: Literal["", "*", "all"] = ""
    send: bool = True

    @property
    def types(self) -> tuple[int, int]:
        """Payload types of the codec as we receive and as we send it."""
        fixed = PAYLOAD_TYPES.get(self.codec, 0)
        given = self.payload_in, self.payload_out
        return (fixed if given[0] is None else given[0]), (fixed if given[1] is None else given[1])


def read_document(args: dict[str, Any]) -> Document:
    """`args` of a `put`, checked. Raises ProvisionerError that names what is wrong."""
    try:
        document = msgspec.convert(args, Document)
    except msgspec.ValidationError as error:
        raise ProvisionerError(f"put: {error}") from None
    source = document.source
    if source and (source.leg is None) == (source.play is None):
        raise ProvisionerError("put: a source has either `leg` or `play`")
    numbered = document.payload_in is not None and document.payload_out is not None
    if document.codec not in PAYLOAD_TYPES and not numbered:
        raise ProvisionerError(f"put: the codec {document.codec} needs `payload_in` and `payload_out`")
    networks(document.nets)
    remote, rtcp = _literal("remote", document.remote), _literal("rtcp", document.rtcp)
    return msgspec.structs.replace(document, remote=remote, rtcp=rtcp)


def _literal(name: str, address: Address | None) -> Address | None:
    """The address as sockets spell it; a host name would be looked up by the socket, for seconds."""
    if address is None:
        return None
    try:
        return str(ipaddress.ip_address(address[0])), address[1]
    except ValueError:
        raise ProvisionerError(f"put: `{name}` needs an IP address, not a name") from None


def networks(nets: tuple[str, ...]) -> tuple[Network, ...]:
    """The networks in CIDR notation. Raises ProvisionerError when one is none."""
    try:
        return tuple(ipaddress.ip_network(net, strict=False) for net in nets)
    except ValueError:
        raise ProvisionerError("put: `nets` are networks as 192.0.2.0/24") from None
