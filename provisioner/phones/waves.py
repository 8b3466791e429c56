"""Which phones are restarted together, so that some of each ring group can always be called. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from provisioner.store.records import Snapshot

SMALLEST = 20  # phones of one wave, ring groups apart
PARTS = 20  # of a large practice: no wave is larger than a twentieth


def allowed(members: int) -> int:
    """How many of a ring group with so many phones may be away at once: a third, and of a small one, one."""
    return max(1, members // 3)


def largest(phones: int) -> int:
    """How many of all phones may be away at once."""
    return max(SMALLEST, -(-phones // PARTS))


def ring_groups(snapshot: Snapshot, there: Collection[str]) -> dict[str, frozenset[str]]:
    """The MACs behind each ring group, of phones that are `there` only: who is away anyhow cannot stand in."""
    phone_of = {line.extension: phone.id for phone in snapshot.phones.values() for line in phone.lines}
    return {
        name: frozenset(mac for member in group.each if (mac := phone_of.get(member.target, "")) in there)
        for name, group in snapshot.ring_groups.items()
    }


def groups_of(groups: Mapping[str, Collection[str]]) -> dict[str, list[str]]:
    """The same the other way round: of each MAC the groups that it is in."""
    found: dict[str, list[str]] = {}
    for name, macs in groups.items():
        for mac in macs:
            found.setdefault(mac, []).append(name)
    return found


def full(mac_groups: Iterable[str], groups: Mapping[str, Collection[str]], away: Counter[str]) -> bool:
    """Whether one more phone of `mac_groups` would be too many; `away`: phones of each group that are."""
    return any(away[name] >= allowed(len(groups[name])) for name in mac_groups)


def plan(macs: Sequence[str], groups: Mapping[str, Collection[str]], most: int) -> list[list[str]]:
    """Waves of `macs`, in their order as far as that can be; `most`: phones of one wave.

    `groups`: the MACs behind each ring group. No wave takes more of one than `allowed`.
    """
    member_of = groups_of(groups)
    waves: list[list[str]] = []
    left = list(dict.fromkeys(macs))
    while left:
        away: Counter[str] = Counter()
        wave: list[str] = []
        later: list[str] = []
        for at, mac in enumerate(left):
            if len(wave) >= most:
                later += left[at:]
                break
            mine = member_of.get(mac, ())
            if full(mine, groups, away):
                later.append(mac)
            else:
                wave.append(mac)
                away.update(mine)
        waves.append(wave)
        left = later
    return waves
