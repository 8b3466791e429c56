"""The requests of simulated phones against those that were captured from real ones (tests/phones/sequences/)."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from provisioner.simulate.vendors import phone_type
from provisioner.simulate.vendors.base import Ask, Flash, PhoneType, Reply, Settings
from tests.simulate.server import play_from

FOLDER = Path(__file__).parents[1] / "phones" / "sequences"
OURS = "MAC-line.cfg, MAC-keys.cfg, MAC-site.cfg"
OF_2009 = "local-settings.cfg, sip.cfg, phone1.cfg"


def captured(name: str) -> dict[str, Any]:
    return tomllib.loads((FOLDER / f"{name}.toml").read_text("utf-8"))


def requests(sequence: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each["method"], each["path"].lstrip("/"), each["agent"]) for each in sequence["requests"]]


def played(
    kind: PhoneType, flash: Flash, starting: bool, files: dict[str, bytes]
) -> list[tuple[str, str, str]]:
    """A pass in which every image is the one that runs."""
    run = kind.start(flash) if starting else kind.check(flash)
    asks: list[Ask] = []
    try:
        asks.append(next(run))
        while True:
            ask = asks[-1]
            body = files.get(ask.path) if ask.running is None else f"image {ask.running}".encode()
            asks.append(run.send(Reply(404) if body is None else Reply(200, body)))
    except StopIteration:
        return [(ask.method, ask.path, ask.agent) for ask in asks]


@pytest.mark.parametrize(
    ("name", "family", "image", "listed", "versions", "starting"),
    [
        ("polycom_vvx500", "", "3111-44500-001.sip.ld", "", ("5.9.7.4477", "5.9.7.47435"), True),
        ("polycom_soundpoint335", "soundpoint-sip", "sip.ld", OURS, ("3.2.1.0078", "4.2.1.0275"), True),
        ("polycom_soundpoint450", "soundpoint-sip", "sip.ld", OF_2009, ("3.2.3.1734", "4.2.2.0710"), True),
        ("polycom_ccx600", "", "sip.ld", OURS, ("9.4.1.0508", ""), False),
    ],
)
def test_polycom(
    name: str, family: str, image: str, listed: str, versions: tuple[str, str], starting: bool
) -> None:
    sequence = captured(name)
    mac = sequence["mac"]
    kind = phone_type("polycom", sequence["model"])
    kind = replace(kind, family=kind.maker.families[family]) if family else kind
    flash = kind.new(mac)
    flash.version, flash.boot_version = versions
    if not starting:  # it had applied its files before, and found its image to be the running one
        flash.settings["device.prov.tagSerialNo"] = "1"
        flash.images.add(f"{image} {versions[0]}")
    files = listed.replace("MAC", mac)
    master = f'<APPLICATION APP_FILE_PATH="{image}" CONFIG_FILES="{files}"/>'.encode()
    asked = played(kind, flash, starting, {f"{mac}.cfg": master})
    assert asked == requests(sequence)[: len(asked)]
    assert asked[-1][1] == f"{mac}-app.log"


def test_yealink_upgrade_before_its_own_file() -> None:
    sequence = captured("yealink_w52p_upgrade")
    kind = phone_type("yealink", sequence["model"])
    flash = kind.new(sequence["mac"])
    flash.version = "25.81.0.10"
    common = b"#!version:1.0.0.1\nstatic.firmware.url = base/25.81.0.30.rom\n"
    files = {"y000000000025.cfg": common, "base/25.81.0.30.rom": b"image 25.81.0.30"}
    asks: list[Ask] = []
    for _start in range(2):
        asks += play_from(kind.start(flash), files)[0]
    assert [(ask.method, ask.path, ask.agent) for ask in asks] == requests(sequence)


def test_yealink_before_boot_files() -> None:
    sequence = captured("yealink_t28p")
    kind = phone_type("yealink", sequence["model"])
    asked = played(kind, kind.new(sequence["mac"]), True, {})
    assert [path for _, path, _ in asked] == [path for _, path, _ in requests(sequence)]


@pytest.mark.parametrize(
    ("name", "version", "settings"),
    [
        ("grandstream_gxp2130", "1.0.1.14", {"P192": "fw.example"}),
        (
            "grandstream_grp2612w_adopted",
            "1.0.5.67",
            {"P192": "fw.example", "P330": "1", "P331": "fw.example"},
        ),
        ("grandstream_grp2614_waiting", "1.0.5.15", {}),
    ],
)
def test_grandstream(name: str, version: str, settings: Settings) -> None:
    sequence = captured(name)
    kind = phone_type("grandstream", sequence["model"])
    flash = kind.new(sequence["mac"])
    flash.version, flash.settings = version, settings
    files = {f"cfg{flash.mac}.xml": b"<gs_provision><config version='1'><P35>1</P35></config></gs_provision>"}
    asked = played(kind, flash, True, files)
    assert [(method, path.rpartition("/")[2], agent) for method, path, agent in asked] == requests(sequence)
