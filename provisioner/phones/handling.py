"""What happens when somebody calls a number of the practice, step by step, told from the records alone.

The edge decides by the same rules (`edge/leads.py`); a test holds both to each other.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from provisioner.dialing.classify import Plan
from provisioner.dialing.forwarding import forward_target
from provisioner.store.records import (
    EXTENSION_SECONDS,
    GROUP_SECONDS,
    MEMBER_SECONDS,
    LineFeatures,
    Member,
    RingGroup,
    Snapshot,
)

MAX_FORWARDS = 5  # of one call
What = Literal[
    "dial-through",  # the number is kept for temporary numbers
    "nowhere",  # nobody is called by it
    "private",  # phones show the number's own label
    "shown",  # phones show who calls
    "together",  # a ring group rings all at once
    "in-turn",  # a ring group rings one after the other
    "ring",  # a desk phone rings
    "outside",  # an outside number is called, who picks up is asked
    "passed-over",  # a member of a group is not rung
    "forward",  # all calls of an extension go on
    "do-not-disturb",
    "busy",  # what follows when it is busy
    "no-answer",  # what follows when it does not answer
    "nobody",  # nobody took the call: the calling service has it, and its voicemail
]
Why = Literal["", "do-not-disturb", "forwards", "no-extension", "no-target", "twice", "circle"]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happens. `target`: the extension, number or id of the ring group that it happens at.

    `seconds` that it lasts, 0 where nothing ends it. `asked`: who picks up hears who calls, and presses 1. `why` a
    member is passed over. `then`: what happens there, or follows.
    """

    what: What
    target: str = ""
    seconds: float = 0.0
    asked: bool = False
    why: Why = ""
    then: tuple[Step, ...] = ()


def steps(snapshot: Snapshot, number: str) -> tuple[Step, ...]:
    """What happens when somebody calls `number`, one of the practice's."""
    held = snapshot.numbers.get(number)
    if held is None:
        return (Step(what="nowhere", target=number),)
    if held.dial_through:
        return (Step(what="dial-through", target=number),)
    group = snapshot.ring_groups.get(held.ring_group)
    if group is None and not held.extension:
        return (Step(what="nowhere", target=number),)
    label = Step(what="private" if held.caller_privacy else "shown", target=number)
    rung = of_group(snapshot, group) if group else of_extension(snapshot, held.extension)
    return (label, *rung, Step(what="nobody", target=number))


def of_extension(
    snapshot: Snapshot, extension: str, trail: tuple[str, ...] = (), forwards: int = 0
) -> tuple[Step, ...]:
    """What happens when an extension is called. `trail`: those that are not rung again for this call."""
    if snapshot.line(extension) is None:
        return (Step(what="passed-over", target=extension, why="no-extension"),)
    features = snapshot.line_features.get(extension) or LineFeatures(id=extension)
    trail = (*trail, extension)

    def goes(target: str) -> tuple[Step, ...]:
        return _forwarded(snapshot, target, features, trail, forwards + 1)

    if always := goes(features.forward_always):
        return (Step(what="forward", target=extension, then=always),)
    late, busy = goes(features.forward_no_answer), goes(features.forward_busy)
    if features.do_not_disturb:
        return (Step(what="do-not-disturb", target=extension, then=busy or late),)
    seconds = features.forward_no_answer_seconds if late else EXTENSION_SECONDS
    follow = (
        Step(what="busy", target=extension, then=busy),
        Step(what="no-answer", target=extension, then=late),
    )
    then = tuple(step for step in follow if step.then)
    return (Step(what="ring", target=extension, seconds=seconds, asked=features.screening, then=then),)


def inside(snapshot: Snapshot, target: str) -> str:
    """A target as it is reached: a number of the practice is its extension; "" for what may not be a target."""
    plan = Plan(frozenset(snapshot.extensions()), "", snapshot.practice.extension_length)
    found = forward_target(target, plan)
    if found.kind == "refused":
        return ""
    number = snapshot.numbers.get(found.number)
    return number.extension if number and number.extension else found.number


def _forwarded(
    snapshot: Snapshot, target: str, features: LineFeatures, trail: tuple[str, ...], forwards: int
) -> tuple[Step, ...]:
    """What follows a forward; () for none, or one that leads in a circle: it is as if it were not set."""
    where = inside(snapshot, target) if target else ""
    if not where or where in trail or forwards > MAX_FORWARDS + 1:
        return ()
    if snapshot.line(where):
        return of_extension(snapshot, where, trail, forwards)
    number = snapshot.numbers.get(where)
    group = snapshot.ring_groups.get(number.ring_group) if number else None
    if group:
        return of_group(snapshot, group, trail)
    return (Step(what="outside", target=where, seconds=EXTENSION_SECONDS, asked=features.screening),)


def of_group(snapshot: Snapshot, group: RingGroup, trail: tuple[str, ...] = ()) -> tuple[Step, ...]:
    """What happens when a ring group is called."""
    seen: set[str] = set(trail)
    members = []
    for each in group.each:
        step = _member(snapshot, group, each, seen)
        members.append(step)
        seen.add(step.target)
    in_turn = group.mode == "sequential"
    rung = [step for step in members if step.what != "passed-over"]
    usual = sum(step.seconds for step in rung) if in_turn else GROUP_SECONDS
    seconds = float(group.seconds) or usual
    return (
        Step(
            what="in-turn" if in_turn else "together",
            target=group.id,
            seconds=seconds,
            asked=group.screening,
            then=tuple(members),
        ),
    )


def _member(snapshot: Snapshot, group: RingGroup, named: Member, seen: set[str]) -> Step:
    target = inside(snapshot, named.target)
    usual = MEMBER_SECONDS if group.mode == "sequential" else float(group.seconds) or GROUP_SECONDS
    seconds = float(named.seconds) or usual
    why = _passed_over(snapshot, target, seen)
    if why:
        return Step(what="passed-over", target=target or named.target, why=why)
    if snapshot.line(target) is None:
        return Step(what="outside", target=target, seconds=seconds, asked=True)
    features = snapshot.line_features.get(target)
    asked = group.screening or bool(features and features.screening)
    return Step(what="ring", target=target, seconds=seconds, asked=asked)


def _passed_over(snapshot: Snapshot, target: str, seen: set[str]) -> Why:
    """Why a member of a group is not rung, "" when it is."""
    if not target or target in snapshot.numbers:
        return "no-target"
    if target in seen:
        return "twice"
    features = snapshot.line_features.get(target)
    if features is None or snapshot.line(target) is None:
        return ""
    return "do-not-disturb" if features.do_not_disturb else "forwards" if features.forward_always else ""
