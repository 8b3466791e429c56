"""What a leg is offered, given what the other party of its call can do, and what media is told of the outcome. Pure.

Media speaks G.711 and G.722, translates them into each other, and passes all else on untouched. So the codecs of a call
are chosen when it is set up: both parties get the same one, or one of these.
"""

from __future__ import annotations

import base64
from ipaddress import ip_address, ip_network
from typing import Any

from provisioner.errors import PeerError
from provisioner.sip.sdp import CODECS, G711, SPOKEN, AudioOffer, Format, Negotiated, offered

# a phone on one of these sends from one of these (RFC 1918, 3927, 4193, 6598)
_PRIVATE = (
    "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "127.0.0.0/8",
    "fc00::/7", "fe80::/10", "::1/128",
)  # fmt: skip
_PRIVATE_NETWORKS = tuple(map(ip_network, _PRIVATE))
_G711 = tuple(Format(codec, CODECS[codec].payload or 0) for codec in G711)
PLAIN = AudioOffer(_G711)


def bridged(codec: str) -> tuple[str, ...]:
    """The codecs that a party may have while the other one of its call has `codec`."""
    return SPOKEN if codec in SPOKEN else (codec,)


def offers_for(offer: bytes, agreed: Negotiated | None, spoken: bool) -> list[AudioOffer]:
    """What to offer for a party that sent `offer` and has `agreed`: the next one is for who refuses the first.

    `spoken`: we may have to speak in this call, so what media speaks is tried alone before the rest. G.711 is in every
    offer, as what the party lacks is translated; but not for a party that has nothing of it, since nobody could then
    translate what is chosen.
    """
    if agreed and agreed.codec not in SPOKEN:
        return [kept(agreed)]
    if agreed and agreed.codec not in G711:
        return [AudioOffer((Format(agreed.codec, _payloads(agreed)[0], agreed.fmtp), *_G711), agreed.ptime)]
    if agreed or not offer:
        return [PLAIN]
    try:
        found = offered(offer)
    except PeerError:  # its own answer will say so
        return [PLAIN]
    names = [form.codec for form in found.formats]
    own = tuple(form for form in found.formats if form.codec in SPOKEN)
    if not own:
        return [found]
    missing = tuple(form for form in _G711 if form.codec not in names)
    whole = AudioOffer((*found.formats, *missing), found.ptime)
    if not spoken or len(own) == len(names):
        return [whole]
    return [AudioOffer((*own, *missing), found.ptime), whole]


def kept(agreed: Negotiated) -> AudioOffer:
    """What a party has now, as it can be offered to it again."""
    return AudioOffer((Format(agreed.codec, _payloads(agreed)[0], agreed.fmtp),), agreed.ptime)


def _payloads(agreed: Negotiated) -> tuple[int, int]:
    fixed = CODECS[agreed.codec].payload or 0
    given = agreed.payload_in, agreed.payload_out
    return (fixed if given[0] is None else given[0]), (fixed if given[1] is None else given[1])


def document(agreed: Negotiated) -> dict[str, Any]:
    """What `put` of media wants to know of it (docs/internals.md)."""
    payload_in, payload_out = _payloads(agreed)
    keys = agreed.srtp
    return {
        "remote": agreed.remote,
        "rtcp": agreed.rtcp,
        "mux": agreed.mux,
        "codec": agreed.codec,
        "clock": CODECS[agreed.codec].clock,
        "payload_in": payload_in,
        "payload_out": payload_out,
        "event_in": agreed.event_in,
        "event_out": agreed.event_out,
        "event_clock": agreed.event_clock,
        "srtp": keys and {"suite": keys.suite, "in": _text(keys.key_in), "out": _text(keys.key_out)},
        "send": agreed.send,
    }


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def networks_of(host: str) -> list[str]:
    """Where the media of a phone may come from whose signalling comes from `host`: a phone in the house from the
    house, one outside from there (its /64 with IPv6).
    """
    try:
        address = ip_address(host)
    except ValueError:  # no call hangs on it
        return []
    if any(address in network for network in _PRIVATE_NETWORKS):
        return list(_PRIVATE)
    return [str(ip_network((host, 32 if address.version == 4 else 64), strict=False))]
