"""Every Yealink model's files: taken by a parser written from the makers' description, with known parameters only."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest
from lxml import etree

from provisioner.firmware.rules import load
from provisioner.phones.boot import file_asked
from provisioner.phones.catalogue import Catalogue, Model
from provisioner.phones.identity import Identity, of_agent
from provisioner.phones.render import Renderer
from provisioner.store.records import Credential, Key, Line, LineCredential, Phone, PhoneSettings, Snapshot
from tests.phones import yealink_files as files
from tests.phones.samples import ADDRESSES, PRACTICE

CATALOGUE = Catalogue()
YEALINK = CATALOGUE.vendors["yealink"]
MODELS = {model.name: model for model in YEALINK.models}
RULES = load("yealink").families
MAC = "805ec0123456"
FULL = {
    "registrar_2_host": "192.0.2.11",
    "transport": "tls",
    "srtp": "required",
    "encrypt_files": True,
    "codecs": ["G722", "PCMU", "G729", "Opus"],
    "dtmf": "info",
    "voicemail_number": "*97",
    "syslog_host": "192.0.2.9",
    "vlan_id": 20,
    "pc_vlan_id": 30,
    "firmware_server": "http://192.0.2.5/firmware",
    "ring_tones": {"urgent": "emergency", "quiet": "silent"},
    "time_zone": "America/St_Johns",
    "language": "fr",
}


def practice(
    model: Model, name: str = "Room", lines: int | None = None, values: dict[str, object] | None = None
) -> Snapshot:
    count = min(model.accounts, 3) if lines is None else lines
    modules = model.modules[:1] * model.module_count
    places = model.keys + sum(CATALOGUE.module_keys("yealink", module) for module in modules)
    keys = [Key(position=place, function="blf", value=f"1{place:02}", label=name) for place in (1, 2, places)]
    phone = Phone(
        id=MAC,
        vendor="yealink",
        model=model.name,
        lines=tuple(Line(extension=f"10{index}", name=f"{name} {index}") for index in range(count)),
        keys=tuple(keys) if places > 2 else (),
        modules=modules,
    )
    credential = Credential(
        id=MAC,
        lines=tuple(LineCredential(auth_user=f"u{index}", password=f"p{index}") for index in range(count)),
        admin_password="admin-secret",
        user_password="user-secret",
        http_user=MAC,
        http_password="http-secret",
        path_secret="folder",
        file_key="0123456789abcdEF",
    )
    settings = (
        {"site": msgspec.convert({"id": "site", "values": values, "kind": "phone_setting"}, PhoneSettings)}
        if values
        else {}
    )
    return Snapshot(
        revision=1,
        practice=PRACTICE,
        phones={MAC: phone},
        credentials={MAC: credential},
        phone_settings=settings,
    )


def fetch(of: Renderer, name: str, model: Model, version: str = "") -> bytes | None:
    asked = file_asked(f"/{name}")
    assert asked
    return of.file(asked, Identity("yealink", model.name, version, MAC, agent="phone"))


def settings(of: Renderer, model: Model, version: str = "") -> dict[str, str]:
    data = fetch(of, f"{MAC}.cfg", model, version)
    assert data
    return dict(files.parse(data))


def versions(model: Model) -> list[str]:
    """Unknown, and each that is known of the model's line."""
    return ["", *(each.version for each in RULES[model.firmware].known)]


@pytest.mark.parametrize("values", [{}, FULL], ids=["default", "full"])
@pytest.mark.parametrize("name", MODELS)
def test_every_model_renders_every_file_with_known_parameters_only(
    name: str, values: dict[str, object]
) -> None:
    model = MODELS[name]
    for version in versions(model):
        of = Renderer(practice(model, values=values), ADDRESSES, CATALOGUE)
        common = f"y{int(model.common or 0):012}.cfg"
        for path in (f"{MAC}.cfg", common) if model.common else (f"{MAC}.cfg",):
            data = fetch(of, path, model, version)
            assert data
            found = files.parse(data)
            assert [wrong for each in found if (wrong := files.misfit(each))] == []
            many = Counter(each.name for each in found)
            repeated = {key for key, count in many.items() if count > 1}
            assert {key.removeprefix("static.") for key in repeated} <= {"security.user_password"}
        book = fetch(of, f"{MAC}-phonebook.xml", model, version)
        assert book
        assert etree.fromstring(book).tag == "YealinkIPPhoneDirectory"
        waiting = Renderer(Snapshot(revision=1, practice=PRACTICE), ADDRESSES, CATALOGUE)
        asks_again = fetch(waiting, f"{MAC}.cfg", model, version)
        assert asks_again
        assert {files.misfit(each) for each in files.parse(asks_again)} == {""}


@pytest.mark.parametrize("name", MODELS)
def test_boot_files_name_the_two_others_and_older_phones_have_none(name: str) -> None:
    model = MODELS[name]
    data = fetch(Renderer(practice(model), ADDRESSES, CATALOGUE), f"{MAC}.boot", model)
    if model.family == "legacy":
        assert data is None
        return
    assert data
    included, overwrite = files.parse_boot(data)
    assert included == [f"y{int(model.common):012}.cfg", f"{MAC}.cfg"]
    assert overwrite
    assert all(file_asked(f"/{each}") for each in included)


@pytest.mark.parametrize("name", MODELS)
def test_a_skeleton_is_its_template_byte_for_byte(name: str) -> None:
    model = MODELS[name]
    of = Renderer(practice(model, name='A "1" <b> é = #'), ADDRESSES, CATALOGUE)
    phone = of.snapshot.phones[MAC]
    for kind, file in CATALOGUE.kit("yealink", model).files.items():
        if kind != "common":
            path = {"boot": ".boot", "phone": ".cfg", "phonebook": "-phonebook.xml"}[kind]
            like = of.like("yealink", model, phone, "")
            assert fetch(of, MAC + path, model) == of.plain(like, file, of.device(phone)), kind


@pytest.mark.parametrize("name", MODELS)
def test_the_same_input_gives_the_same_bytes_and_a_phone_is_its_own_affair(name: str) -> None:
    model = MODELS[name]
    whole = practice(model)
    other = "805ec0654321"
    two = msgspec.structs.replace(
        whole,
        phones={**whole.phones, other: msgspec.structs.replace(whole.phones[MAC], id=other)},
        credentials={**whole.credentials, other: msgspec.structs.replace(whole.credentials[MAC], id=other)},
    )
    changed = msgspec.structs.replace(
        two,
        credentials={
            **two.credentials,
            other: msgspec.structs.replace(two.credentials[other], admin_password="another"),
        },
    )

    def all_files(snapshot: Snapshot) -> dict[str, bytes | None]:
        of = Renderer(snapshot, ADDRESSES, CATALOGUE)
        names = [f"y{int(model.common or 0):012}.cfg"]
        names += [mac + end for mac in (MAC, other) for end in (".cfg", ".boot", "-phonebook.xml")]
        asked = [file_asked(f"/{each}") for each in names]
        return {
            each.name: of.file(each, Identity("yealink", model.name, "", each.mac, agent="phone"))
            for each in asked
            if each
        }

    before, again, after = all_files(two), all_files(two), all_files(changed)
    assert before == again
    assert {each for each in before if before[each] != after[each]} == {f"{other}.cfg"}


def test_the_table_of_parameters_holds_nothing_that_no_file_uses() -> None:
    used = set()
    for model in YEALINK.models:
        for version in ("", versions(model)[-1]):
            for values in (FULL, {**FULL, "directory": False}):
                of = Renderer(practice(model, values=values), ADDRESSES, CATALOGUE)
                for path in (f"{MAC}.cfg", f"y{int(model.common or 0):012}.cfg"):
                    data = fetch(of, path, model, version) or b""
                    used |= {files.parameter(each.name) for each in files.parse(data)}
    assert {row.pattern.pattern for row in files.parameters() if row not in used} == set()


def test_every_model_is_in_a_line_of_firmware_and_has_a_family() -> None:
    for model in YEALINK.models:
        assert model.firmware in RULES, model.name
        assert model.family in YEALINK.families, model.name
        assert model.common.isdecimal() or model.name == "T18P", model.name
        assert bool(model.modules) == bool(model.module_count), model.name
    modules = {module.name for module in YEALINK.modules}
    assert {module for model in YEALINK.models for module in model.modules} == modules
    assert set(RULES) == {model.firmware for model in YEALINK.models}
    assert len({name for model in YEALINK.models for name in (model.name, *model.agents)}) >= 86


def test_versions_are_of_their_lines_hardware() -> None:
    for line in RULES.values():
        assert line.hardware.isdecimal(), line.title
        for known in line.known:
            assert known.version.split(".")[0] == line.hardware, known.version


# What desk phones say that they are: each kind of agent that was seen in the field.
AGENTS = """
Yealink SIP-T19P_E2 53.80.0.3 00:15:65:4c:4c:26|T19P E2
yealink SIP-T18 18.0.0.80 00:15:65:27:3e:05|T18P
Yealink SIP-T20P 9.72.0.30 00:15:65:5e:16:7c|T20P
yealink SIP-T28P 2.70.0.140 00:15:65:13:ae:0b|T28P
Yealink SIP-T23G 44.80.0.60 00:15:65:93:70:f2|T23G
Yealink SIP-T38G  38.70.0.125 00:15:65:2f:c3:5e|T38G
Yealink SIP-T46G 28.83.0.120 00:15:65:4a:a9:37|T46G
Yealink SIP VP-T49G 51.80.0.10 00:15:65:9b:5a:44|T49G
Yealink SIP-T31G 124.85.257.55 80:5e:c0:d5:7d:72|T31G
Yealink SIP-T34W 124.86.0.75 24:9a:d8:88:d0:f4|T34W
Yealink SIP-T58A 58.83.0.15 00:15:65:9b:5b:22|T58A
Yealink SIP-T56A  58.80.0.25 001565f429a4|T56A
Yealink SIP-T58 58.85.0.5 00:15:65:9b:5b:22|T58A
Yealink SIP-T77U 185.87.0.10 44:db:d2:bd:b5:69|T77U
Yealink SIP-T87W 185.87.0.10 44:db:d2:c9:73:b7|T87W
Yealink CP860 37.72.0.5 00:15:65:8a:37:86|CP860
Yealink CP960 73.83.0.30 00:15:65:8a:37:86|CP960
Yealink SIP-W52P 25.73.0.20 00:15:65:40:ae:35|W52P
W52P 25.30.0.2 00:15:65:44:b3:7c|W52P
VP530P 23.70.0.40 00:15:65:31:4b:c0|VP530
VP530 23.70.0.41 00:15:65:3d:58:e3|VP530
Yealink W60B 77.81.0.35 80:5e:c0:09:ab:dc|W60B
Yealink W70B 146.85.0.5 80:5e:0c:1d:65:4e|W70B
Yealink W80B 103.83.0.122 24:9a:d8:d1:a6:31|W80B
Yealink W90DM 130.85.0.15 80:5e:c0:d9:c7:44|W90DM
Yealink W75B 175.85.0.5 24:9a:d8:df:fb:11|W75B
Yealink AX83H 180.87.0.5 44:db:d2:c9:73:b7|AX83H
Yealink-T46G 28.71.0.81 28.1.0.128.0.0.0|T46G
"""


@pytest.mark.parametrize("row", AGENTS.split("\n")[1:-1])
def test_agents_find_their_models(row: str) -> None:
    agent, _, name = row.partition("|")
    found = of_agent(agent)
    model = CATALOGUE.model("yealink", found.model)
    assert model is not None
    assert (model.name, found.vendor) == (name, "yealink")


def test_no_model_is_missing() -> None:
    known = """
        T18P T19P T19P_E2 T20P T21P T21P_E2 T22P T23G T23P T26P T27G T27P T28P T29G T30 T30P T31
        T31G T31P T31W T32G T33 T33G T33P T34W T38G T40G T40P T41P T41S T41U T42G T42S T42U T43U
        T44U T44W T46G T46S T46U T48G T48S T48U T49G T52S T53 T53C T53W T54S T54W T56 T56A T57 T57W
        T58 T58A T58V T58W T73U T73W T74U T74W T77U T85W T87W T88V T88W AX83H AX86R CP860 CP920
        CP925 CP960 CP965 VP530P VP59 W52P W53P W56P W60B W70B W73P W75B W75DM W80B W80DM W90B W90DM
    """
    assert [name for name in known.split() if CATALOGUE.model("yealink", name) is None] == []
