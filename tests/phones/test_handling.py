"""What happens at a call, told from the records: by the same rules as the edge, which rings."""

from __future__ import annotations

import itertools
import random

import pytest

from provisioner.edge import leads
from provisioner.edge.directory import Directory
from provisioner.edge.ringing import Member as Rung
from provisioner.phones.handling import Step, steps
from provisioner.store.records import (
    Line,
    LineFeatures,
    Member,
    Number,
    Phone,
    Practice,
    RingGroup,
    Snapshot,
)

OUT, MAIN, GROUPED = "+14155550177", "+14155550100", "+14155550109"
EXTENSIONS = ("101", "102", "103", "104")
TARGETS = ("", *EXTENSIONS, OUT, "199", "911", GROUPED, "+14155550101")


def snapshot(features=(), group=None, **main):
    phones = {
        each: Phone(id=f"00156500{each:>04}", vendor="yealink", model="T46S", lines=(Line(extension=each),))
        for each in EXTENSIONS
    }
    main = main or {"ring_group": "main"}
    return Snapshot(
        revision=1,
        practice=Practice(id="practice", name="Clinic", main_number=MAIN),
        phones={each.id: each for each in phones.values()},
        numbers={
            MAIN: Number(id=MAIN, label="Main", **main),
            GROUPED: Number(id=GROUPED, label="Group", ring_group="main"),
            "+14155550101": Number(id="+14155550101", label="Desk", extension="101"),
            "+14155550105": Number(id="+14155550105", label="Pool"),
        },
        ring_groups={"main": group or RingGroup(id="main", name="All", members=EXTENSIONS)},
        line_features={each.id: each for each in features},
    )


def rung(found: tuple[Step, ...], in_turn_or_late=True) -> list[tuple]:
    """The steps that ring, as the edge's members: target, seconds, asked, busy, late."""
    made = []
    for step in found:
        if step.what in ("forward", "do-not-disturb", "together", "in-turn"):
            made += rung(step.then)
        elif step.what in ("ring", "outside"):
            follow = {each.what: rung(each.then) for each in step.then}
            made.append(
                (step.target, step.asked, follow.get("busy", []), follow.get("no-answer", []), step.seconds)
            )
    return made


def planned(members: tuple[Rung, ...], usual: float = 0.0) -> list[tuple]:
    return [
        (each.target, each.screened, planned(each.busy), planned(each.late), each.seconds or usual)
        for each in members
    ]


def without_seconds(rows: list[tuple]) -> list[tuple]:
    return [(*row[:2], without_seconds(row[2]), without_seconds(row[3])) for row in rows]


def test_it_is_what_the_edge_does():
    """A thousand practices by chance: who is rung, in which order, who is asked, and who stands in."""
    rng = random.Random(6)
    for _ in range(1000):
        features = [
            LineFeatures(
                id=each,
                do_not_disturb=rng.random() < 0.2,
                forward_always=rng.choice(TARGETS) if rng.random() < 0.2 else "",
                forward_busy=rng.choice(TARGETS) if rng.random() < 0.4 else "",
                forward_no_answer=rng.choice(TARGETS) if rng.random() < 0.4 else "",
                screening=rng.random() < 0.3,
            )
            for each in EXTENSIONS
        ]
        members = tuple(
            rng.choice([name, Member(target=name, seconds=rng.randrange(30))])
            for name in rng.choices(TARGETS[1:], k=rng.randrange(1, 5))
        )
        group = RingGroup(
            id="main", name="All", members=members, seconds=rng.choice([0, 45]), screening=rng.random() < 0.3,
            mode=rng.choice(["simultaneous", "sequential"]),
        )  # fmt: skip
        main = rng.choice([{"ring_group": "main"}, {"extension": rng.choice(EXTENSIONS)}])
        held = snapshot(features, group, **main)
        plan = leads.of_number(Directory(held), MAIN, {})
        told = steps(held, MAIN)
        assert without_seconds(rung(told)) == without_seconds(planned(plan.members)), (features, group, main)
        if "extension" not in main:
            walk = next(step for step in told if step.what in ("together", "in-turn"))
            assert (walk.what == "in-turn") == plan.one_by_one
            assert plan.seconds in (None, walk.seconds)
            usual = plan.seconds or 0.0
            assert [row[4] for row in rung(told)] == [row[4] for row in planned(plan.members, usual)]


def test_an_extension_and_its_seconds():
    features = LineFeatures(id="101", forward_no_answer="102", forward_no_answer_seconds=12, screening=True)
    told = steps(snapshot([features], extension="101", caller_privacy=False), MAIN)
    assert told == (
        Step(what="shown", target=MAIN),
        Step(
            what="ring", target="101", seconds=12, asked=True,
            then=(Step(what="no-answer", target="101", then=(Step(what="ring", target="102", seconds=30),)),),
        ),
        Step(what="nobody", target=MAIN),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("number", "main", "what"),
    [
        ("+14155550199", {}, "nowhere"),
        ("+14155550105", {}, "nowhere"),
        (MAIN, {"ring_group": "gone"}, "nowhere"),
        (MAIN, {"extension": "", "dial_through": True}, "dial-through"),
    ],
)
def test_numbers_that_ring_nobody(number, main, what):
    assert steps(snapshot(**main), number) == (Step(what=what, target=number),)


def test_an_extension_that_is_gone_is_said():
    told = steps(snapshot(extension="155"), MAIN)
    assert [(step.what, step.why) for step in told][1] == ("passed-over", "no-extension")


def test_why_members_are_passed_over():
    features = [LineFeatures(id="102", do_not_disturb=True), LineFeatures(id="103", forward_always="101")]
    group = RingGroup(id="main", name="All", members=("101", "102", "103", "101", "199", GROUPED))
    (walk,) = [step for step in steps(snapshot(features, group), MAIN) if step.what == "together"]
    assert [(each.what, each.why) for each in walk.then] == [
        ("ring", ""),
        ("passed-over", "do-not-disturb"),
        ("passed-over", "forwards"),
        ("passed-over", "twice"),
        ("passed-over", "no-target"),
        ("passed-over", "no-target"),
    ]


def test_circles_end():
    for first, second in itertools.permutations(EXTENSIONS[:2]):
        circle = [LineFeatures(id=first, forward_busy=second), LineFeatures(id=second, forward_busy=first)]
        told = steps(snapshot(circle, extension=first), MAIN)
        assert rung(told)[0][2] == [(second, False, [], [], 30.0)]
