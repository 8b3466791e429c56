"""Waves: never too many of one ring group at once, and every phone once."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from provisioner.phones.waves import allowed, largest, plan, ring_groups
from provisioner.store.records import Line, Phone, Practice, RingGroup, Snapshot


def test_phones_without_a_group_go_together() -> None:
    assert plan(["a", "b", "c"], {}, 20) == [["a", "b", "c"]]


def test_group_of_two_never_goes_together() -> None:
    assert plan(["a", "b", "c"], {"desk": {"a", "b"}}, 20) == [["a", "c"], ["b"]]


def test_third_of_a_group() -> None:
    macs = [f"{number}" for number in range(7)]
    assert [len(wave) for wave in plan(macs, {"all": macs}, 20)] == [2, 2, 2, 1]


def test_wave_has_an_end() -> None:
    assert plan(["a", "b", "c"], {}, 2) == [["a", "b"], ["c"]]


def test_doubled_phone_goes_once() -> None:
    assert plan(["a", "a"], {}, 2) == [["a"]]


def test_size_of_a_wave_grows_with_the_practice() -> None:
    assert (largest(3), largest(400), largest(10_000)) == (20, 20, 500)


def test_who_is_away_does_not_count() -> None:
    phones = {
        mac: Phone(id=mac, vendor="yealink", model="T46S", lines=(Line(extension=mac),))
        for mac in ("101", "102", "103")
    }
    snapshot = Snapshot(
        revision=1,
        practice=Practice(id="practice", name="x", main_number=""),
        phones=phones,
        ring_groups={"all": RingGroup(id="all", name="All", members=("101", "102", "103", "999"))},
    )
    assert ring_groups(snapshot, {"101", "103"}) == {"all": frozenset({"101", "103"})}


@given(
    st.lists(st.sampled_from("abcdefghij"), max_size=10),
    st.dictionaries(st.sampled_from("xyz"), st.sets(st.sampled_from("abcdefghij"), min_size=1)),
    st.integers(1, 5),
)
def test_any_plan(macs: list[str], groups: dict[str, set[str]], most: int) -> None:
    waves = plan(macs, groups, most)
    assert Counter(mac for wave in waves for mac in wave) == Counter(set(macs))
    for wave in waves:
        assert 1 <= len(wave) <= most
        assert all(len(members & set(wave)) <= allowed(len(members)) for members in groups.values())
