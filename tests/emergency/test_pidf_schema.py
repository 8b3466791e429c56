"""PIDF-LO against our schemas: any address is valid and comes back, and the known traps are refused."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from provisioner.emergency import documents, pidf
from provisioner.emergency.civic import CIVIC_ORDER, ELEMENTS, EXTENSION_ORDER
from provisioner.errors import PeerError
from tests.emergency.test_pidf import AT, CIVIC

MAC = "001122334455"
ENTITY = "sip:+12125550100@practice.example"


def device(civic: dict[str, str] = CIVIC) -> str:
    return pidf.pidf_lo(civic, entity=ENTITY, mac=MAC, at=AT).decode()


def nameless() -> str:
    return pidf.pidf_lo(CIVIC, entity="pres:x@y.invalid", at=AT).decode()


def wrong(document: str) -> list[str]:
    return documents.faults(document.encode(), "pidf_lo")


def changed(document: str, old: str, new: str) -> str:
    assert old in document
    return document.replace(old, new, 1)


def moved(document: str, name: str, before: str) -> str:
    """`document` with the element `name` put before the element `before`."""
    (element,) = re.findall(rf"<{name}\b[^>]*>.*?</{name}>", document)
    return changed(document.replace(element, "", 1), f"<{before}", f"{element}<{before}")


@pytest.mark.parametrize("document", [device(), nameless()])
def test_what_we_write_is_valid(document: str) -> None:
    assert wrong(document) == []


# the traps, by the numbers that they have in our list of facts


def test_b3_a_device_before_a_tuple_is_invalid() -> None:
    (tuple_,) = re.findall("<tuple .*</tuple>", nameless())
    assert wrong(changed(device(), "</presence>", f"{tuple_}</presence>"))
    assert wrong(changed(device(), "<dm:device", f"{tuple_}<dm:device")) == []


def test_b3_a_note_comes_after_tuples_and_before_devices() -> None:
    note = "<note>x</note>"
    assert wrong(changed(device(), "<dm:device", f"{note}<dm:device")) == []
    assert wrong(changed(device(), "</presence>", f"{note}</presence>"))
    assert wrong(changed(nameless(), "<tuple", f"{note}<tuple"))


def test_b4_a_tuples_id_does_not_begin_with_a_digit() -> None:
    assert wrong(changed(nameless(), 'id="d"', 'id="1d"'))
    assert wrong(changed(nameless(), ' id="d"', ""))


def test_b4_geopriv_stands_in_status() -> None:
    bare = nameless().replace("<status>", "").replace("</status>", "")
    assert wrong(bare)


@pytest.mark.parametrize("extra", ["<contact>sip:a@b</contact>", "<note>x</note>"])
def test_b4_the_timestamp_is_the_last_of_a_tuple(extra: str) -> None:
    assert wrong(changed(nameless(), "<timestamp>", f"{extra}<timestamp>")) == []
    assert wrong(changed(nameless(), "</tuple>", f"{extra}</tuple>"))


def test_b5_geopriv_comes_before_the_device_id() -> None:
    assert wrong(moved(device(), "dm:deviceID", "gp:geopriv"))


def test_b5_the_timestamp_is_the_last_of_a_device() -> None:
    assert wrong(moved(device(), "dm:timestamp", "dm:deviceID"))


def test_b5_the_device_form_is_what_calls_carry() -> None:
    assert [etree.QName(each).localname for each in etree.fromstring(device().encode())] == ["device"]


def test_b6_usage_rules_may_not_be_missing() -> None:
    assert wrong(re.sub("<gp:usage-rules>.*</gp:usage-rules>", "", device()))
    assert wrong(re.sub("<gp:usage-rules>.*</gp:usage-rules>", "<gp:usage-rules/>", device())) == []


def test_b6_method_before_usage_rules_is_invalid() -> None:
    assert wrong(moved(device(), "gp:method", "gp:usage-rules"))


def test_b7_the_rules_are_those_of_the_policy_namespace() -> None:
    (rules,) = etree.fromstring(device().encode()).iter(f"{{{pidf.GEOPRIV}}}usage-rules")
    assert {etree.QName(each).namespace for each in rules} == {pidf.POLICY}
    assert wrong(device().replace("gbp:retransmission-allowed", "gp:retransmission-allowed"))
    assert wrong(moved(device(), "gbp:retention-expiry", "gbp:retransmission-allowed"))


def test_b8_it_is_retention_expiry_and_not_expires() -> None:
    assert wrong(device().replace("gbp:retention-expiry", "gbp:retention-expires"))
    assert "retention-expiry" in device()


@pytest.mark.parametrize(("value", "valid"), [("yes", False), ("no", False), ("1", True), ("false", True)])
def test_b8_yes_is_no_boolean(value: str, valid: bool) -> None:
    document = changed(device(), "allowed>true<", f"allowed>{value}<")
    assert (wrong(document) == []) is valid


def test_b8_nothing_of_a_foreign_namespace_passes_silently() -> None:
    assert wrong(changed(device(), "<gbp:retransmission", "<x xmlns='urn:x'/><gbp:retransmission"))


def test_b1_the_civic_format_of_rfc_4119_is_not_ours() -> None:
    assert wrong(device().replace("geopriv10:civicAddr", "geopriv10:civicLoc"))


@pytest.mark.parametrize(
    ("name", "before"),
    [("ca:HNO", "ca:RD"), ("ca:ROOM", "ca:FLR"), ("ca:PC", "ca:country"), ("ca:PLC", "ca:UNIT")],
)
def test_b20_the_order_of_the_civic_address_is_fixed(name: str, before: str) -> None:
    assert wrong(moved(device(), name, before))


def test_b20_there_is_no_other_element_in_its_namespace() -> None:
    assert wrong(changed(device(), "</ca:civicAddress>", "<ca:STREET>x</ca:STREET></ca:civicAddress>"))


def test_b20_extensions_stand_at_the_end() -> None:
    document = device({**CIVIC, "STP": "AVE"})
    assert wrong(document) == []
    element = re.findall("<[a-z0-9]+:STP.*?STP>", document)[0]
    assert wrong(changed(document.replace(element, ""), "<ca:A1>", f"{element}<ca:A1>"))


def test_b21_the_country_is_two_capitals_and_has_no_language() -> None:
    assert wrong(changed(device(), "<ca:country>US", "<ca:country>us"))
    assert wrong(changed(device(), "<ca:country>", "<ca:country xml:lang='en'>"))
    assert wrong(changed(device(), "<ca:A1>", "<ca:A1 xml:lang='en'>")) == []


def test_b22_an_empty_civic_address_is_valid_by_the_schema() -> None:
    assert wrong(re.sub("(<ca:civicAddress[^>]*>).*(</ca:civicAddress>)", r"\1\2", device())) == []


def test_b9_retransmission_is_allowed() -> None:
    assert "<gbp:retransmission-allowed>true<" in device()


def test_b10_a_method_is_one_of_the_registry() -> None:
    assert wrong(changed(device(), ">Manual<", ">Guess<"))


# any address

HOSTILE = st.text(st.characters(), max_size=40)
WORDS = st.one_of(
    HOSTILE, st.sampled_from(["]]>", "<!--", "&amp;", "\x00", "\ufffe", "\ud800", "--b1", "\r\n", "é", "Ω"])
)
ADDRESSES = st.dictionaries(st.sampled_from(ELEMENTS[1:]), WORDS, max_size=len(ELEMENTS)).map(
    lambda held: {"country": "US", **held}
)
_BAD = re.compile("[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def plain(civic: dict[str, str]) -> dict[str, str]:
    """What of an address can be written in XML at all."""
    values = {name: " ".join(_BAD.sub(" ", value).split()) for name, value in civic.items()}
    return {name: value for name, value in values.items() if value}


MOMENTS = st.integers(946_684_800, 4_102_444_800).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(ADDRESSES, st.sampled_from([MAC, ""]), MOMENTS)
def test_any_address_is_valid_in_order_and_comes_back(civic: dict[str, str], mac: str, at: datetime) -> None:
    document = pidf.pidf_lo(civic, entity=ENTITY, mac=mac, at=at)
    assert documents.faults(document, "pidf_lo") == []
    root = documents.read(document)
    assert pidf.civic_of(root) == plain(civic)
    (address,) = root.iter(f"{{{pidf.CIVIC}}}civicAddress")
    names = [etree.QName(each) for each in address]
    order = [*CIVIC_ORDER, *EXTENSION_ORDER]
    assert [name.localname for name in names] == [name for name in order if name in plain(civic)]
    for name in names:
        assert name.namespace == (pidf.CIVIC_EXTENSION if name.localname in EXTENSION_ORDER else pidf.CIVIC)


def test_the_first_device_wins_over_a_tuple() -> None:
    (tuple_,) = re.findall("<tuple .*</tuple>", nameless().replace(">521<", ">999<"))
    both = changed(device(), "<dm:device", f"{tuple_}<dm:device")
    assert pidf.civic_of(documents.read(both.encode()))["HNO"] == "521"
    assert pidf.civic_of(documents.read(b"<x/>")) == {}


# strangers' documents


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"no xml",
        b"<a>",
        b"\xff\xfe",
        b"<!DOCTYPE a><a/>",
        b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
        b'<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><a>&b;</a>',
        b'<!DOCTYPE a SYSTEM "http://192.0.2.1/x.dtd"><a/>',
        b"<a>&undefined;</a>",
        b"<a>" + b"x" * documents.MAX_DOCUMENT + b"</a>",
        b"<a>" * 2000,
    ],
)
def test_b34_hostile_documents_are_an_error_and_no_crash(document: bytes) -> None:
    with pytest.raises(PeerError):
        documents.read(document)


@given(st.binary(max_size=200))
def test_b34_any_bytes(document: bytes) -> None:
    with suppress(PeerError):
        assert documents.read(document) is not None
