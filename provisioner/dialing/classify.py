"""What is dialled, and where it goes: one pure function for routing, transfers, click-to-call and checks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import phonenumbers
from phonenumbers import PhoneNumberType

Kind = Literal["emergency", "emergency-test", "crisis", "extension", "service", "outbound", "refused"]
Origin = Literal["keypad", "software", "transfer"]
Prompt = Literal[
    "",
    "invalid",
    "own-extension",
    "desk-phones-only",
    "emergency-target",
    "crisis-target",
    "refused",
    "area-code",
    "not-nanp",
    "dial-911",
    "trunk-down",
    "no-abroad",
    "day-limit",
    "too-many-calls",
    "not-now",
]

# This table decides, not a library: theirs are prefix tests, and change with every release.
CODES: dict[str, tuple[Kind, str]] = {
    "911": ("emergency", "911"),
    "9911": ("emergency", "911"),
    "1911": ("emergency", "911"),
    "112": ("emergency", "911"),
    "933": ("emergency-test", "933"),
    "9933": ("emergency-test", "933"),
    "988": ("crisis", "988"),
    "9988": ("crisis", "988"),
    "1988": ("crisis", "988"),
}
URGENT: frozenset[Kind] = frozenset({"emergency", "emergency-test", "crisis"})
SERVICES = frozenset({"211", "311", "411", "511", "711", "811"})  # 611 would reach the carrier, not us

# Calls to these count against no limit: the United States, its territories, and Canada.
_DOMESTIC = frozenset({"US", "CA", "PR", "VI", "GU", "MP", "AS"})

_SEPARATORS = re.compile(r"[\s\-.()#]")
_URN = re.compile(
    r"urn:service:(test\.)?sos(\.[a-z0-9.\-]+)?", re.IGNORECASE
)  # RFC 5031, RFC 6881 section 17
_NANP = re.compile(r"(?:\+?1|91)?([0-9]{10})")  # 9 + 1 + 10: the outside-line habit of old systems
_MEXICO = re.compile(r"(?:\+|011)(52[0-9]{10})")
_ABROAD = re.compile(r"\+(?!1)[0-9]*|011[0-9]*")
_HABITS = re.compile(r"\*67|\*82|\*+|\+")  # before an emergency code these say nothing
_BEGINS_911 = re.compile(r"911[0-9*]+")
_N11 = re.compile(r"[2-9]11")
_GEOGRAPHIC = (PhoneNumberType.FIXED_LINE, PhoneNumberType.FIXED_LINE_OR_MOBILE, PhoneNumberType.MOBILE)
_EXCHANGE_976 = "976"
_CARRIER_EXCHANGES = frozenset({"950", "958", "959"})  # carrier access and line tests, not subscribers


@dataclass(frozen=True, slots=True)
class Plan:
    """What a line may reach: the known `extensions`, its `own`, their `length` in digits, and `services`.

    A leg that came back from the core gets no extensions: they are dialled from desk phones only.
    `abroad`: whether any calls to other countries are allowed, under their limit a day.
    """

    extensions: frozenset[str] = frozenset()
    own: str = ""
    length: int = 3
    services: frozenset[str] = SERVICES
    abroad: bool = True


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a call goes.

    `number`: an extension, a service code, or E.164. When refused: `reason` in words without the number, the
    audio `prompt` that says it, and the SIP `status`. `international`: counts against the per-day limit.
    """

    kind: Kind
    number: str = ""
    reason: str = ""
    prompt: Prompt = ""
    status: int = 0
    international: bool = False


def _refused(reason: str, prompt: Prompt, status: int) -> Destination:
    return Destination("refused", reason=reason, prompt=prompt, status=status)


_INVALID = _refused("that number is not valid", "invalid", 404)
_NO_AREA_CODE = _refused("the area code is missing", "area-code", 484)
_NOT_NANP = _refused("outside the North American Numbering Plan", "not-nanp", 403)
_LIKE_911 = _refused("begins with 911 but is longer: dial 911 for emergencies", "dial-911", 404)
_EMERGENCY_TARGET = _refused("no transfer to an emergency number", "emergency-target", 403)
_CRISIS_TARGET = _refused("no transfer to the crisis line", "crisis-target", 403)
_OWN = _refused("that is this phone's own extension", "own-extension", 403)
_ONLY_FROM_DESKS = _refused("extensions are dialled from desk phones only", "desk-phones-only", 403)
_NO_SERVICE = _refused("that service code is not allowed here", "refused", 403)
_PREMIUM = _refused("premium, personal and carrier numbers are not allowed", "refused", 403)
_NOT_ABROAD = _refused("calls to other countries are switched off here", "no-abroad", 403)
_N11_EXCHANGE = _refused("no subscriber has an exchange such as 911", "refused", 403)


def classify(dialled: str, origin: Origin, plan: Plan) -> Destination:
    """Where `dialled` goes. `origin` says who dialled it.

    `keypad`: the keys of a desk phone; `software`: click-to-call, an import, the API; `transfer`: keys in the
    transfer menu. `dialled` may also be a service URN. Never raises.
    """
    digits = _SEPARATORS.sub("", dialled.partition(";")[0])  # parameters of a telephone-subscriber, RFC 3966
    special = _urn(dialled) or _special(digits, origin)
    if special is not None:
        return special if origin != "transfer" else _not_a_target(special)
    if digits in plan.extensions:
        own = origin == "transfer" and digits == plan.own
        return _OWN if own else Destination("extension", digits)
    if re.fullmatch(r"[2-8]11", digits):
        allowed = digits in plan.services & SERVICES and origin != "transfer"
        return Destination("service", digits) if allowed else _NO_SERVICE
    outside = _outside(digits, plan)
    return _NOT_ABROAD if outside.international and not plan.abroad else outside


def is_urgent(dialled: str) -> bool:
    """Whether a keypad that dials this places an emergency, test or crisis call; the lines of nobody matter for it."""
    return classify(dialled, "keypad", Plan()).kind in URGENT


@lru_cache(1024)
def is_local(number: str) -> bool:
    """Whether an E.164 number has an area code of a place, by which a call to 988 is routed."""
    try:
        return phonenumbers.number_type(phonenumbers.parse(number)) in _GEOGRAPHIC
    except phonenumbers.NumberParseException:
        return False


def _urn(dialled: str) -> Destination | None:
    urn = _URN.fullmatch(dialled.strip())
    return Destination(*CODES["933" if urn[1] else "911"]) if urn else None


def _special(digits: str, origin: Origin) -> Destination | None:
    """Emergency and crisis codes, and what looks like them; None for everything else."""
    keyed = origin != "software"
    code = _HABITS.sub("", digits, count=1) if keyed and _HABITS.match(digits) else digits
    if code in CODES:
        return Destination(*CODES[code])
    if not _BEGINS_911.fullmatch(digits):
        return None
    if origin == "transfer" or (keyed and len(digits) <= 9):  # 911 and up to six stray digits
        return Destination(*CODES["911"])
    return _LIKE_911


def _not_a_target(special: Destination) -> Destination:
    return _CRISIS_TARGET if special.kind == "crisis" else _EMERGENCY_TARGET


def _outside(digits: str, plan: Plan) -> Destination:
    nanp = _NANP.fullmatch(digits)
    if nanp:
        return _nanp(nanp[1])
    mexico = _MEXICO.fullmatch(digits)
    if mexico:
        number = phonenumbers.parse(f"+{mexico[1]}")
        valid = phonenumbers.is_valid_number(number)
        return Destination("outbound", f"+{mexico[1]}", international=True) if valid else _INVALID
    if _ABROAD.fullmatch(digits):
        return _NOT_NANP
    if re.fullmatch(r"[0-9]{7}", digits):
        return _NO_AREA_CODE
    if re.fullmatch(r"[0-9]+", digits) and len(digits) == plan.length:
        unknown = _refused("there is no such extension", "invalid", 404)
        return unknown if plan.extensions else _ONLY_FROM_DESKS
    return _INVALID


@lru_cache(1024)  # the library takes 60 us, and each call is looked at three times
def _nanp(national: str) -> Destination:
    """A ten-digit number: valid by the library, and by the rules that it does not know."""
    area, exchange = national[:3], national[3:6]
    if area in ("700", "900"):
        return _PREMIUM
    number = phonenumbers.parse(f"+1{national}")
    if not phonenumbers.is_valid_number(number):
        return _INVALID
    kind = phonenumbers.number_type(number)
    if kind in (PhoneNumberType.PREMIUM_RATE, PhoneNumberType.PERSONAL_NUMBER):
        return _PREMIUM
    if kind != PhoneNumberType.TOLL_FREE:  # 800-711-…, 800-959-… and 800-976-… are ordinary subscribers
        if exchange == _EXCHANGE_976:
            return _PREMIUM
        if _N11.fullmatch(exchange):
            return _N11_EXCHANGE
        if exchange in _CARRIER_EXCHANGES:
            return _INVALID
    region = phonenumbers.region_code_for_number(number)
    return Destination("outbound", f"+1{national}", international=region not in _DOMESTIC)
