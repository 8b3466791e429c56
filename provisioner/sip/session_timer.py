"""Session timers (RFC 4028): who refreshes a session, how often, and when it is given up."""

from __future__ import annotations

from collections.abc import Callable

from provisioner.sip.events import lists
from provisioner.sip.headers import parse_params
from provisioner.sip.message import Message, Request, Response
from provisioner.sip.timers import Timer, Timers

INTERVAL = 1800  # seconds, ours when nobody asks for another (section 4)
MIN_SE = 90  # seconds, the least that may be asked for (section 5)
RETRY = 5.0  # seconds after a refresh that was refused
_LONGEST = 86400 * 7


def seconds_of(message: Message, name: str) -> int:
    """Session-Expires or Min-SE of a message, in seconds; 0 without one that can be read."""
    text = message.get(name).partition(";")[0].strip()
    return min(int(text), _LONGEST) if text.isdecimal() and text.isascii() and len(text) < 11 else 0


class SessionTimer:
    """Of one dialog. `refresh` is called at half the interval when that is ours to do, `expire` at its end.

    `interval` 0 switches it off: then only what the peer asks for counts.
    """

    def __init__(self, timers: Timers, interval: int) -> None:
        self.refresh: Callable[[], None] = lambda: None
        self.expire: Callable[[], None] = lambda: None
        self.interval = interval
        self.ours = True
        self.active = False
        self._least = 0  # the largest Min-SE that was heard of
        self._timers = timers
        self._half: Timer | None = None
        self._end: Timer | None = None

    # as UAC (section 7)

    def ask(self, request: Request) -> None:
        """Write what we want into an INVITE or UPDATE of ours."""
        if not self.interval:
            return
        role = "" if not self.active else ";refresher=uac" if self.ours else ";refresher=uas"
        request.set("session-expires", f"{max(self.interval, self._least)}{role}")
        if self._least:
            request.set("min-se", str(self._least))

    def too_small(self, response: Response) -> bool:
        """Take a 422; whether its Min-SE is news, so that asking again makes sense (7.3)."""
        least = seconds_of(response, "min-se")
        news = response.status == 422 and least > max(self._least, self.interval)
        if news:
            self.interval = self._least = least
        return news

    def agreed(self, response: Response) -> None:
        """A 2xx to our request: what counts from now on (7.2)."""
        seconds = seconds_of(response, "session-expires")
        if seconds:
            refresher = parse_params(response.get("session-expires").partition(";")[2]).get("refresher")
            self._start(seconds, refresher != "uas")
        elif self.interval:  # the peer has no timer: for our own sake we refresh alone
            self._start(max(self.interval, self._least), True)
        else:
            self.stop()

    # as UAS (section 9)

    def refused(self, request: Request) -> int:
        """The Min-SE of the 422 that a request deserves, 0 when its interval will do."""
        seconds = seconds_of(request, "session-expires")
        return MIN_SE if 0 < seconds < MIN_SE and lists(request, "supported", "timer") else 0

    def accept(self, request: Request, response: Response) -> None:
        """Write into our 2xx who refreshes, and how often (table 2)."""
        self._least = max(self._least, seconds_of(request, "min-se"))
        value = request.get("session-expires")
        theirs, able = seconds_of(request, "session-expires"), lists(request, "supported", "timer")
        seconds = theirs or (max(self.interval, self._least) if self.interval else 0)
        if not seconds:
            self.stop()
            return
        wish = parse_params(value.partition(";")[2]).get("refresher")
        peer = able and (wish == "uac" or (wish != "uas" and bool(theirs)))
        if able:
            response.headers.append(("require", "timer"))
        if able or theirs:
            response.headers.append(("session-expires", f"{seconds};refresher={'uac' if peer else 'uas'}"))
        self._start(seconds, not peer)

    def _start(self, seconds: int, ours: bool) -> None:
        self.stop()
        self.active, self.ours, self.interval = True, ours, seconds
        if ours:
            self._half = self._timers.after(seconds / 2, lambda: self.refresh())
        self._end = self._timers.after(seconds - min(32.0, seconds / 3), lambda: self.expire())

    def again(self) -> None:
        """A refresh was refused: try once more before the end."""
        if self.active and self.ours:
            self._half = self._timers.after(RETRY, lambda: self.refresh())

    def stop(self) -> None:
        """No refresh, no end."""
        self.active = False
        for timer in (self._half, self._end):
            if timer:
                timer.cancel()
