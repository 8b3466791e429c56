"""The process `core`: the stand-in cloud core of the demo, with its control socket."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from random import Random, SystemRandom
from typing import Annotated, TypeVar

import msgspec

from provisioner import ipc
from provisioner.core.core import Core, address_of, calling_number, text_of
from provisioner.core.network import e164
from provisioner.core.switch import Switch
from provisioner.errors import ProvisionerError
from provisioner.ipc import Json
from provisioner.media.process import prepare
from provisioner.paths import StateDir

MAIN_NUMBER = "+14155550100"  # of the demo practice

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


class Address(msgspec.Struct, frozen=True):
    """Arguments of `register_address`."""

    number: Annotated[str, msgspec.Meta(min_length=1)]
    civic: dict[str, str]
    name: str = ""


class Dial(msgspec.Struct, frozen=True, rename={"from_": "from"}):
    """Arguments of `call`; `seconds` that the patient talks."""

    from_: str
    to: str
    seconds: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 30.0


class Control:
    """The calls of the control socket (docs/internals.md)."""

    def __init__(self, rng: Random, edge: tuple[str, int] | None) -> None:
        self._started = time.monotonic()
        self.server = ipc.Server(
            {
                "ping": self._ping,
                "status": self._status,
                "edge": self._edge,
                "register_address": self._register_address,
                "unregister_address": self._unregister_address,
                "addresses": lambda _args: dict(self.core.addresses),
                "call": self._call,
                "hangup": self._hangup,
                "calls": lambda _args: {"calls": self.core.calls()},
                "network": self._network,
                "transfers": self._transfers,
            }
        )
        self.switch: Switch | None = None
        self._rng = rng
        self.core = Core(rng, edge, lambda row: self.server.publish("call", row))

    def _ping(self, _args: Json) -> Json:
        return {"pid": os.getpid(), "uptime": time.monotonic() - self._started}

    def _status(self, _args: Json) -> Json:
        place = self.switch.practice if self.switch else self.core.edge
        return {
            "sip": text_of(self.switch.address if self.switch else self.core.address),
            "edge": text_of(place) if place else "",
            "active": len(self.core.active),
            "menus": self.switch is not None,
        }

    def _edge(self, args: Json) -> Json:
        place = address_of(str(args.get("sip", "")))
        if self.switch:
            self.switch.practice = place
        else:
            self.core.edge = place
        return {}

    async def open(self, host: str, port: int, menus: bool) -> tuple[str, int]:
        """Listen for the edge; with `menus` a switch does, before the public network."""
        self.core.address = await self.core.open(host, 0 if menus else port)
        if not menus:
            return self.core.address
        self.switch = Switch(
            self._rng,
            self.core.edge,
            self.core.address,
            self.core.on_invite,
            calling_number,
            lambda row: self.server.publish("transfer", row),
        )
        self.core.edge = await self.switch.open(host, port)
        return self.core.edge

    async def close(self) -> None:
        """End all calls."""
        if self.switch:
            self.switch.close()
        await self.core.close()

    def _with_menus(self) -> Switch:
        if self.switch is None:
            raise ProvisionerError("this core plays no menus; start it with --menus")
        return self.switch

    def _network(self, args: Json) -> Json:
        self._with_menus().public = address_of(str(args.get("sip", "")))
        return {}

    def _transfers(self, _args: Json) -> Json:
        return {"transfers": [bridge.view() for bridge in self._with_menus().bridges]}

    def _register_address(self, args: Json) -> Json:
        address = _read(args, Address)
        self.core.register_address(address.number, address.civic, address.name)
        return {}

    def _unregister_address(self, args: Json) -> Json:
        self.core.addresses.pop(e164(str(args.get("number", ""))), None)
        return {}

    async def _call(self, args: Json) -> Json:
        dial = _read(args, Dial)
        call = await self.core.call(dial.from_, dial.to, dial.seconds)
        return {"call": call.id}

    def _hangup(self, args: Json) -> Json:
        call = self.core.active.get(str(args.get("call", "")))
        if call is None:
            raise ProvisionerError("there is no such call; `calls` lists them")
        call.hangup()
        return {}


def _read(args: Json, kind: type[_T]) -> _T:
    try:
        return msgspec.convert(args, kind)
    except msgspec.ValidationError as error:
        raise ProvisionerError(f"bad arguments: {error}") from None


async def serve(
    state: StateDir,
    bind: str,
    sip_port: int,
    edge_sip: str,
    life: bool,
    rng: Random,
    stop: asyncio.Event,
    menus: bool = False,
) -> None:
    """Serve until `stop`. Raises OperatorError when the SIP port is taken."""
    control = Control(rng, address_of(edge_sip) if edge_sip else None)
    address = await control.open(bind, sip_port, menus)
    await control.server.start(state.socket("core"))
    _log.info("the demo core listens for SIP on %s", text_of(address))
    living = asyncio.create_task(control.core.live(MAIN_NUMBER)) if life else None
    await stop.wait()
    if living:
        living.cancel()
        await asyncio.gather(living, return_exceptions=True)
    await control.close()
    await control.server.close()


async def _until_signal(
    state: StateDir, bind: str, sip_port: int, edge_sip: str, life: bool, rng: Random, menus: bool
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await serve(state, bind, sip_port, edge_sip, life, rng, stop, menus)


def main(
    state: StateDir,
    bind: str = "127.0.0.1",
    sip_port: int = 0,
    edge_sip: str = "",
    life: bool = True,
    rng: Random | None = None,
    menus: bool = False,
) -> int:
    """Serve until SIGTERM or SIGINT; 0. `edge_sip`: `HOST:PORT` of the edge; may come later by `edge`.

    `menus`: whoever takes a call can transfer it by keypad here, as trunks with `transfer = "core"` leave it to us.
    """
    if menus:
        prepare()
    asyncio.run(_until_signal(state, bind, sip_port, edge_sip, life, rng or SystemRandom(), menus))
    return 0
