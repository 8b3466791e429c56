"""One party of a call on asyncio, for the stand-in core and simulated phones: speaks, hears, presses."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Iterable
from functools import cache
from random import Random

from provisioner.media import g711
from provisioner.media.codecs import PAYLOAD_TYPES
from provisioner.media.digits import DIGITS, DigitReceiver, DigitSender
from provisioner.media.latch import Address
from provisioner.media.leg import Playback, read_files
from provisioner.media.rtp import FRAME, FRAME_SECONDS, PCMA, PCMU, RATE, Packet, build, is_rtcp, parse

HEARD_SECONDS = 30.0  # what is kept of what was heard
TONE_PEAK = 8000  # of 32767: about -15 dBFS RMS
CATCH_UP = 3  # frames sent at once after a stall


@cache
def tone_audio(hertz: int) -> bytes:
    """One second of a sine as mu-law; loops without a seam, since `hertz` is whole."""
    step = 2 * math.pi * hertz / RATE
    return g711.encode_mulaw(round(TONE_PEAK * math.sin(step * i)) for i in range(RATE))


def power(audio: bytes, hertz: float) -> float:
    """Share (0 to 1) of the energy of mu-law `audio` that lies at `hertz` (Goertzel); 0 for silence."""
    samples = g711.decode_mulaw(audio)
    total = sum(x * x for x in samples)
    if total < 16 * 16 * max(1, len(samples)):
        return 0.0
    coefficient = 2 * math.cos(2 * math.pi * hertz / RATE)
    before = last = 0.0
    for sample in samples:
        before, last = last, sample + coefficient * last - before
    energy = before * before + last * last - coefficient * before * last
    return min(1.0, 2 * energy / (len(samples) * total))


class RtpEndpoint(asyncio.DatagramProtocol):
    """Sends a packet every 20 ms from `connect` on: silence, a tone, files or a pressed key."""

    def __init__(self, host: str, rng: Random, on_digit: Callable[[str], None] = lambda _digit: None) -> None:
        self.host, self.port = host, 0
        self.on_digit = on_digit
        self.packets_in = self.packets_out = 0
        self._rng = rng
        self._ssrc, self._sequence = rng.getrandbits(32), rng.getrandbits(15)
        self._timestamp, self._marker = rng.getrandbits(32), True
        self._transport: asyncio.DatagramTransport | None = None
        self._remote: Address | None = None
        self._payload_type = PCMU
        self._event_in: int | None = None
        self._event_out: int | None = None
        self._playback: Playback | None = None
        self._played: asyncio.Future[bool] | None = None
        self._keys: deque[tuple[str, int, int]] = deque()
        self._press: DigitSender | None = None
        self._pressed: asyncio.Future[None] | None = None
        self._gap = 0  # frames of audio that must pass before the next key
        self._digits = DigitReceiver()
        self._heard: deque[tuple[float, bytes]] = deque(maxlen=round(HEARD_SECONDS / FRAME_SECONDS))
        self._timer: asyncio.Handle | None = None
        self._origin, self._grid = 0.0, 0

    async def open(self) -> int:
        """Bind a free even port; the port. Raises OSError when none can be bound."""
        loop = asyncio.get_running_loop()
        error = OSError("no even port is free")
        for _ in range(50):
            port = self._rng.randrange(30000, 32768, 2)  # above the media process, below the ephemeral ports
            try:
                self._transport, _ = await loop.create_datagram_endpoint(lambda: self, (self.host, port))
            except OSError as caught:
                error = caught
                continue
            self.port = port
            return port
        raise error

    def connect(
        self, remote: Address, codec: str = "PCMU", event_in: int | None = None, event_out: int | None = None
    ) -> None:
        """Send to `remote` (IP address, port) from now on; may be called again when signalling changes it."""
        self._remote, self._payload_type = remote, PAYLOAD_TYPES[codec]
        self._event_in, self._event_out = event_in, event_out
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._origin, self._grid = loop.time(), 0
            self._timer = loop.call_soon(self._tick)

    def play(self, names: Iterable[str], loop: bool = False) -> asyncio.Future[bool]:
        """Play files one after the other; done with True at their end, False when something else cuts in."""
        return self._switch(Playback(read_files(names), loop))

    def tone(self, hertz: int) -> None:
        """A sine, until something else is asked."""
        self._switch(Playback(tone_audio(hertz), loop=True))

    def silence(self) -> None:
        """Packets of silence."""
        self._switch(None)

    def _switch(self, playback: Playback | None) -> asyncio.Future[bool]:
        self._end_play(False)
        self._playback = playback
        self._played = asyncio.get_running_loop().create_future()
        return self._played

    def _end_play(self, whole: bool) -> None:
        if self._played and not self._played.done():
            self._played.set_result(whole)
        self._playback = None

    def press(self, digits: str, ms: int = 100, gap_ms: int = 100) -> asyncio.Future[None]:
        """Press keys one after the other, each `ms` long and `gap_ms` apart; done when the last is sent.

        Raises ValueError when the other side takes no telephone-events, or for what is not a key.
        """
        if not set(digits) <= set(DIGITS):
            raise ValueError(f"keys are {DIGITS}")
        if self._event_out is None:
            raise ValueError("the other side takes no telephone-events")
        self._keys.extend((digit, ms, gap_ms) for digit in digits)
        if self._pressed is None or self._pressed.done():
            self._pressed = asyncio.get_running_loop().create_future()
        if not self._keys and self._press is None:
            self._pressed.set_result(None)
        return self._pressed

    def heard(self, seconds: float) -> bytes:
        """What arrived in the last `seconds` (30 at most), as mu-law."""
        since = asyncio.get_running_loop().time() - seconds
        return b"".join(audio for at, audio in self._heard if at >= since)

    def power(self, hertz: float, seconds: float = 1.0) -> float:
        """Share (0 to 1) of the energy heard in the last `seconds` that lies at `hertz`."""
        return power(self.heard(seconds), hertz)

    def close(self) -> None:
        """Stop, and free the port."""
        if self._timer:
            self._timer.cancel()
        self._end_play(False)
        if self._pressed and not self._pressed.done():
            self._pressed.cancel()
        if self._transport:
            self._transport.close()

    # sending

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        due = int((loop.time() - self._origin) / FRAME_SECONDS + 1e-6)
        skipped = max(0, due - CATCH_UP - self._grid)
        self._grid += skipped
        self._timestamp = (self._timestamp + skipped * FRAME) & 0xFFFFFFFF
        while self._grid <= due:
            self._frame(self._origin + self._grid * FRAME_SECONDS)
            self._grid += 1
        self._timer = loop.call_at(self._origin + self._grid * FRAME_SECONDS, self._tick)

    def _frame(self, at: float) -> None:
        """Send what belongs to the 20 ms that begin at `at`."""
        if self._press is None and self._keys and self._gap <= 0:
            self._begin_press(at)
        if self._press:
            for packet in self._press.packets(at):
                self._send(packet)
            if self._press.deadline is None:
                self._end_press()
            return
        self._gap -= 1
        frame = self._playback.frame() if self._playback else None
        if frame is None:
            if self._playback:
                self._end_play(True)
            frame = bytes([g711.SILENCE]) * FRAME
        if self._payload_type == PCMA:
            frame = frame.translate(g711.MULAW_TO_ALAW)
        header = Packet(self._payload_type, self._marker, self._sequence, self._timestamp, self._ssrc, frame)
        self._marker = False
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + FRAME) & 0xFFFFFFFF
        self._send(build(header))

    def _begin_press(self, at: float) -> None:
        digit, ms, gap_ms = self._keys.popleft()
        self._gap = round(gap_ms / 1000 / FRAME_SECONDS) - 2  # two frames of the gap carry the repeated end
        event_out = self._event_out if self._event_out is not None else 101
        self._press = DigitSender(digit, event_out, self._ssrc, self._sequence, self._timestamp, at, ms)

    def _end_press(self) -> None:
        assert self._press is not None
        self._sequence, self._timestamp, self._marker = self._press.sequence, self._press.timestamp, True
        self._press = None
        if not self._keys and self._pressed and not self._pressed.done():
            self._pressed.set_result(None)

    def _send(self, packet: bytes) -> None:
        if self._transport and self._remote and not self._transport.is_closing():
            self._transport.sendto(packet, self._remote)
            self.packets_out += 1

    # hearing

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """A packet from the network; what is not RTP of the other side is ignored."""
        packet = None if is_rtcp(data) else parse(data)
        if packet is None or self._remote is None or addr[0] != self._remote[0]:
            return
        self.packets_in += 1
        now = asyncio.get_running_loop().time()
        if packet.payload_type == self._event_in:
            found = self._digits.receive(packet, now)
            if found and found[1]:
                self.on_digit(found[0].digit)
        elif packet.payload_type == PCMU:
            self._heard.append((now, packet.payload))
        elif packet.payload_type == PCMA:
            self._heard.append((now, packet.payload.translate(g711.ALAW_TO_MULAW)))

    def error_received(self, exc: Exception) -> None:
        """ICMP errors: the other side is not there yet, or not any more."""
