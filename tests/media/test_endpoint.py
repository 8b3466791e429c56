"""The asyncio party: two of them talking, and one against the media process."""

import asyncio
from random import Random

import pytest

from provisioner.media import prompts
from provisioner.media.endpoint import RtpEndpoint, power, tone_audio
from provisioner.media.g711 import SILENCE
from provisioner.media.rtp import Packet, build

HOST = "127.0.0.1"


def pair(test, codec="PCMU", **options):
    """Run `test(a, b)` with two parties connected to each other."""

    async def go():
        a, b = RtpEndpoint(HOST, Random(1)), RtpEndpoint(HOST, Random(2))
        for each in (a, b):
            each.port = await each.open()
        options.setdefault("event_in", 101)
        options.setdefault("event_out", 101)
        a.connect((HOST, b.port), codec, **options)
        b.connect((HOST, a.port), codec, **options)
        try:
            async with asyncio.timeout(20):
                await test(a, b)
        finally:
            a.close()
            b.close()

    asyncio.run(go())


async def until(condition):
    while not condition():  # noqa: ASYNC110 - what arrives by network announces itself to nobody
        await asyncio.sleep(0.01)


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_a_tone_is_heard(codec):
    async def test(a, b):
        a.tone(440)
        await until(lambda: b.power(440, 0.2) > 0.95)
        assert b.power(600, 0.2) < 0.05
        assert a.power(440, 0.2) == 0.0
        a.silence()
        await until(lambda: b.power(440, 0.1) == 0.0 and b.packets_in > 20)

    pair(test, codec)


def test_files_are_played_whole_and_their_end_is_told():
    async def test(a, b):
        assert await a.play(["say-1", "say-2"]) is True
        await until(lambda: len(b.heard(30)) >= (a.packets_out - 2) * 160)
        assert prompts.load("say-1") + prompts.load("say-2") in b.heard(30)

    pair(test)


def test_playing_is_cut_short():
    async def test(a, _b):
        first = a.play(["music"], loop=True)
        second = a.play(["menu"])
        assert await first is False
        a.silence()
        assert await second is False

    pair(test)


def test_keys_are_pressed_and_heard():
    async def test(a, b):
        heard = []
        b.on_digit = heard.append
        await a.press("1*#", ms=40, gap_ms=60)
        await until(lambda: len(heard) == 3)
        await a.press("11", ms=40, gap_ms=60)
        await until(lambda: len(heard) == 5)
        assert heard == list("1*#11")

    pair(test)


def test_nothing_to_press_is_done_at_once():
    async def test(a, _b):
        await a.press("")

    pair(test)


@pytest.mark.parametrize(("options", "digits"), [({"event_out": None}, "1"), ({}, "x")])
def test_keys_that_cannot_be_pressed(options, digits):
    async def test(a, _b):
        with pytest.raises(ValueError, match=r"telephone-events|keys are"):
            a.press(digits)

    pair(test, **options)


def test_packets_of_others_and_junk_are_not_heard():
    async def test(a, b):
        await until(lambda: b.packets_in > 0)
        count = b.packets_in
        for data, source in (
            (build(Packet(0, False, 1, 2, 3, b"x" * 160)), ("192.0.2.9", 5)),
            (b"junk", (HOST, a.port)),
            (b"\x80\xc8\0\6" + bytes(24), (HOST, a.port)),
        ):
            b.datagram_received(data, source)
        assert b.packets_in == count
        b.error_received(ConnectionRefusedError())

    pair(test)


def test_what_is_heard_is_bounded():
    async def test(a, b):
        b.close()
        data = build(Packet(0, False, 1, 2, 3, b"x" * 160))
        for _ in range(5000):
            b.datagram_received(data, (HOST, a.port))
        assert len(b.heard(1000)) == 30 * 8000

    pair(test)


def test_a_stalled_loop_keeps_the_timestamps_true():
    """The party's own machine, stepped by hand: no clock."""

    async def go():
        party = RtpEndpoint(HOST, Random(1))
        sent = []
        party._send = sent.append
        loop = asyncio.get_running_loop()
        party._origin = loop.time() - 1.0
        party._tick()
        party._timer.cancel()
        assert party._grid == 51
        assert len(sent) == 4

    asyncio.run(go())


def test_close_ends_what_waits():
    async def test(a, _b):
        played, pressed = a.play(["menu"]), a.press("123")
        a.close()
        assert await played is False
        with pytest.raises(asyncio.CancelledError):
            await pressed

    pair(test)


def test_no_free_port():
    async def go():
        with pytest.raises(OSError, match="assign requested address"):
            await RtpEndpoint("192.0.2.1", Random(1)).open()

    asyncio.run(go())


def test_power():
    assert power(tone_audio(1000), 1000) > 0.99
    assert power(tone_audio(1000), 1100) < 0.01
    assert power(bytes([SILENCE]) * 800, 1000) == 0.0
    assert power(b"", 1000) == 0.0
