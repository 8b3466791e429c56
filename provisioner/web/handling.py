"""What happens when somebody calls a number, in words: the steps of `phones/handling.py` as pages tell them."""

from __future__ import annotations

from collections.abc import Set
from typing import NamedTuple

from provisioner.ipc import Json
from provisioner.phones.handling import Step
from provisioner.store.records import Snapshot
from provisioner.web import views, words
from provisioner.web.language import gettext as _
from provisioner.web.language import later as N_
from provisioner.web.views import Level

_WORDS: dict[str, tuple[str, Level]] = {
    "dial-through": (
        N_("It is kept for dial-through: only a phone that it was handed out to gets through. Everybody else "
           "hears that the number is not in service."), "none",
    ),
    "nowhere": (N_("It leads nowhere: the caller hears that the number is not in service."), "bad"),
    "private": (N_("Phones show “{label}” and nothing of who calls."), "none"),
    "shown": (N_("Phones show name and number of who calls."), "none"),
    "together": (N_("All of {name} ring at once, for up to {seconds} seconds:"), "busy"),
    "in-turn": (
        N_("One after the other of {name} rings, for up to {seconds} seconds in all. Each call begins behind who "
           "was first at the last one:"), "busy",
    ),
    "ring": (N_("{name} rings, for up to {seconds} seconds"), "busy"),
    "outside": (N_("{name} is called outside, for up to {seconds} seconds"), "busy"),
    "forward": (N_("{name} has all calls forwarded:"), "warn"),
    "do-not-disturb": (N_("{name} does not want to be disturbed"), "warn"),
    "busy": (N_("When it is busy or declines:"), "none"),
    "no-answer": (N_("When nobody answers, or the phone is not there:"), "none"),
    "nobody": (N_("Nobody took it: the calling service goes on, with voicemail where there is one."), "none"),
}  # fmt: skip
_PASSED_OVER = {
    "do-not-disturb": N_("{name} is passed over: do not disturb is on"),
    "forwards": N_("{name} is passed over: all its calls are forwarded"),
    "no-extension": N_("{name} is passed over: no phone has this extension"),
    "no-target": N_("{name} is passed over: it cannot be called from a group"),
    "twice": N_("{name} is passed over: it is rung already"),
}
_ASKED = N_("who picks up hears who calls, and takes the call with 1")
_AWAY = N_("it is not registered at this moment, so it does not ring")


class Told(NamedTuple):
    """One step for people. `notes`: what else is to know of it; `extension`: whose features decide it, or ""."""

    text: str
    level: Level
    notes: list[str]
    extension: str
    then: list[Told]


def registered(edge: Json | None) -> frozenset[str] | None:
    """The extensions that are registered; None while the edge does not say."""
    return frozenset(str(row["extension"]) for row in edge.get("registrations", [])) if edge else None


def told(
    snapshot: Snapshot, steps: tuple[Step, ...], here: Set[str] | None = None, linked: bool = True
) -> list[Told]:
    """The steps in words; `here`: the extensions that are registered. `linked`: the first ones to what decides them."""
    found = [_told(snapshot, step, here) for step in steps]
    return found if linked else [each._replace(extension="") for each in found]


def _told(snapshot: Snapshot, step: Step, here: Set[str] | None) -> Told:
    group = snapshot.ring_groups.get(step.target)
    number = snapshot.numbers.get(step.target)
    name = group.name if group else str(views.party(snapshot, step.target))
    values = {
        "name": name,
        "seconds": f"{step.seconds:g}",
        "label": number.label if number else words.number(step.target),
    }
    if step.what == "passed-over":
        return Told(_(_PASSED_OVER[step.why]).format(**values), "none", [], _extension(snapshot, step), [])
    text, level = _WORDS[step.what]
    asked = step.asked and not group
    notes = [_(_ASKED)] if asked else []
    if step.what == "ring" and here is not None and step.target not in here:
        notes, level = [_(_AWAY)], "bad"
    then = told(snapshot, step.then, here)
    return Told(_(text).format(**values), level, notes, _extension(snapshot, step), then)


def _extension(snapshot: Snapshot, step: Step) -> str:
    own = step.what in ("ring", "forward", "do-not-disturb", "passed-over")
    return step.target if own and snapshot.line(step.target) else ""
