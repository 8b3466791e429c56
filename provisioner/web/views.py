"""Rows for pages and API, made from one World: phones, calls, what is wrong. Pure functions."""

from __future__ import annotations

from functools import partial
from typing import Literal

import msgspec

from provisioner.emergency import moved
from provisioner.emergency.calling import calling_number
from provisioner.ipc import Json
from provisioner.phones.identity import of_agent
from provisioner.phones.trust import RULES
from provisioner.store.once import once
from provisioner.store.records import Number, Phone, Snapshot
from provisioner.web import call_words, language, words
from provisioner.web.language import gettext
from provisioner.web.language import later as N_
from provisioner.web.sources import World

STARTING_SECONDS = 120  # from the first file asked for to a registration; the slowest maker needs about 90 s
BANNER_SECONDS = 1800  # an emergency stays on the page as long as its call-back is let through

Level = Literal["good", "busy", "warn", "bad", "none"]

PHONE_STATUS: dict[str, tuple[str, Level]] = {
    "in-call": (N_("In a call"), "busy"),
    "ready": (N_("Ready"), "good"),
    "starting": (N_("Starting"), "warn"),
    "offline": (N_("Offline"), "bad"),
    "unknown": (N_("Not known"), "none"),
    "waiting": (N_("Waiting"), "warn"),
    "ignored": (N_("Ignored"), "none"),
}

PHONE_FILTERS = {
    "": N_("All"),
    "ready": N_("Ready"),
    "attention": N_("Needs attention"),
    "offline": N_("Offline"),
    "waiting": N_("Waiting for adoption"),
}

CALL_STATE: dict[str, tuple[str, Level]] = {
    "ringing": (N_("Ringing"), "warn"),
    "talking": (N_("Talking"), "busy"),
    "menu": (N_("Transfer: in the menu"), "busy"),
    "collecting": (N_("Transfer: keying the target"), "busy"),
    "resolve": (N_("Transfer: looking up {target}"), "busy"),
    "dialling": (N_("Transfer: calling {target}"), "busy"),
    "consulting": (N_("Transfer: talking to {target}, caller hears music"), "busy"),
    "completing": (N_("Transfer: about to hand over to {target}"), "busy"),
    "referred": (N_("Transfer by the phone's own key to {target}"), "busy"),
    "recall": (N_("Ringing again: the desk phone was hung up"), "warn"),
    "group": (N_("Ringing the group"), "warn"),
    "kept": (N_("Caller gone; talking to {target}"), "busy"),
    "farewell": (N_("Caller gone"), "none"),
    "refused": (N_("Refused: hears why"), "warn"),
    "joined": (N_("Transferred to {target}"), "good"),
    "ended": (N_("Ended"), "none"),
}

DIRECTION = {
    "internal": N_("Internal"),
    "inbound": N_("Inbound"),
    "outbound": N_("Outbound"),
    "emergency": N_("Emergency"),
}


class LineRow(msgspec.Struct, kw_only=True):
    """One line of a phone, with the state of the emergency address behind its number."""

    extension: str
    number: str
    name: str
    address_status: str


class PhoneRow(msgspec.Struct, kw_only=True):
    """One phone, adopted or waiting. `status`: a key of PHONE_STATUS; `last_seen`: since 1970, or null."""

    mac: str
    status: str
    adopted: bool
    vendor: str = ""
    model: str = ""
    lines: list[LineRow] = []
    location: str = ""
    location_name: str = ""
    civic: str = ""
    front_desk: bool = False
    address: str = ""
    agent: str = ""
    version: str = ""
    contact: str = ""
    expires_in: int | None = None
    last_seen: float | None = None
    doubt: str = ""  # why it may not be at its location
    group: str = ""
    group_name: str = ""
    newest: str = ""  # the firmware that it could run, where what it runs is older and somebody looked

    @property
    def status_word(self) -> str:
        return PHONE_STATUS[self.status][0]

    @property
    def level(self) -> Level:
        return PHONE_STATUS[self.status][1]

    @property
    def label(self) -> str:
        return (
            next((line.name for line in self.lines if line.name), "") or f"{self.maker} {self.model}".strip()
        )

    @property
    def maker(self) -> str:
        return self.vendor.capitalize()

    @property
    def needs_attention(self) -> bool:
        unregistered = any(line.number and line.address_status != "registered" for line in self.lines)
        return self.adopted and (
            self.status == "offline" or not self.location or unregistered or bool(self.doubt)
        )


class Party(msgspec.Struct):
    """One side of a call: what to call it, and its number or extension where that says more."""

    name: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.name} ({self.detail})" if self.detail else self.name


class CallRow(msgspec.Struct, kw_only=True):
    """One call, live or past. `steps`, `story`: seconds after it began, and the state, or what happened in words."""

    id: str
    direction: str
    state: str
    state_word: str
    level: Level
    caller: Party
    callee: Party
    desk: str
    started: float
    answered: float | None
    ended: float | None
    outcome: str
    steps: list[tuple[float, str]]
    story: list[tuple[float, str]] = []  # the steps in words
    ring_seconds: float | None = None
    talk_seconds: float | None = None
    loss: float | None = None
    jitter_ms: float | None = None
    mos: float | None = None

    @property
    def talked(self) -> float | None:
        return self.ended - self.answered if self.ended and self.answered else None

    @property
    def direction_word(self) -> str:
        return gettext(DIRECTION.get(self.direction, self.direction))

    @property
    def transferred(self) -> bool:
        return any(what.startswith("joined") for _at, what in self.steps)

    @property
    def outcome_words(self) -> str:
        return call_words.outcome(self.outcome or "ended")

    @property
    def quality(self) -> tuple[str, str]:
        return call_words.quality(self.mos)

    @property
    def live(self) -> bool:
        return self.state != "ended"


class Finding(msgspec.Struct, kw_only=True):
    """One thing that is wrong: what, what to do, and the page that shows it."""

    level: Level
    what: str
    remedy: str
    link: str = ""


class Emergency(msgspec.Struct, kw_only=True):
    """An emergency call for the red banner."""

    call: CallRow
    phone: Party
    callback: str
    callback_known: bool
    location: str
    test: bool
    told: list[str]
    not_told: list[str]


def phones(world: World, ignored: bool = False) -> list[PhoneRow]:
    """All phones: those waiting for adoption first, then by extension; those that are `ignored` only if wanted."""
    known = _known(world)
    rows = [_adopted(world, phone, known) for phone in world.snapshot.phones.values()]
    rows.sort(key=lambda row: (row.lines[0].extension if row.lines else "", row.mac))
    return waiting(world, ignored) + rows


def waiting(world: World, ignored: bool = False) -> list[PhoneRow]:
    """Those of `phones` that nobody adopted, by MAC."""
    ours, left_out = world.snapshot.phones, {} if ignored else world.snapshot.ignored_phones
    seen = {str(row["mac"]): row for row in world.sightings}
    return [_waiting(world, seen[mac]) for mac in sorted(seen) if mac not in ours and mac not in left_out]


def phone(world: World, mac: str, ignored: bool = False) -> PhoneRow | None:
    """One of `phones`."""
    known, snapshot = _known(world), world.snapshot
    if mac in snapshot.phones:
        return _adopted(world, snapshot.phones[mac], known)
    if mac not in known.seen or (mac in snapshot.ignored_phones and not ignored):
        return None
    return _waiting(world, known.seen[mac])


class _Known(msgspec.Struct, frozen=True):
    """What is known of phones besides the inventory, by MAC; `busy`: extensions with a call."""

    seen: dict[str, Json]
    registered: dict[str, Json]
    doubts: dict[str, list[str]]
    busy: set[str]
    language: str


def _known(world: World) -> _Known:
    edge = world.edge or {}
    return _Known(
        seen={str(row["mac"]): row for row in world.sightings},
        registered={str(row["mac"]): row for row in edge.get("registrations", [])},
        doubts={str(row["mac"]): row["why"] for row in edge.get("suspects", [])},
        busy={str(call.get("desk")) for call in live_calls(world)},
        language=language.current(),
    )


@once
def _place(snapshot: Snapshot, name: str, _language: str) -> tuple[str, str, str]:
    """The id, name and whole address of a location, in the language of this request; empty for none."""
    place = snapshot.place(name)
    return (place.id, place.name, words.civic(place.civic)) if place else ("", "", "")


def _adopted(world: World, phone: Phone, known: _Known) -> PhoneRow:
    numbers, registration = world.snapshot.numbers, known.registered.get(phone.id)
    held = registration or {}
    row = _sighted(phone.id, known.seen.get(phone.id, {}))
    row.adopted, row.front_desk = True, phone.front_desk
    row.lines = [
        LineRow(
            extension=line.extension,
            number=line.number,
            name=line.name,
            address_status=numbers[line.number].address_status if line.number in numbers else "unregistered",
        )
        for line in phone.lines
    ]
    row.vendor, row.model = phone.vendor, phone.model
    row.location, row.location_name, row.civic = _place(world.snapshot, phone.location, known.language)
    if group := world.snapshot.phone_groups.get(phone.group):
        row.group, row.group_name = group.id, group.name
    row.contact, row.expires_in = str(held.get("contact", "")), held.get("expires_in")
    row.address = str(held.get("address") or row.address)
    row.agent = str(held.get("agent") or row.agent)
    row.last_seen = world.now if registration else row.last_seen
    row.status = _status(world, row, registered=bool(registration), busy=known.busy)
    row.doubt = ", and ".join(moved.WORDS.get(why, why) for why in known.doubts.get(phone.id, ()))
    return row


def _status(world: World, row: PhoneRow, registered: bool, busy: set[str]) -> str:
    if world.edge is None:
        return "unknown"
    if any(line.extension in busy for line in row.lines):
        return "in-call"
    if registered:
        return "ready"
    return "starting" if row.last_seen and world.now - row.last_seen < STARTING_SECONDS else "offline"


def _sighted(mac: str, seen: Json) -> PhoneRow:
    agent = str(seen.get("agent") or "")
    return PhoneRow(
        mac=mac,
        status="waiting",
        adopted=False,
        vendor=str(seen.get("vendor") or ""),
        model=str(seen.get("model") or ""),
        address=str(seen.get("address") or ""),
        agent=agent,
        version=of_agent(agent).version,
        last_seen=seen.get("last_seen"),
    )


def _waiting(world: World, seen: Json) -> PhoneRow:
    row = _sighted(str(seen["mac"]), seen)
    if row.mac in world.snapshot.ignored_phones:
        row.status = "ignored"
    return row


def matches(row: PhoneRow, query: str) -> bool:
    """Whether a phone fits what someone typed: a MAC in any notation, extension, number, name."""
    wanted = query.strip().lower()
    digits = wanted.translate(str.maketrans("", "", " :-.()+"))
    names = [row.vendor, row.model, row.address, row.location_name, row.civic, row.status_word, row.version]
    names += [row.group_name, f"{row.vendor} {row.model}"]
    names += [text for line in row.lines for text in (line.extension, line.name)]
    numbers = [row.mac, *(line.number.lstrip("+") for line in row.lines)]
    return any(wanted in text.lower() for text in names) or (
        bool(digits) and any(digits in text for text in numbers)
    )


def has_status(row: PhoneRow, wanted: str) -> bool:
    """Whether a phone belongs to the filter `wanted`: a status, `attention`, or empty for all but ignored ones."""
    if row.status == "ignored":
        return wanted == "ignored"
    if wanted == "attention":
        return row.needs_attention
    return not wanted or row.status == wanted or (wanted == "ready" and row.status == "in-call")


def why(rule: str | None) -> str:
    """The rule that decided a request, in words."""
    return RULES[rule][1] if rule in RULES else rule or ""


def live_calls(world: World) -> list[Json]:
    """The calls that the edge holds now."""
    return [call for call in (world.edge or {}).get("calls", []) if call.get("state") != "ended"]


def calls_now(world: World) -> list[CallRow]:
    """Live calls, the newest first."""
    return sorted(
        (call_row(world.snapshot, call) for call in live_calls(world)), key=lambda row: -row.started
    )


def calls_past(world: World) -> list[CallRow]:
    """Calls of the journal that are not live, the newest first."""
    return sorted(past(world, world.calls), key=lambda row: -row.started)


def past_call(row: Json) -> Json:
    """A row of the journal as the edge would show it."""
    return {**row, "from": row["caller"], "to": row["called"], "state": "ended"}


def call_row(snapshot: Snapshot, call: Json) -> CallRow:
    """A CallView, live or made of a row of the journal, as pages and API show it."""
    state = str(call["state"])
    word, level = CALL_STATE.get(state, (state, "none"))
    target = party(snapshot, str(call.get("target") or ""))
    called_so = partial(_name, snapshot)
    return CallRow(
        id=str(call["id"]),
        direction=str(call["direction"]),
        state=state,
        state_word=gettext(word).format(target=target),
        level=level,
        caller=party(snapshot, str(call.get("from") or "")),
        callee=party(snapshot, str(call.get("to") or "")),
        desk=str(call.get("desk") or ""),
        started=float(call["started"]),
        answered=call.get("answered"),
        ended=call.get("ended"),
        outcome=str(call.get("outcome") or ""),
        steps=[(float(at), str(what)) for at, what in call.get("steps") or []],
        story=call_words.story(call, called_so) if call.get("steps") else [],
        **{name: call.get(name) for name in ("ring_seconds", "talk_seconds", "loss", "jitter_ms", "mos")},
    )


def past(world: World, calls: list[Json]) -> list[CallRow]:
    """Rows of the journal, in their order, without those that are live."""
    live = {str(call["id"]) for call in live_calls(world)}
    return [call_row(world.snapshot, past_call(call)) for call in calls if str(call["id"]) not in live]


def party(snapshot: Snapshot, value: str) -> Party:
    """Who an extension or number is: a line's or number's own name where the inventory has one."""
    held = snapshot.line(value)
    if held:
        return Party(held[0].lines[held[1]].name or gettext("Extension"), value)
    known: Number | None = snapshot.numbers.get(value)
    if known:
        return Party(known.label or words.number(value), words.number(value) if known.label else "")
    return Party(words.number(value) or gettext("Not known"))


def _name(snapshot: Snapshot, value: str) -> str:
    """The same in a sentence; "" for nobody."""
    return party(snapshot, value).name if value else ""


def matches_call(row: CallRow, query: str) -> bool:
    """Whether a call fits what someone typed: a name, an extension, a number in any notation, an outcome."""
    wanted = query.strip().lower()
    digits = "".join(letter for letter in wanted if letter.isdigit())
    texts = (
        f"{row.caller} {row.callee} {row.direction_word} {row.outcome} {row.state_word} {row.desk}".lower()
    )
    return wanted in texts or (
        len(digits) >= 3
        and digits in "".join(letter for letter in texts if letter.isdigit() or letter == " ")
    )


def emergencies(world: World) -> list[Emergency]:
    """Emergency calls that are live or began in the last half hour, newest first; never those to 988."""
    live = {str(call["id"]): call for call in live_calls(world)}
    recent = {
        str(row["id"]): past_call(row)
        for row in world.alarms
        if world.now - float(row["started"]) < BANNER_SECONDS
    }
    calls = [call for call in (recent | live).values() if call["direction"] == "emergency"]
    rows = [_emergency(world, call) for call in calls if not str(call["to"]).endswith("988")]
    return sorted(rows, key=lambda row: -row.call.started)


def _emergency(world: World, call: Json) -> Emergency:
    held = world.snapshot.line(str(call.get("desk") or call.get("from") or ""))
    location = world.snapshot.place(held[0].location) if held else None
    callback, known = calling_number(
        world.snapshot, held[0] if held else None, held[0].lines[held[1]].number if held else ""
    )
    told = [each for each in world.notices if each["call"] == str(call["id"])]
    return Emergency(
        call=call_row(world.snapshot, call),
        phone=party(world.snapshot, str(call.get("desk") or call.get("from") or "")),
        callback=words.number(callback),
        callback_known=known,
        location=f"{location.name}, {words.civic(location.civic)}" if location else "",
        test=str(call["to"]).endswith("933"),
        told=sorted({_target(each) for each in told if each["state"] == "delivered"}),
        not_told=sorted({f"{_target(each)}: {each['problem']}" for each in told if each["problem"]}),
    )


def _target(notice: Json) -> str:
    """Who is told, and how."""
    way = {"message": "text to", "ring": "call to", "mail": "e-mail to", "webhook": "webhook"}
    return f"{way.get(notice['channel'], notice['channel'])} {notice['target']}"
