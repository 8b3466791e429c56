"""A little DNS server on the loopback, made of dnspython's messages, that can be slow, dead or a liar."""

from __future__ import annotations

import asyncio

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

SOA = "ns.example. root.example. 1 60 60 60 40"


class NameServer(asyncio.DatagramProtocol):
    """`zone`: (name, type) → texts of records. `asked` holds the questions. `mode`: what it does with them."""

    def __init__(self, zone: dict[tuple[str, str], list[str]], ttl: int = 60) -> None:
        self.zone = zone
        self.ttl = ttl
        self.mode = "good"
        self.asked: list[tuple[str, str]] = []
        self.port = 0
        self._transport: asyncio.DatagramTransport

    async def open(self) -> NameServer:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        self.port = self._transport.get_extra_info("sockname")[1]
        return self

    def close(self) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name, kind = question.name.to_text(), dns.rdatatype.to_text(question.rdtype)
        self.asked.append((name.rstrip("."), kind))
        if self.mode == "dead":
            return
        response = self.answer(query, name, kind)
        if self.mode == "wrong id":
            response.id ^= 1
        wire = response.to_wire()
        wire = wire[:20] if self.mode == "broken" else wire
        if self.mode == "slow":
            asyncio.get_running_loop().call_later(0.5, self._late, wire, addr)
        else:
            self._transport.sendto(wire, addr)

    def _late(self, wire: bytes, addr: tuple) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(wire, addr)

    def answer(self, query: dns.message.Message, name: str, kind: str) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        records = self.zone.get((name.rstrip("."), kind), [])
        known = any(held == name.rstrip(".") for held, _ in self.zone)
        if self.mode == "failing" or (self.mode == "no naptr" and kind == "NAPTR"):
            response.set_rcode(dns.rcode.SERVFAIL)
        elif self.mode == "nothing there" or not known:
            response.set_rcode(dns.rcode.NXDOMAIN)
            response.authority.append(dns.rrset.from_text("example.", 60, "IN", "SOA", SOA))
        elif records:
            response.answer.append(dns.rrset.from_text(name, self.ttl, "IN", kind, *records))
        else:
            response.authority.append(dns.rrset.from_text("example.", 60, "IN", "SOA", SOA))
        return response
