"""Which file is asked for: names that phones send, and paths that nobody should."""

from __future__ import annotations

import pytest

from provisioner.phones.boot import Asked, file_asked, last_segment, vendors_of

MAC = "0004f2000101"


@pytest.mark.parametrize(
    ("path", "kind", "mac", "vendors"),
    [
        (f"/{MAC}.cfg", "phone", MAC, "polycom yealink"),
        ("/000000000000.cfg", "fallback", "", "polycom"),
        (f"/{MAC}-line.cfg", "line", MAC, "polycom"),
        (f"/{MAC}-site.cfg", "site", MAC, "polycom"),
        ("/waiting.cfg", "waiting", "", "polycom"),
        (f"/{MAC}-phone.cfg", "override", MAC, "polycom"),
        (f"/{MAC}-web.cfg", "override", MAC, "polycom"),
        (f"/{MAC}-license.cfg", "optional", MAC, "polycom"),
        ("/000000000000-license.cfg", "optional", "", "polycom"),
        (f"/{MAC}-directory.xml", "directory", MAC, "polycom"),
        ("/000000000000-directory.xml", "common-directory", "", "polycom"),
        (f"/{MAC}-calls.xml", "call-list", MAC, "polycom"),
        (f"/{MAC}-keys.cfg", "keys", MAC, "polycom"),
        (f"/overrides/{MAC}-phone.cfg", "override", MAC, "polycom"),
        (f"/contacts/{MAC}-directory.xml", "directory", MAC, "polycom"),
        (f"/logs/{MAC}-app.log", "upload", MAC, "polycom"),
        (f"/{MAC}-app-01.log", "upload", MAC, "polycom"),
        (f"/{MAC}-core.tar.gz", "core", MAC, "polycom"),
        (f"/{MAC}-user.cfg", "optional", MAC, "polycom"),
        ("/3111-17823-001.dect.ld", "firmware", "", "polycom"),
        ("/sip_59x.ld", "firmware", "", "polycom"),
        ("/bootrom.ver", "optional", "", "polycom"),
        ("/phone1.cfg", "optional", "", "polycom"),
        ("/SoundPointIPLocalization/Italian_Italy/SoundPointIP-dictionary.xml", "optional", "", "polycom"),
        ("/LeafEM.jpg", "optional", "", "polycom yealink grandstream"),
        (f"/{MAC}-app.log", "upload", MAC, "polycom"),
        (f"/{MAC}-boot.log", "upload", MAC, "polycom"),
        ("/3111-48450-001.sip.ld", "firmware", "", "polycom"),
        ("/3111-44500-001.3111-44500-001.sip.ld", "firmware", "", "polycom"),
        ("/sip.ld", "firmware", "", "polycom"),
        ("/2345-12600-001.bootrom.ld", "firmware", "", "polycom"),
        ("/sip.ver", "optional", "", "polycom"),
        ("/001565000102.boot", "boot", "001565000102", "yealink"),
        ("/y000000000000.boot", "optional", "", "yealink"),
        ("/y000000000066.cfg", "common", "", "yealink"),
        ("/y000000000000.cfg", "common", "", "yealink"),
        ("/001565000102-local.cfg", "override", "001565000102", "yealink"),
        ("/001565000102-contact.xml", "optional", "001565000102", "yealink"),
        ("/001565000102-phonebook.xml", "phonebook", "001565000102", "yealink"),
        ("/001565000102-calllog.xml", "optional", "001565000102", "yealink"),
        ("/001565000102.enc", "optional", "001565000102", "yealink"),
        ("/001565000102_Security.enc", "optional", "001565000102", "yealink"),
        ("/y000000000066_Security.enc", "optional", "", "yealink"),
        ("/directory_setting.xml", "optional", "", "yealink"),
        ("/T46S(T48S,T42S,T41S)-66.86.0.15.rom", "firmware", "", "yealink"),
        ("/Base for W52P&W56P-25.80.0.15.rom", "firmware", "", "yealink"),
        ("/$PN-175.87.0.14.rom", "firmware", "", "yealink"),
        ("/base/25.81.0.30.rom", "firmware", "", "yealink"),
        ("/T46S-66.86.0.15.rom", "firmware", "", "yealink"),
        ("/cfg000b82000103", "binary", "000b82000103", "grandstream"),
        ("/cfg000b82000103.xml", "config", "000b82000103", "grandstream"),
        ("/cfg000b82000103.bin", "binary", "000b82000103", "grandstream"),
        ("/dev000b82000103.cfg", "optional", "000b82000103", "grandstream"),
        ("/cfggxp2170.xml", "model_config", "", "grandstream"),
        ("/cfgGXP2170.xml", "model_config", "", "grandstream"),
        ("/Grandstream/cfggrp2612w.xml", "model_config", "", "grandstream"),
        ("/cfg.xml", "maker_config", "", "grandstream"),
        ("/boot55e.bin", "firmware", "", "grandstream"),
        ("/ht80xv2fw.bin", "firmware", "", "grandstream"),
        ("/ring1.bin", "optional", "", "grandstream"),
        ("/screensaver.xml", "optional", "", "grandstream"),
        ("/gxp2100.txt", "optional", "", "grandstream"),
        ("/gs_phonebook.xml", "phonebook", "", "grandstream"),
        ("/gxp2170fw.bin", "firmware", "", "grandstream"),
        ("/gxp2000e.bin", "firmware", "", "grandstream"),
        ("/phonebook.xml", "phonebook", "", "grandstream"),
    ],
)
def test_names(path: str, kind: str, mac: str, vendors: str) -> None:
    assert file_asked(path) == Asked(kind, mac, path.rpartition("/")[2].lower())
    assert vendors_of(path) == tuple(vendors.split())


@pytest.mark.parametrize(
    "path",
    [
        "/0004F2000101.CFG",
        "//0004f2000101.cfg",
        "/provisioning//provisioning/0004f2000101.cfg",
        "/Grandstream/0004f2000101.cfg",
        "/0004f2000101.cfg?user=1",
        "/%30004f2000101%2Ecfg",
        "0004f2000101.cfg",
    ],
)
def test_folders_case_and_escapes_do_not_matter(path: str) -> None:
    assert file_asked(path) == Asked("phone", MAC, f"{MAC}.cfg")


@pytest.mark.parametrize(
    "path",
    [
        "/../0004f2000101.cfg",
        "/a/..%2f0004f2000101.cfg",
        "/%2e%2e/0004f2000101.cfg",
        "/..\\0004f2000101.cfg",
        "/%252e%252e/0004f2000101.cfg",
        "/0004f2000101.cfg%00.txt",
        "/0004f2000101.cfg%0a",
        "/\u0660004f2000101.cfg",
        "/%ff0004f2000101.cfg",
        "/" + "a/" * 300 + "0004f2000101.cfg",
        "/",
        "",
        "/0004f2000101.cfg/",
        "/0004f2000101.cfg.bak",
        "/0004f200010.cfg",
        "/000000000000-app.log",
        "/ffffffffffff.cfg",
        "/line.cfg.j2",
        "/inventory.db",
        "/models.toml",
    ],
)
def test_what_is_no_phones_file(path: str) -> None:
    assert file_asked(path) is None
    assert vendors_of(path) == ()


def test_a_refused_path_has_no_name() -> None:
    assert last_segment("/a/../b") is None
    assert last_segment("/a/b.XML?c=/d") == "b.xml"
