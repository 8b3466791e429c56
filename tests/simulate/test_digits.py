"""Digit maps as each maker's phone runs them: keys at their times in, what is sent and when out."""

from __future__ import annotations

import pytest

from provisioner.errors import PeerError
from provisioner.simulate import digits
from provisioner.simulate.digits import Dialled, Dialling, DialPlan, Limit, Sent
from provisioner.simulate.vendors import phone_type
from provisioner.simulate.vendors.base import Settings

PRACTICE = (
    "911|933|988|[19]911|10x|11[013-9]|[2-8]11|[2-8]xxxxxxxxx|1[2-9]xxxxxxxxx|91[02-9]xxxxxxxT|011xxx.T|*xx"
)
GRANDSTREAM_MAP = "{ 911 | 10x | 1[2-9]xxxxxxxxx | 011xxx+ | *xx | ^900xxxxxxx | [2-8]xxxxxx+ }"


def plan(maker: str, **settings: str) -> DialPlan:
    return (
        phone_type(maker).read({name.replace("__", "."): value for name, value in settings.items()}).dial_plan
    )


def polycom(text: str, handling: str = "2", **more: str) -> DialPlan:
    return plan(
        "polycom", dialplan__digitmap=text, dialplan__impossibleMatchHandling=handling,
        dialplan__removeEndOfDial="0", **more,
    )  # fmt: skip


def yealink(text: str, **more: str) -> DialPlan:
    on = {"dialplan__digitmap__enable": "1", "dialplan__digitmap__string": text, "features__key_as_send": "0"}
    return plan("yealink", **(on | more))


def grandstream(text: str, **more: str) -> DialPlan:
    return plan("grandstream", P290=text, P72="0", **more)


def pressed(plan: DialPlan, keys: str, every: float = 1.0) -> Sent | None:
    """Keys at 0, `every`, … seconds, then nothing more for an hour; None: the phone still listens."""
    dialling = Dialling(plan)
    for place, key in enumerate(keys):
        now = place * every
        if sent := dialling.tick(now) or dialling.press(key, now):
            return sent
    return dialling.tick(3600.0)


@pytest.mark.parametrize(
    ("plan", "keys", "expected"),
    [
        (polycom(PRACTICE), "911", Sent("911", 2.0, "match")),
        (polycom(PRACTICE), "9115550101", Sent("911", 2.0, "match")),
        (polycom(PRACTICE), "9911", Sent("9911", 3.0, "match")),
        (polycom(PRACTICE), "101", Sent("101", 2.0, "match")),
        (polycom(PRACTICE), "4155550101", Sent("4155550101", 9.0, "match")),
        (polycom(PRACTICE), "9155550101", Sent("9155550101", 12.0, "pause")),
        (polycom(PRACTICE), "*97", Sent("*97", 2.0, "match")),
        (polycom(PRACTICE), "415", None),
        (polycom(PRACTICE), "#12", None),
        (yealink(PRACTICE), "911", Sent("911", 2.0, "match")),
        (yealink(PRACTICE), "9155550101", Sent("9155550101", 12.0, "pause")),
        (yealink(PRACTICE), "415", Sent("415", 12.0, "partial")),
        (grandstream(GRANDSTREAM_MAP), "911", Sent("911", 2.0, "match")),
        (grandstream(GRANDSTREAM_MAP), "101", Sent("101", 2.0, "match")),
        (grandstream(GRANDSTREAM_MAP), "5550101", Sent("5550101", 10.0, "pause")),
        (grandstream(GRANDSTREAM_MAP), "9005550101", Sent("", 9.0, "refused")),
        (grandstream(GRANDSTREAM_MAP), "55", Sent("", 5.0, "refused")),
        (grandstream(GRANDSTREAM_MAP), "#", Sent("", 0.0, "refused")),
    ],
)
def test_what_is_sent_and_when(plan: DialPlan, keys: str, expected: Sent | None) -> None:
    assert pressed(plan, keys) == expected


# Polycom


def test_polycom_takes_the_pause_of_each_alternative_from_its_place_in_the_list() -> None:
    plan = polycom("0T|911|1xT|2xT", dialplan__digitmap__timeOut="1|2|5")
    assert pressed(plan, "0") == Sent("0", 1.0, "pause")
    assert pressed(plan, "12") == Sent("12", 6.0, "pause")
    assert pressed(plan, "22") == Sent("22", 6.0, "pause")  # the last stands for all further ones


def test_a_key_within_the_pause_goes_on() -> None:
    dialling = Dialling(polycom("011xxx.T"))
    for place, key in enumerate("011555"):
        assert dialling.press(key, place * 2.9) is None
        assert dialling.tick(place * 2.9 + 2.89) is None
    assert dialling.deadline == pytest.approx(5 * 2.9 + 3)
    assert dialling.tick(100.0) == Sent("011555", 5 * 2.9 + 3, "pause")


@pytest.mark.parametrize(
    ("handling", "expected"),
    [("0", Sent("12", 1.0, "match")), ("1", Sent("", 1.0, "refused")), ("2", None)],
)
def test_polycom_at_a_key_that_no_alternative_allows(handling: str, expected: Sent | None) -> None:
    assert pressed(polycom("10x", handling), "123") == expected


def test_the_send_key_sends_what_polycom_collected() -> None:
    dialling = Dialling(polycom("10x"))
    for key in "123":
        dialling.press(key, 0.0)
    assert dialling.send(7.0) == Sent("123", 7.0, "send key")


def test_polycoms_own_map_sends_extension_101_as_10() -> None:
    assert pressed(phone_type("polycom").read({}).dial_plan, "101") == Sent("10", 1.0, "match")


def test_polycom_strips_a_last_hash_unless_told_not_to() -> None:
    text = {"dialplan.digitmap": "xxx#|*x#", "dialplan.impossibleMatchHandling": "2"}
    for more, number in (({}, "123"), ({"dialplan.removeEndOfDial": "0"}, "123#")):
        assert pressed(phone_type("polycom").read({**text, **more}).dial_plan, "123#") == Sent(
            number, 3.0, "match"
        )


@pytest.mark.parametrize(
    ("text", "keys", "number"),
    [
        ("R9RRxxxxxxx", "94539400", "4539400"),
        ("RR604Rxxxxxxx", "4539400", "6044539400"),
        ("R9R604Rxxxxxxx", "94539400", "6044539400"),
        ("R999R911R", "999", "911"),
        ("xxR601R600Rxx", "1160122", "1160022"),
        ("xR60xR600Rxxxxxxx", "16092345678", "16002345678"),
    ],
)
def test_polycom_replaces_digits(text: str, keys: str, number: str) -> None:
    sent = pressed(polycom(text), keys)
    assert sent
    assert sent.number == number


def test_polycom_leaves_out_an_alternative_that_it_cannot_read() -> None:
    rules, faults = digits.read("R9R604xxx|10x|(x)", "polycom")
    assert len(rules) == 1
    assert [fault.partition(" in ")[0] for fault in faults] == [
        "the digit map has a stray R",
        "the digit map has '('",
    ]


def test_polycom_may_let_a_longer_number_win() -> None:
    rules = "411|41155501xx"
    assert pressed(polycom(rules), "4115550100") == Sent("411", 2.0, "match")
    late = polycom(rules, dialplan__1__conflictMatchHandling="1")
    assert pressed(late, "4115550100") == Sent("4115550100", 9.0, "match")
    assert pressed(late, "411") == Sent("411", 5.0, "pause")


def test_a_map_over_the_limit_is_not_taken() -> None:
    with pytest.raises(PeerError, match="this phone takes 30 in 2"):
        digits.read("10x|11x|12x", "polycom", limit=Limit(30, 2))
    old = phone_type("polycom", "VVX 411").maker.families["soundpoint-sip"]
    settings: Settings = {"dialplan.digitmap": "|".join(["911", *(f"1{number:02}" for number in range(40))])}
    read = phone_type("polycom").maker.read
    assert pressed(read(settings, old).dial_plan, "101") == Sent("10", 1.0, "match")  # by the factory's map


# Yealink


def test_yealink_reads_its_guides_examples() -> None:
    plan = yealink("1xxT|xxxxx<T1>", dialplan__digitmap__interdigit_short_timer="5")
    assert pressed(plan, "1") == Sent("1", 10.0, "partial")
    assert pressed(plan, "15") == Sent("15", 11.0, "partial")
    assert pressed(plan, "153") == Sent("153", 7.0, "pause")
    assert pressed(plan, "15300") == Sent("15300", 5.0, "pause")
    assert pressed(yealink("123."), "123") == Sent("12", 1.0, "match")  # a dot allows none of the 3
    assert pressed(yealink("123.T"), "1233") == Sent("1233", 6.0, "pause")
    assert pressed(yealink("<9,:55>xx"), "912") == Sent("5512", 2.0, "match")
    assert pressed(yealink("235x!"), "2351") == Sent("", 3.0, "refused")


@pytest.mark.parametrize(
    ("action", "expected"),
    [("0", Sent("12", 1.0, "match")), ("1", Sent("", 1.0, "refused")), ("2", Sent("123", 12.0, "partial"))],
)
def test_yealink_at_a_key_that_no_alternative_allows(action: str, expected: Sent) -> None:
    assert pressed(yealink("10x", dialplan__digitmap__no_match_action=action), "123") == expected


def test_yealink_never_sends_a_part_where_its_long_timer_is_0() -> None:
    assert pressed(yealink("10x", dialplan__digitmap__interdigit_long_timer="0"), "10") is None


def test_yealink_a_lines_own_map_wins() -> None:
    assert pressed(yealink("10x", account__1__dialplan__digitmap__string="2xx"), "201") == Sent(
        "201", 2.0, "match"
    )


def test_yealink_dials_now_by_rule_after_its_delay() -> None:
    rules = {"dialplan__dialnow__rule__1": "911", "dialplan__dialnow__rule__2": "10x"}
    assert pressed(plan("yealink", **rules), "911") == Sent("911", 3.0, "match")
    at_once = rules | {"phone_setting__dialnow_delay": "0"}
    assert pressed(plan("yealink", **at_once), "911") == Sent("911", 2.0, "match")
    assert pressed(plan("yealink", **rules), "5550101") == Sent("5550101", 10.0, "partial")
    assert pressed(plan("yealink", **rules), "415#") == Sent("415", 3.0, "end key")
    blocked = rules | {"dialplan__block_out__number__1": "900"}
    assert pressed(plan("yealink", **blocked), "900") == Sent("", 3.0, "refused")


# Grandstream


def test_grandstream_has_no_timer_and_waits_where_a_number_can_grow() -> None:
    plan = grandstream("{ 411 | 41155501xx }")
    assert pressed(plan, "4115550100") == Sent("4115550100", 9.0, "match")
    assert pressed(plan, "411") == Sent("411", 6.0, "pause")
    assert pressed(grandstream("{ 411 | 41155501xx }", P85="9"), "411") == Sent("411", 11.0, "pause")
    assert pressed(grandstream("{ 10x | 911T }"), "911") == Sent(
        "911", 6.0, "pause"
    )  # unreadable: the factory's


def test_grandstreams_factory_plan_makes_911_wait() -> None:
    assert pressed(phone_type("grandstream").read({}).dial_plan, "911") == Sent("911", 6.0, "pause")


@pytest.mark.parametrize(
    ("text", "keys", "number"),
    [
        ("{ <2=011>x+ }", "2415", "011415"),
        ("{ <=1617>[2-9]xxxxxx }", "5551212", "16175551212"),
        (r"{ \+x+ | [*x]x }", "+141", "+141"),
        ("{ [*x]x }", "*1", "*1"),
        ("{ xx+ }", "12", "12"),
        ("{ ^1900x+ | x+ }", "19005", ""),
        (r"{ \p\a\r\k }", "park", "park"),
    ],
)
def test_grandstream_plans(text: str, keys: str, number: str) -> None:
    sent = pressed(grandstream(text), keys)
    assert sent
    assert sent.number == number


def test_grandstream_refuses_at_the_send_key_what_its_plan_does_not_allow() -> None:
    dialling = Dialling(grandstream("{ 10x }"))
    assert dialling.press("1", 0.0) is None
    assert dialling.send(1.0) == Sent("", 1.0, "refused")


# all


def test_in_short() -> None:
    assert polycom(PRACTICE).dial("911") == Dialled("911", "at once")
    assert polycom(PRACTICE).dial("415") == Dialled("415", "send key")
    assert yealink(PRACTICE).dial("415") == Dialled("415", "pause")
    assert grandstream(GRANDSTREAM_MAP).dial("#") == Dialled("", "refused")
    assert DialPlan().dial("415") == Dialled("415", "send key")
    assert DialPlan(delay=1.0, rules=polycom("911").rules).dial("911") == Dialled("911", "pause")


@pytest.mark.parametrize("text", ["<=1>xxx", "10(x)", "[a-f]x", "[]x"])
def test_what_the_phone_cannot_read_is_said(text: str) -> None:
    rules, faults = digits.read(text, "polycom")
    assert rules == ()
    assert "digit map" in faults[0]
