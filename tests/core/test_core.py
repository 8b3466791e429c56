"""The core and simulated phones against each other over loopback, no edge between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest

from provisioner.core.core import Core, address_of, calling_number
from provisioner.errors import PeerError, ProvisionerError
from provisioner.sip.headers import NameAddr, Uri
from provisioner.sip.message import Request, Response
from provisioner.sip.sdp import MediaSession
from provisioner.sip.session import Answered, Event, Failed, Session
from tests.core.pidf import CIVIC, multipart, pidf
from tests.simulate.phones import phone_at

LIMIT = 10.0


class Watch:
    """Rows that a core told of; `until` waits for one that fits."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self._news = asyncio.Event()

    def __call__(self, row: dict[str, Any]) -> None:
        self.rows.append(row)
        self._news.set()

    async def until(self, fits: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        async with asyncio.timeout(LIMIT):
            while True:
                for row in self.rows:
                    if fits(row):
                        return row
                self._news.clear()
                await self._news.wait()


async def soon(condition: Callable[[], bool]) -> None:
    """Wait for what no event tells: audio."""
    async with asyncio.timeout(LIMIT):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(pace: float = 0.02) -> AsyncIterator[tuple[Core, Watch]]:
    watch = Watch()
    core = Core(Random(1), None, watch, pace)
    await core.open("127.0.0.1", 0)
    try:
        yield core, watch
    finally:
        await core.close()


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scene())


@pytest.mark.parametrize("transport", ["UDP", "TCP"])
def test_a_patient_rings_answers_talks_and_hangs_up(transport: str) -> None:
    async def scene() -> None:
        async with running() as (core, watch), phone_at(core.address, transport=transport) as phone:
            call = await phone.call("+12125550199")
            await call.until("talking")
            await watch.until(lambda row: row["state"] == "talking")
            await call.until("ended")
            assert call.history == ["calling", "ringing", "talking", "ended"]
            assert call.outcome == "bye"
            row = await watch.until(lambda row: row["state"] == "ended")
            assert (row["from"], row["to"], row["kind"]) == ("101", "+12125550199", "patient")
            assert core.active == {}

    play(scene)


def test_voice_and_digits_arrive_in_both_directions() -> None:
    async def scene() -> None:
        async with running(pace=1.0) as (core, watch), phone_at(core.address) as phone:
            call = await phone.call("988")
            await call.until("talking")
            await call.press("*1103#")
            row = await watch.until(lambda row: row["heard"] == "*1103#")
            assert row["kind"] == "crisis"
            party = core.active[row["call"]].endpoint
            call.endpoint.tone(440)
            party.tone(880)
            await party.press("7")
            await call.wait_for(lambda: call.digits == "7")
            await soon(lambda: call.endpoint.power(880, 0.3) > 0.8 and party.power(440, 0.3) > 0.8)
            call.hangup()
            await watch.until(lambda row: row["state"] == "ended")

    play(scene)


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        ("+12125550486", "486 Busy Here"),
        ("+12125550404", "404 Not Found"),
        ("+12125550480", "480 Temporarily Unavailable"),
        ("+12125550503", "503 Service Unavailable"),
        ("+12125550603", "603 Decline"),
        ("12", "404 Not Found"),
    ],
)
def test_numbers_that_do_not_answer(number: str, outcome: str) -> None:
    async def scene() -> None:
        async with running(pace=0.001) as (core, _watch), phone_at(core.address) as phone:
            call = await phone.call(number)
            with pytest.raises(PeerError, match=outcome):
                await call.until("talking")
            assert core.active == {}

    play(scene)


def test_giving_up_while_it_rings() -> None:
    async def scene() -> None:
        async with running(pace=1.0) as (core, watch), phone_at(core.address) as phone:
            call = await phone.call("+12125550480")
            await call.until("ringing")
            call.hangup()
            row = await watch.until(lambda row: row["state"] == "ended")
            assert row["outcome"] == "cancelled"

    play(scene)


def test_early_media_is_heard_before_the_answer() -> None:
    async def scene() -> None:
        async with running(pace=1.0) as (core, _watch), phone_at(core.address) as phone:
            call = await phone.call("+12125550183")
            await call.until("ringing")
            await soon(lambda: call.endpoint.packets_in > 0)
            assert "talking" not in call.history
            call.hangup()

    play(scene)


# emergency


def test_911_reads_back_the_registered_address() -> None:
    async def scene() -> None:
        async with running(pace=1.0) as (core, watch), phone_at(core.address, "4155550101") as phone:
            core.register_address("4155550101", {"HNO": "12", "RD": "Main"}, "Clinic")
            call = await phone.dial("911")
            await call.until("talking")
            row = await watch.until(lambda row: row["state"] == "talking")
            assert row["kind"] == "emergency"
            assert row["callback"] == "+14155550101"
            assert (row["source"], row["civic"]) == ("registered", {"HNO": "12", "RD": "Main"})

    play(scene)


def test_933_without_an_address_says_so_and_hangs_up() -> None:
    async def scene() -> None:
        async with running() as (core, watch), phone_at(core.address) as phone:
            call = await phone.dial("933")
            await call.until("ended")
            row = await watch.until(lambda row: row["state"] == "ended")
            assert (row["kind"], row["source"], row["civic"]) == ("emergency-test", "none", {})

    play(scene)


async def send_emergency(core: Core, document: bytes) -> Response:
    """A 911 call with a location; the final answer."""
    async with phone_at(core.address) as phone:
        done: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

        def listen(session: Session, event: Event) -> None:
            if isinstance(event, Answered | Failed) and event.response:
                session.hangup()
                done.set_result(event.response)

        sdp = MediaSession("127.0.0.1", 9, 1).offer()
        kind, body = multipart(sdp, {"loc@x": document})
        me = NameAddr(Uri("sip", "127.0.0.1", user="101"))
        headers = [
            ("geolocation", "<cid:loc@x>"),
            ("p-asserted-identity", "<sip:+14155550102@127.0.0.1>"),
        ]
        flow = phone.agent.connect("UDP", core.address)
        phone.agent.invite("urn:service:sos", flow, me, me, body, listen, headers, kind)
        return await asyncio.wait_for(done, LIMIT)


def test_911_takes_the_location_and_the_asserted_number_of_the_call() -> None:
    async def scene() -> None:
        async with running() as (core, watch):
            core.register_address("+14155550102", {"RD": "Registered"}, "Clinic")
            response = await send_emergency(core, pidf())
            assert response.status == 200
            row = await watch.until(lambda row: row["state"] == "talking")
            assert (row["source"], row["civic"], row["callback"]) == ("pidf-lo", CIVIC, "+14155550102")
            assert core.calls()[0]["kind"] == "emergency"

    play(scene)


def test_911_with_a_hostile_location_is_answered_from_the_registered_one() -> None:
    hostile = b'<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + pidf({"RD": "&x;"}, escaped=False)

    async def scene() -> None:
        async with running() as (core, watch):
            core.register_address("+14155550102", {"RD": "Registered"}, "Clinic")
            assert (await send_emergency(core, hostile)).status == 200
            row = await watch.until(lambda row: row["state"] == "talking")
            assert (row["source"], row["civic"]) == ("registered", {"RD": "Registered"})
            assert row["fault"] == "PIDF-LO with a DOCTYPE"

    play(scene)


# offers and answers of other shapes


async def raw_invite(
    target: tuple[str, int], uri: str, body: bytes, answer: Callable[[Session, Answered], None]
) -> Event:
    """An INVITE with any body; its end, or the answer after `answer` had a look at it."""
    async with phone_at(target) as phone:
        done: asyncio.Future[Event] = asyncio.get_running_loop().create_future()

        def listen(session: Session, event: Event) -> None:
            if isinstance(event, Answered):
                answer(session, event)
                session.hangup()
            if isinstance(event, Answered | Failed):
                done.set_result(event)

        me = NameAddr(Uri("sip", "127.0.0.1", user="101"))
        flow = phone.agent.connect("UDP", target)
        phone.agent.invite(uri, flow, me, me, body, listen)
        return await asyncio.wait_for(done, LIMIT)


def test_without_an_offer_the_answer_offers() -> None:
    async def scene() -> None:
        async with running() as (core, _watch), phone_at(core.address, "102") as phone:
            phone.on_ring = lambda call: asyncio.ensure_future(call.answer())
            for target, uri in ((core.address, "sip:988@x"), ((phone.host, phone.port), "sip:102@x")):
                event = await raw_invite(target, uri, b"", lambda _session, _event: None)
                assert isinstance(event, Answered)
                assert b"telephone-event" in event.sdp

    play(scene)


def test_an_offer_without_a_codec_in_common_is_refused() -> None:
    video = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\nm=video 9 RTP/AVP 31\r\n"

    async def scene() -> None:
        async with running() as (core, _watch), phone_at(core.address, "102") as phone:
            phone.on_ring = lambda call: asyncio.ensure_future(call.answer())
            for target, uri in ((core.address, "sip:988@x"), ((phone.host, phone.port), "sip:102@x")):
                event = await raw_invite(target, uri, video, lambda _session, _event: None)
                assert isinstance(event, Failed)
                assert event.status == 488

    play(scene)


def test_a_number_that_is_no_uri_is_refused() -> None:
    async def scene() -> None:
        async with running() as (core, _watch):
            event = await raw_invite(core.address, "http://x", b"", lambda _session, _event: None)
            assert isinstance(event, Failed)
            assert event.status == 416

    play(scene)


def test_keys_need_an_other_side_that_takes_them() -> None:
    async def scene() -> None:
        plain = MediaSession("127.0.0.1", 9, 1).offer().replace(b"telephone-event", b"x")
        async with phone_at(("127.0.0.1", 9), "102") as phone:
            pressed: list[str] = []

            def look(_session: Session, _event: Answered) -> None:
                with pytest.raises(PeerError, match="no telephone-events"):
                    next(iter(phone.calls)).press("1")
                pressed.append("1")

            phone.on_ring = lambda call: asyncio.ensure_future(call.answer())
            await raw_invite((phone.host, phone.port), "sip:102@x", plain, look)
            assert pressed == ["1"]

    play(scene)


# patients call the practice


def test_a_patient_calls_talks_and_hangs_up() -> None:
    async def scene() -> None:
        async with running() as (core, watch), phone_at(core.address, "102") as phone:
            core.edge = (phone.host, phone.port)
            phone.on_ring = lambda call: rung.set_result(call)
            rung = asyncio.get_running_loop().create_future()
            placed = await core.call("+12125550143", "102", 5.0)
            call = await asyncio.wait_for(rung, LIMIT)
            assert call.number == "+12125550143"
            await call.answer()
            await placed.answered.wait()
            await call.until("ended")
            row = await watch.until(lambda row: row["state"] == "ended")
            assert (row["kind"], row["outcome"]) == ("inbound", "hung up")

    play(scene)


def test_the_phone_holds_and_resumes() -> None:
    async def scene() -> None:
        async with running(pace=1.0) as (core, _watch), phone_at(core.address) as phone:
            call = await phone.call("988")
            await call.until("talking")
            await call.hold()
            await call.resume()
            assert call.history[-2:] == ["held", "talking"]
            call.hangup()
            with pytest.raises(PeerError, match="no call to hold"):
                await call.hold()

    play(scene)


@pytest.mark.parametrize(("status", "state"), [(480, "voicemail"), (486, "ended")])
def test_a_practice_that_does_not_answer(status: int, state: str) -> None:
    async def scene() -> None:
        async with running() as (core, watch), phone_at(core.address, "102") as phone:
            core.edge = (phone.host, phone.port)
            phone.on_ring = lambda call: call.reject(status)
            placed = await core.call("+12125550143", "102", 5.0)
            await asyncio.wait_for(placed.over.wait(), LIMIT)
            assert placed.state == state
            assert watch.rows[-1]["state"] == state

    play(scene)


def test_patients_keep_calling_the_main_number() -> None:
    async def scene() -> None:
        async with running(pace=0.001) as (core, _watch), phone_at(core.address) as phone:
            core.edge = (phone.host, phone.port)
            rings: asyncio.Queue[str] = asyncio.Queue()

            def ring(call: Any) -> None:
                rings.put_nowait(call.number)
                call.reject(480)

            phone.on_ring = ring
            living = asyncio.create_task(core.live("+14155550100"))
            async with asyncio.timeout(LIMIT):
                numbers = [await rings.get() for _ in range(3)]
            living.cancel()
            assert all(number.startswith("+1") for number in numbers)

    play(scene)


def test_closing_hangs_up() -> None:
    async def scene() -> None:
        async with running(pace=1.0) as (core, _watch), phone_at(core.address) as phone:
            call = await phone.call("988")
            await call.until("talking")
            await core.close()
            await call.until("ended")
            assert call.outcome == "bye"

    play(scene)


def test_without_an_edge_a_patient_cannot_call() -> None:
    async def scene() -> None:
        async with running() as (core, _watch):
            with pytest.raises(ProvisionerError, match="no edge"):
                await core.call("+12125550143", "+14155550100", 5.0)

    play(scene)


def test_options_and_other_requests() -> None:
    async def scene() -> None:
        async with running() as (core, _watch), phone_at(core.address) as phone:
            flow = phone.agent.connect("UDP", core.address)
            me = NameAddr(Uri("sip", "127.0.0.1", user="101"))
            statuses = []
            for method in ("OPTIONS", "REGISTER"):
                done: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()
                request = phone.agent.new_request(method, "sip:127.0.0.1", me, me, [])
                phone.agent.request(request, flow, done.set_result)
                response = await asyncio.wait_for(done, LIMIT)
                statuses.append(response.status if response else None)
            assert statuses == [200, 405]

    play(scene)


@pytest.mark.parametrize(
    ("headers", "number"),
    [
        ([("from", "<sip:+14155550101@x>;tag=1")], "+14155550101"),
        ([("p-asserted-identity", "<tel:4155550102>"), ("from", "<sip:101@x>")], "+14155550102"),
        ([("p-asserted-identity", "junk"), ("from", "<sip:101@x>")], "101"),
        ([("from", "<sip:x>")], ""),
    ],
)
def test_calling_number(headers: list[tuple[str, str]], number: str) -> None:
    assert calling_number(Request("INVITE", "sip:911@x", headers)) == number


def test_addresses_of_the_edge() -> None:
    assert address_of("127.0.0.1:5070") == ("127.0.0.1", 5070)
    assert address_of("sip:10.0.0.1;transport=udp") == ("10.0.0.1", 5060)
    with pytest.raises(ProvisionerError, match="HOST:PORT"):
        address_of("a b")
