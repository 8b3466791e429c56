"""What is vendored is what the list beside it says, and the list says all; the cut style sheet lacks nothing in use."""

from __future__ import annotations

import hashlib
import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

import provisioner.web

WEB = Path(provisioner.web.__file__).parent
VENDOR = WEB / "static" / "vendor"
LIST = tomllib.loads((VENDOR / "versions.toml").read_text())

_PATH = WEB.parent.parent / "packaging" / "styles.py"
_SPEC = importlib.util.spec_from_file_location("styles", _PATH)
assert _SPEC
assert _SPEC.loader
styles = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(styles)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_hashes():
    assert {name: digest(VENDOR / name) for name in LIST} == {
        name: entry["sha256"] for name, entry in LIST.items()
    }


def test_each_has_its_licence_and_nothing_else_lies_there():
    texts = {entry["licence_text"] for entry in LIST.values()}
    assert {path.name for path in VENDOR.iterdir()} == {*LIST, *texts, "versions.toml"}


def test_the_style_sheet_is_cut_from_the_release():
    """After a change of packaging/styles.py: run it, and put the new hash into versions.toml."""
    entry = LIST[styles.TARGET.name]
    assert styles.RELEASE.name == entry["cut_from"]
    assert digest(styles.RELEASE) == entry["release_sha256"]
    own = (WEB / "static" / "staff.css").read_text()
    assert styles.TARGET.read_text() == styles.cut(styles.RELEASE.read_text(), own)


def test_no_page_has_what_was_cut_out():
    """Who needs one of these on a page takes it out of the lists of packaging/styles.py, and runs it."""
    sources = [*WEB.glob("templates/*.html"), *WEB.glob("static/*.js"), *WEB.glob("*.py")]
    text = "\n".join(path.read_text() for path in sources)
    assert styles.ELEMENTS & set(re.findall(r"(?:<|_tag\(\")([a-z][a-z0-9]*)", text)) == set()
    pages = "\n".join(path.read_text() for path in sources if path.suffix == ".html")
    tags = re.findall(r"<[a-z](?:[^<>\"]|\"[^\"]*\")*>", re.sub(r"\{%.*?%\}|\{\{.*?\}\}", "", pages))
    held = {pair for tag in tags for pair in re.findall(r"\s([a-z-]+)(?:=\"([^\"]*)\")?", tag)}
    held |= {(name, None) for name, _value in held}
    assert {("type", "checkbox"), ("hidden", None)} <= held
    assert styles.ATTRIBUTES & held == set()


@pytest.mark.parametrize(
    ("css", "left"),
    [
        ("a{b:c}dialog{b:c}", "a{b:c}"),
        ("dialog>a,a:hover{b:c}", "a:hover{b:c}"),
        ("a:not(dialog,[dir=rtl]){b:c}", "a:not(dialog,[dir=rtl]){b:c}"),
        ("p:is(dialog,[type=time]) a{b:c}", ""),
        ("p:is(dialog,:not(h4)) a{b:c}", "p:is(dialog,:not(h4)) a{b:c}"),
        ("@media print{kbd{b:c}}@media print{a{b:c}kbd{b:c}}", "@media print{a{b:c}}"),
        ('a{--x:url("}");b:var(--x1)}b{--x1:1}', "a{b:var(--x1)}b{--x1:1}"),
        ("a{--x:1;--own:2}", "a{--own:2}"),
        ("a{--x:var(--y);--y:1}b{c:d}", "b{c:d}"),
        (
            "a{animation:in}@keyframes in{to{c:d}}@keyframes out{50%{c:d}to{c:d}}",
            "a{animation:in}@keyframes in{to{c:d}}",
        ),
    ],
)
def test_what_stays_of_a_style_sheet(css: str, left: str):
    assert styles.cut(f"/* x */{css}", "b{c:var(--own)}") == f"/* x */{left}\n"
