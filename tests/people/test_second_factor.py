"""Codes of authenticator apps, and recovery codes."""

from __future__ import annotations

import base64

import pytest
from lxml import etree

from provisioner.people import second_factor

KEY = base64.b32encode(b"12345678901234567890").decode()
# RFC 6238, appendix B, SHA-1; the last six of its eight digits
VECTORS = [
    (59, "287082"),
    (1111111109, "081804"),
    (1111111111, "050471"),
    (1234567890, "005924"),
    (2000000000, "279037"),
    (20000000000, "353130"),
]


@pytest.mark.parametrize(("now", "code"), VECTORS)
def test_the_vectors_of_the_rfc(now: int, code: str):
    assert second_factor.step_of(KEY, code, now) == now // 30
    assert second_factor.step_of(KEY, f"{code[:3]} {code[3:]}", now) == now // 30


@pytest.mark.parametrize(("off", "good"), [(-60, False), (-30, True), (0, True), (30, True), (60, False)])
def test_a_clock_may_be_off_by_one_step(off: int, good: bool):
    assert bool(second_factor.step_of(KEY, "005924", 1234567890 - off)) is good


def test_a_code_is_good_once():
    step = second_factor.step_of(KEY, "005924", 1234567890)
    assert second_factor.step_of(KEY, "005924", 1234567890, after=step) == 0


@pytest.mark.parametrize("code", ["", "0", "005925", "00592", "0059240", "ünïcod", "005924x"])
def test_what_is_no_code(code: str):
    assert second_factor.step_of(KEY, code, 1234567890) == 0


def test_what_the_app_reads():
    uri = second_factor.uri(KEY, "anna", "Hill: Clinic")
    assert uri.startswith("otpauth://totp/Provisioner%20Hill%20%20Clinic:anna?")
    assert f"secret={KEY}" in uri
    assert "digits=6" in uri


def test_the_picture_is_an_svg_without_script_or_style():
    root = etree.fromstring(second_factor.picture(second_factor.uri(KEY, "anna", "Clinic")))
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert {etree.QName(each).localname for each in root.iter()} == {"svg", "g", "path"}
    assert not [each for each in root.iter() if "style" in each.attrib]


def test_recovery_codes():
    made = second_factor.new_codes(lambda n: bytes(range(n)))
    assert len(made) == 10
    assert made[0] == "01234-56789"
    assert second_factor.digest("01234-56789") == second_factor.digest(" 0123456789 ")
    assert second_factor.digest("abcde-fghjk") == second_factor.digest("ABCDE FGHJK")
    assert second_factor.digest("abcde-fghjk") != second_factor.digest("abcde-fghjm")
