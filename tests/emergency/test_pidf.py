"""PIDF-LO: the order of elements, the traps of the schemas, and the body of an INVITE."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime, timedelta, timezone

import pytest
from lxml import etree

from provisioner.emergency import pidf
from provisioner.errors import OperatorError

AT = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
CIVIC = {
    "ROOM": "Exam 3",
    "UNIT": "200",
    "PC": "62701",
    "NAM": "Example Clinic",
    "FLR": "2",
    "LOC": "Nurse station",
    "HNO": "521",
    "STS": "ST",
    "RD": "Main",
    "PRD": "N",
    "A3": "Springfield",
    "A2": "Sangamon",
    "A1": "IL",
    "country": "US",
    "PLC": "office",
    "LMK": "",
}
SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\n"


def made(**changes: object) -> etree._Element:
    arguments = {"entity": "pres:+12125550100@practice.example", "mac": "001122334455", "at": AT, **changes}
    civic = arguments.pop("civic", CIVIC)
    return etree.fromstring(pidf.pidf_lo(civic, **arguments))  # type: ignore[arg-type]


def names(element: etree._Element) -> list[str]:
    return [etree.QName(child).localname for child in element]


def find(root: etree._Element, path: str) -> etree._Element:
    spaces = {
        "p": pidf.PIDF,
        "dm": pidf.DATA_MODEL,
        "gp": pidf.GEOPRIV,
        "gbp": pidf.POLICY,
        "ca": pidf.CIVIC,
        "ext": pidf.CIVIC_EXTENSION,
    }
    found = root.find(path, spaces)
    assert found is not None, path
    return found


def test_order_of_the_device_form() -> None:
    root = made()
    assert root.tag == f"{{{pidf.PIDF}}}presence"
    assert root.get("entity") == "pres:+12125550100@practice.example"
    assert names(root) == ["device"]
    device = find(root, "dm:device")
    assert names(device) == ["geopriv", "deviceID", "timestamp"]
    assert find(device, "dm:deviceID").text == "mac:001122334455"
    assert find(device, "dm:timestamp").text == "2026-11-22T06:00:00Z"
    geopriv = find(device, "gp:geopriv")
    assert names(geopriv) == ["location-info", "usage-rules", "method"]
    assert find(geopriv, "gp:method").text == "Manual"


def test_an_xs_id_does_not_begin_with_a_digit() -> None:
    assert find(made(), "dm:device").get("id") == "d001122334455"


def test_usage_rules_belong_to_the_policy_namespace_and_are_xs_boolean() -> None:
    rules = find(made(), "dm:device/gp:geopriv/gp:usage-rules")
    assert [(child.tag, child.text) for child in rules] == [
        (f"{{{pidf.POLICY}}}retransmission-allowed", "true"),
        (f"{{{pidf.POLICY}}}retention-expiry", "2026-11-23T06:00:00Z"),
    ]


def test_civic_address_in_the_order_of_the_schema() -> None:
    address = find(made(), "dm:device/gp:geopriv/gp:location-info/ca:civicAddress")
    assert names(address) == [
        "country",
        "A1",
        "A2",
        "A3",
        "PRD",
        "RD",
        "STS",
        "HNO",
        "LOC",
        "FLR",
        "NAM",
        "PC",
        "UNIT",
        "ROOM",
        "PLC",
    ]
    assert {etree.QName(child).namespace for child in address} == {pidf.CIVIC}
    assert address.get("{http://www.w3.org/XML/1998/namespace}lang") == "en-US"


def test_elements_of_rfc_6848_come_last_in_their_own_namespace() -> None:
    address = find(
        made(civic={**CIVIC, "STP": "Avenue"}), "dm:device/gp:geopriv/gp:location-info/ca:civicAddress"
    )
    assert address[-1].tag == f"{{{pidf.CIVIC_EXTENSION}}}STP"


def test_values_are_tokens_and_escaped() -> None:
    root = made(civic={**CIVIC, "NAM": ' A & <B>\r\n\x00"C" '})
    assert find(root, ".//ca:NAM").text == 'A & <B> "C"'


def test_times_are_said_in_utc() -> None:
    local = AT.astimezone(timezone(timedelta(hours=-8)))
    assert find(made(at=local), "dm:device/dm:timestamp").text == "2026-11-22T06:00:00Z"


@pytest.mark.parametrize(
    ("civic", "words"),
    [
        ({**CIVIC, "street": "Main"}, "no element street"),
        ({**CIVIC, "country": "us"}, "two capital letters"),
        ({}, "needs its country"),
    ],
)
def test_no_address_of_this_kind(civic: dict[str, str], words: str) -> None:
    with pytest.raises(OperatorError, match=words):
        made(civic=civic)


def test_a_method_that_is_not_ours() -> None:
    with pytest.raises(ValueError, match="GPS"):
        made(method="GPS")


def test_the_same_input_gives_the_same_bytes() -> None:
    documents = {
        pidf.pidf_lo(dict(order), entity="sip:a@b", mac="001122334455", at=AT)
        for order in (CIVIC.items(), reversed(CIVIC.items()))
    }
    assert len(documents) == 1


def test_multipart() -> None:
    document = pidf.pidf_lo(CIVIC, entity="sip:a@b", mac="001122334455", at=AT)
    content_type, body = pidf.multipart(SDP, document, "b1", "loc1@practice.example")
    assert content_type == "multipart/mixed;boundary=b1"
    head = f"MIME-Version: 1.0\r\nContent-Type: {content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    session, location = message.iter_parts()
    assert (session.get_content_type(), location.get_content_type()) == (
        "application/sdp",
        "application/pidf+xml",
    )
    assert location["Content-ID"] == "<loc1@practice.example>"
    assert b"\r\nContent-Disposition: by-reference;handling=optional\r\n" in body
    assert body.split(b"\r\n\r\n", 1)[1].startswith(SDP + b"\r\n--b1\r\n")
    assert body.endswith(document + b"\r\n--b1--\r\n")


@pytest.mark.parametrize(
    ("boundary", "content_id"),
    [
        ("", "a@b"),
        ("a b", "a@b"),
        ("x" * 71, "a@b"),
        ("b1", "a"),
        ("b1", "<a@b>"),
        ("v=0", "a@b"),
        ("in", "a@b"),
    ],
)
def test_what_cannot_part_the_body(boundary: str, content_id: str) -> None:
    with pytest.raises(ValueError, match=r"boundary|Content-ID"):
        pidf.multipart(SDP + b"--in", b"<presence/>", boundary, content_id)
