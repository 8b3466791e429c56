"""What is worked out of a snapshot is worked out once, for that snapshot."""

from __future__ import annotations

from provisioner.store.once import once
from provisioner.store.records import Location, Practice, Snapshot

PRACTICE = Practice(id="practice", name="Bay", main_number="+14155550100")
asked: list[tuple[int, str]] = []


@once
def twice(snapshot: Snapshot, name: str) -> str | None:
    asked.append((snapshot.revision, name))
    return None if name == "none" else name * 2


def test_it_is_kept_by_what_was_given_none_too():
    asked.clear()
    snapshot = Snapshot(revision=1, practice=PRACTICE)
    assert [twice(snapshot, name) for name in ("a", "b", "a", "none", "none")] == [
        "aa",
        "bb",
        "aa",
        None,
        None,
    ]
    assert asked == [(1, "a"), (1, "b"), (1, "none")]


def test_another_snapshot_knows_nothing_of_it():
    old = Snapshot(revision=1, practice=PRACTICE, locations={"a": Location(id="a", name="A", civic={})})
    new = Snapshot(revision=2, practice=PRACTICE, locations={"a": Location(id="a", name="B", civic={})})
    assert [snapshot.place("a").name for snapshot in (old, new, old)] == ["A", "B", "A"]
    assert old == Snapshot(revision=1, practice=PRACTICE, locations=old.locations)
