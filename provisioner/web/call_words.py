"""What happened in a call, in words and as stretches of time, from its states and its legs. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from provisioner.ipc import Json
from provisioner.store.call_tables import POOR
from provisioner.web.charts import Span
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_
from provisioner.web.told import tell

GOOD, BAD = (
    4.0,
    3.1,
)  # mean opinion scores where users are satisfied, and where most are not (ITU-T G.107, annex B)

# By state; {desk} and {target} are those of that moment. The second text: when the call comes back to that state.
STORY = {
    "talking": (N_("{desk} answers: they talk"), N_("{desk} and {caller} talk again")),
    "menu": (N_("{desk} presses *: {caller} hears music, {desk} the menu"), N_("{desk} is back in the menu")),
    "collecting": (N_("{desk} presses 1 and keys in the number"), ""),
    "resolve": (N_("The number is looked up"), ""),
    "dialling": (N_("{target} is called; {caller} hears music"), ""),
    "consulting": (
        N_("{target} answers: {desk} and {target} talk, {caller} hears music"), N_("{desk} and {target} talk again"),
    ),
    "completing": (N_("{desk} presses *: about to hand the call over"), ""),
    "joined": (N_("{caller} and {target} are connected; {desk} is free"), ""),
    "referred": (N_("{desk} transfers the call to {target} with the phone's own key"), ""),
    "recall": (N_("{desk} hung up: the phone rings again with {caller}"), ""),
    "group": (N_("Nobody took it: the ring group is called"), ""),
    "kept": (N_("{caller} hung up: {desk} and {target} go on talking"), ""),
    "farewell": (N_("{desk} hears that {caller} has hung up"), ""),
    "route silent": (N_("This way out says nothing: the next is tried"), ""),
    "route slow": (N_("This way out is slow: the next is tried beside it"), ""),
    "again without location": (N_("The calling service refused the location: the call goes out without it"), ""),
}  # fmt: skip

WITH_TARGET = ("dialling", "referred", "consulting", "joined")  # the step names whom

OUTCOMES = {
    "ended": N_("Hung up"),
    "busy": N_("Busy"),
    "no answer": N_("Not answered in time"),
    "nobody answered": N_("Nobody answered"),
    "nobody to ring": N_("Nobody to ring: no phone was registered, or all had do-not-disturb"),
    "caller gave up": N_("The caller gave up"),
    "caller hung up": N_("The caller hung up"),
    "transferred": N_("Transferred"),
    "released to the core": N_("Handed over to the calling service"),
    "no codec in common": N_("The two sides have no audio format in common"),
    "no media port": N_("No room for the audio: too many calls at once"),
    "no sound from anybody": N_("No sound came from anybody for a minute"),
    "no route took the call": N_("No way out took the call"),
    "no core answers": N_("The calling service did not answer"),
    "read back": N_("The address was read back"),
    "the appliance stopped": N_("The appliance was stopped"),
    "the desk phone did not answer": N_("The desk phone did not answer"),
    "the desk phone was busy": N_("The desk phone was busy"),
    "the desk phone is not registered": N_("The desk phone is not registered"),
}

STATUS = {  # why a phone or the calling service did not take it
    404: N_("unknown there"),
    408: N_("no answer"),
    480: N_("not available"),
    486: N_("busy"),
    487: N_("given up"),
    488: N_("no audio format in common"),
    503: N_("out of service"),
    600: N_("busy"),
    603: N_("declined"),
}

# What each of the three hears, by state: level of the colour and words. Who is not in it is not drawn.
_CALLER = {
    "ringing": ("none", N_("hears ringing")),
    "talking": ("busy", N_("talks with {desk}")),
    "kept": ("", ""),
    "farewell": ("", ""),
    "ended": ("", ""),
}
_DESK = {
    "talking": ("busy", N_("talks with {caller}")),
    "menu": ("main", N_("hears the menu")),
    "collecting": ("main", N_("keys in the number")),
    "resolve": ("main", N_("keys in the number")),
    "dialling": ("main", N_("hears ringing")),
    "referred": ("main", N_("transfers")),
    "consulting": ("good", N_("talks with {target}")),
    "kept": ("good", N_("talks with {target}")),
    "completing": ("main", N_("hears the menu")),
    "recall": ("none", N_("rings")),
    "farewell": ("main", N_("hears the end")),
}
_TARGET = {
    "dialling": ("none", N_("rings")),
    "referred": ("none", N_("rings")),
    "consulting": ("good", N_("talks with {desk}")),
    "kept": ("good", N_("talks with {desk}")),
    "completing": ("warn", N_("hears music")),
}
_MUSIC = ("warn", N_("hears music"))
LEGEND = (
    (N_("talking"), "busy"),
    (N_("asking the other"), "good"),
    (N_("music"), "warn"),
    (N_("menu and keys"), "main"),
    (N_("ringing"), "none"),
)


class Moment(NamedTuple):
    """A state from `start` to `end` (seconds after the call began), and who was in it, by extension or number."""

    start: float
    end: float
    state: str
    desk: str
    target: str


def moments(call: Json, end: float) -> list[Moment]:
    """The states of a call in order; `call`: a CallView or a row of the journal, `end`: its length so far."""
    found: list[Moment] = []
    desk, target = first_desk(call), ""
    at, state = 0.0, "ringing"
    for seconds, words in call.get("steps") or []:
        name, _space, who = str(words).partition(" ")
        if name not in WITH_TARGET:
            name, who = str(words), ""
        found.append(Moment(at, float(seconds), state, desk, target))
        target = who or target
        at, state = float(seconds), name
        if name == "joined":
            found.append(Moment(at, at, "joined", desk, target))
            desk, state = target or desk, "talking"
    found.append(Moment(at, max(at, end), state, desk, target))
    return found


def first_desk(call: Json) -> str:
    """Who took the call first: an extension or a number."""
    taken = [leg for leg in call.get("legs") or [] if leg.get("called") and leg.get("answered") is not None]
    if taken:
        first = min(taken, key=lambda leg: float(leg["answered"]))
        return str(first.get("extension") or first.get("number") or "")
    moved = any(str(words).startswith("joined") for _at, words in call.get("steps") or [])
    if call.get("direction") in ("outbound", "emergency", "internal"):
        return str(call.get("to") or call.get("called") or "")
    return "" if moved else str(call.get("desk") or "")


def story(call: Json, name: Callable[[str], str]) -> list[tuple[float, str]]:
    """What happened, in order: (seconds after the start, a sentence). `name`: what to call an extension or number."""
    caller = name(str(call.get("from") or call.get("caller") or "")) or _("The caller")
    called = name(str(call.get("to") or call.get("called") or ""))
    told = [(0.0, _("{caller} calls {called}").format(caller=caller, called=called))]
    seen: set[str] = set()
    for each in moments(call, 0.0)[1:]:
        if each.state == "talking" and told and told[-1][0] == each.start and "joined" in seen:
            continue  # the talking that follows from being joined
        words = _sentence(each.state, each.state in seen)
        seen.add(each.state)
        named = {"desk": name(each.desk) or _("Somebody"), "target": name(each.target), "caller": caller}
        told.append((each.start, words.format(**named)))
    return told


def _sentence(state: str, again: bool) -> str:
    if state == "ended":
        return _("The call ends")
    if state.startswith("route refused"):
        return _("This way out refused the call: the next is tried")
    first, later = STORY.get(state, (state.replace("{", "").replace("}", ""), ""))
    return _(later if again and later else first)


def outcome(words: str) -> str:
    """How a call ended, for people."""
    if words.startswith("refused: "):
        return _("Refused: {why}").format(why=tell(words.removeprefix("refused: ")))
    return _(OUTCOMES[words]) if words in OUTCOMES else tell(words)


def lanes(
    call: Json, end: float, name: Callable[[str], str], label: Callable[[str], str]
) -> list[tuple[str, list[Span]]]:
    """Who heard what from when to when: the caller, who took the call, whom it was handed to, and who only rang.

    `name` says who an extension or number is in a sentence, `label` beside a lane.
    """
    caller = str(call.get("from") or call.get("caller") or "")
    spans: dict[str, list[Span]] = {caller: []}
    for each in moments(call, end):
        state = "ringing" if each.state.startswith(("route ", "again ")) else each.state
        named = {"caller": name(caller), "desk": name(each.desk), "target": name(each.target)}
        music = ("none", N_("hears ringing")) if state in ("recall", "group") else _MUSIC
        heard = [
            (caller, _CALLER.get(state, music)),
            (each.desk, _DESK.get(state, ("", ""))),
            (each.target, _TARGET.get(state, ("", ""))),
        ]
        for who, (level, words) in heard:
            if who and level and each.end > each.start:
                _put(spans.setdefault(who, []), Span(each.start, each.end, level, _(words).format(**named)))
    for leg in call.get("legs") or []:
        who = str(leg.get("extension") or leg.get("number") or "")
        rang = float(leg.get("answered", leg.get("to", end)))
        if leg.get("called") and who and rang > float(leg["from"]):
            held = spans.setdefault(who, [])
            if not any(span.start < rang and span.end > float(leg["from"]) for span in held):
                held.insert(0, Span(float(leg["from"]), rang, "none", _("rings")))
    return [(label(who), each) for who, each in spans.items() if each]


def _put(held: list[Span], span: Span) -> None:
    """Add a stretch; one that goes on from the last is one with it."""
    last = held[-1] if held else None
    if last and last.end == span.start and (last.level, last.words) == (span.level, span.words):
        held[-1] = last._replace(end=span.end)
    else:
        held.append(span)


def quality(mos: float | None) -> tuple[str, str]:
    """A mean opinion score in words, with its level: (level, word)."""
    if mos is None:
        return "none", _("not known")
    if mos >= GOOD:
        return "good", _("good")
    if mos >= POOR:
        return "warn", _("fair")
    return "bad", _("poor") if mos >= BAD else _("bad")


def refusal(status: int) -> str:
    """Why a party did not take the call."""
    return _(STATUS[status]) if status in STATUS else _("not taken ({status})").format(status=status)


def ticks(
    end: float, wanted: Sequence[int] = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600)
) -> list[float]:
    """Round times to write on an axis of `end` seconds: six at most."""
    step = next((each for each in wanted if end / each <= 6), 7200)
    return [float(at) for at in range(0, int(end) + 1, step)]
