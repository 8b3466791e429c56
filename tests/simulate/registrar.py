"""A registrar with digest on loopback, for one account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from provisioner.sip.agent import Agent
from provisioner.sip.digest import Authenticator
from provisioner.sip.headers import NameAddr, Uri
from provisioner.sip.message import Request, Response
from provisioner.sip.session import Session
from provisioner.sip.transaction import ServerTransaction
from provisioner.sip.transport import LoopTimers, SipTransport


class Registrar:
    """Grants `granted` seconds to `password`; `least`: the shortest interval; keeps each good REGISTER.

    `out`: it answers 503.
    """

    def __init__(self, password: str) -> None:
        self.password = password
        self.granted = 300
        self.least = 0
        self.out = False
        self.registered: asyncio.Queue[Request] = asyncio.Queue()
        self.refused: asyncio.Queue[Request] = asyncio.Queue()

    async def open(self) -> tuple[str, int]:
        timers = LoopTimers(asyncio.get_running_loop())
        self.transport = SipTransport()
        self.address = await self.transport.open("127.0.0.1", 0)
        self.agent = Agent(self, timers, Random(3), self.transport.send, self.transport.connect, "registrar")
        self.transport.agent = self.agent
        self.authenticator = Authenticator("practice", b"secret", timers.clock)
        return self.address

    def on_invite(self, session: Session) -> None:
        session.reject(404)

    def on_request(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        if request.method != "REGISTER" or self.out:
            transaction.reply(503 if self.out else 405)
            return
        verdict = self.authenticator.check(
            request.get("authorization"),
            "REGISTER",
            "x",
            lambda user: self.password if user[:1] == "u" else None,
        )
        if verdict.outcome != "ok":
            challenges = self.authenticator.challenges("x")
            if verdict.outcome == "wrong":
                self.refused.put_nowait(request)
                transaction.reply(403)
            else:
                transaction.reply(401, "", [("www-authenticate", value) for value in challenges])
        elif int(request.get("expires")) < self.least:
            transaction.reply(423, "", [("min-expires", str(self.least))])
        else:
            self.registered.put_nowait(request)
            transaction.reply(200, "", [("contact", f"{request.get('contact')};expires={self.granted}")])

    async def notify(self, phone: tuple[str, int], user: str, event: str) -> Response | None:
        """Send a NOTIFY, answering a challenge with the account; the final answer."""
        me = NameAddr(Uri("sip", "127.0.0.1", user="registrar"))
        target = Uri("sip", *phone, user=user)
        request = self.agent.new_request("NOTIFY", str(target), me, NameAddr(target), [("event", event)])
        done: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()
        flow = self.transport.connect("UDP", phone)
        self.agent.request(request, flow, done.set_result, lambda _realm: (f"u{user}", self.password))
        return await asyncio.wait_for(done, 10)


@asynccontextmanager
async def registering(password: str = "s3cret") -> AsyncIterator[Registrar]:
    registrar = Registrar(password)
    await registrar.open()
    try:
        yield registrar
    finally:
        registrar.transport.close()
