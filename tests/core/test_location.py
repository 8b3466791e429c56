"""The location of a 911 call: read from an INVITE, refused when hostile, read aloud."""

from __future__ import annotations

import pytest

from provisioner.core.location import civic_of, location_of, read_back, spoken
from provisioner.errors import PeerError
from provisioner.sip.message import Request
from tests.core.pidf import CIVIC, multipart, pidf


def invite(kind: str, body: bytes, *headers: tuple[str, str]) -> Request:
    return Request("INVITE", "sip:911@core", [("content-type", kind), *headers], body)


def test_civic_address_by_element_names() -> None:
    assert civic_of(pidf()) == CIVIC


def test_the_part_that_geolocation_names() -> None:
    kind, body = multipart(b"v=0\r\n", {"a@x": pidf({"RD": "Wrong"}), "b@x": pidf()})
    assert location_of(invite(kind, body, ("geolocation", "<cid:b@x>;inserted-by=edge"))) == CIVIC
    assert location_of(invite(kind, body)) == {"RD": "Wrong"}


def test_no_location() -> None:
    assert location_of(invite("application/sdp", b"v=0\r\n")) is None
    kind, body = multipart(b"v=0\r\n", {})
    assert location_of(invite(kind, body)) is None


def test_a_body_that_is_the_location_alone() -> None:
    assert location_of(invite("application/pidf+xml", pidf())) == CIVIC


ENTITY = b'<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
BOMB = b'<!DOCTYPE p [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<presence",
        b"\xff\xfe\x00",
        b"<presence xmlns='urn:ietf:params:xml:ns:pidf'/>",
        ENTITY + pidf({"RD": "&x;"}, escaped=False),
        BOMB + pidf({"RD": "&b;"}, escaped=False),
        b"<!DOCTYPE p>" + pidf(),
        b"<?xml version='1.0' encoding='utf-16'?>" + pidf(),
        pidf({"RD": "x" * 20000}),
    ],
)
def test_hostile_documents_are_refused_calmly(body: bytes) -> None:
    with pytest.raises(PeerError) as caught:
        civic_of(body)
    assert caught.value.status == 424


def test_comments_and_foreign_elements_are_passed_over() -> None:
    document = pidf().replace(b"<ca:HNO>", b"<!-- x --><y:Z xmlns:y='urn:y'>9</y:Z><ca:HNO>")
    assert civic_of(document) == CIVIC


def test_address_as_it_is_read() -> None:
    assert spoken(CIVIC) == "521 N Main ST floor 2 suite 200 room Exam 3 Springfield IL 62701"


def test_words_of_the_read_back() -> None:
    civic = {"HNO": "12", "RD": "Main", "STS": "ST", "A1": "CA"}
    assert read_back("emergency-test", civic, "+14155550101") == [
        "emergency-test", "say-1", "say-2", "say-main", "say-street", "say-california", "callback-number",
        "say-4", "say-1", "say-5", "say-5", "say-5", "say-5", "say-0", "say-1", "say-0", "say-1",
    ]  # fmt: skip


def test_without_an_address_that_is_said() -> None:
    assert read_back("emergency-centre", {}, "101") == [
        "no-address", "callback-number", "say-1", "say-0", "say-1",
    ]  # fmt: skip
