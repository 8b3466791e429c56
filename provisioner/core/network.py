"""Who answers in the public network of the demo: a table of numbers, and the patients who call.

What a number does is told by its last four digits, so that everything can be tried with any area code:

| last four | what happens |
|---|---|
| 0183 | early media: ringback in a 183 before the answer |
| 0404 | not in service: 404 |
| 0480 | rings and never answers |
| 0486 | busy: 486 |
| 0503 | the network fails: 503 |
| 0603 | rings once and declines: 603 |
| 0187 | rings, then a mailbox answers; where the call asks for none, it rings on: 480 |
| any other | a patient: rings two seconds, answers, talks, hangs up after half a minute |

911, 112 and `urn:service:sos` reach the emergency centre, 933 and `urn:service:test.sos` its test, 988 the
crisis line; other N11 codes an announcement.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

Kind = Literal["patient", "mailbox", "emergency", "emergency-test", "crisis", "service", "inbound"]


class Behaviour(NamedTuple):
    """What a called number does. Times in seconds. `refuse`: a SIP status instead of an answer, after `ring`.

    `talk`: the least and the longest time until it hangs up; None: never by itself.
    """

    kind: Kind = "patient"
    ring: float = 2.0
    refuse: int = 0
    early: bool = False
    talk: tuple[float, float] | None = (25.0, 40.0)
    says: tuple[str, ...] = ("patient-hello", "patient-talk")


NEVER = 180.0  # seconds that a network lets a phone ring (timer C of proxies)

BY_LAST_FOUR = {
    "0183": Behaviour(early=True),
    "0187": Behaviour("mailbox", ring=5.0, talk=(10.0, 10.0), says=("mailbox",)),
    "0404": Behaviour(ring=0, refuse=404),
    "0480": Behaviour(ring=NEVER, refuse=480),
    "0486": Behaviour(ring=0, refuse=486),
    "0503": Behaviour(ring=0, refuse=503),
    "0603": Behaviour(refuse=603),
}
SERVICES = {
    "emergency": Behaviour("emergency", ring=0, talk=None, says=("emergency-centre",)),
    "emergency-test": Behaviour("emergency-test", ring=0, talk=(0.0, 0.0), says=("emergency-test",)),
    "crisis": Behaviour("crisis", ring=0, talk=None, says=("number-reached",)),
    "service": Behaviour("service", ring=0, talk=(0.0, 0.0), says=("number-reached",)),
}
_CODES = (
    (re.compile(r"(911|112|urn:service:sos(\..+)?)\Z"), "emergency"),
    (re.compile(r"(933|urn:service:test\.sos(\..+)?)\Z"), "emergency-test"),
    (re.compile(r"988\Z"), "crisis"),
    (re.compile(r"[2-8]11\Z"), "service"),
)
_ABROAD = re.compile(r"\+?(011)?52\d{10}\Z")  # Mexico, the one country outside the NANP that is reached
_E164 = re.compile(r"(?:\+?1)?([2-9]\d\d[2-9]\d{6})\Z")

PATIENTS = {
    "+12125550143": "Ada Morgan",
    "+13105550128": "Luis Ortega",
    "+14085550171": "Mei Chen",
    "+15105550164": "Sam Rivers",
    "+16175550119": "Nora Quinn",
}


def e164(dialled: str) -> str:
    """A NANP number as `+1` and ten digits; what is none is given back as it is."""
    found = _E164.match(dialled)
    return f"+1{found.group(1)}" if found else dialled


def past_mailboxes(who: Behaviour) -> Behaviour:
    """What a called number does where no mailbox may answer."""
    return who._replace(ring=NEVER, refuse=480) if who.kind == "mailbox" else who


def behaviour(dialled: str) -> Behaviour | None:
    """What `dialled` (a number, a code or a service URN) does; None: there is no such number."""
    for pattern, kind in _CODES:
        if pattern.match(dialled):
            return SERVICES[kind]
    if not _E164.match(dialled) and not _ABROAD.match(dialled):
        return None
    return BY_LAST_FOUR.get(dialled[-4:], Behaviour())
