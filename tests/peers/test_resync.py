"""Phones of other makes are told to restart: sipp asks for the digest and checks it, as Grandstream's phones do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import needs
from tests.peers.appliance import DEMO, Appliance
from tests.peers.baresip import Baresip
from tests.peers.sipp import Party, register
from tests.peers.wait import until

pytestmark = pytest.mark.peer
MAC = DEMO["103"]


@pytest.fixture
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    needs("sipp", "baresip")
    with Appliance(tmp_path_factory.mktemp("resync")) as appliance:
        yield appliance


def phone_of(appliance: Appliance, job: str, mac: str) -> dict[str, Any]:
    rows = appliance.edge.call("resync_status", job=job)["phones"]
    found: dict[str, Any] = next(row for row in rows if row["mac"] == mac)
    return found


def begin(appliance: Appliance, mac: str, mode: str) -> str:
    body = json.dumps({"macs": [mac], "mode": mode}).encode()
    token = {"Authorization": f"Bearer {appliance.info['api_token']}", "Content-Type": "application/json"}
    answer = json.loads(appliance._request("/api/v1/phones/jobs", token, body))
    return str(answer["job"])


def reaches(appliance: Appliance, job: str, mac: str, state: str) -> None:
    until(
        lambda: phone_of(appliance, job, mac)["state"] == state,
        f"{mac} is {state}",
        20,
        lambda: f"{phone_of(appliance, job, mac)}\n{appliance.tail()}",
    )


def test_challenge_is_met_and_the_phone_comes_back(appliance: Appliance, tmp_path: Path) -> None:
    account, host = appliance.account(MAC), appliance.new_host()
    register(tmp_path, appliance, account, host)
    fill = {"USER": account.auth_user, "PASSWORD": account.password, "EVENT": "check-sync;reboot=true"}
    party = Party(tmp_path, "notify", host, appliance, **fill).listening()
    job = begin(appliance, MAC, "restart")
    party.reached("asked again").finish()
    row = phone_of(appliance, job, MAC)
    assert (row["state"], row["body"]["status"]) == ("sent", 200)
    first, second = sorted(
        {int(number) for number in re.findall(r"^CSeq: (\d+) NOTIFY", party.messages, re.M)}
    )
    assert second == first + 1
    appliance.fetch(f"cfg{MAC}.xml", MAC)
    reaches(appliance, job, MAC, "fetched")
    register(tmp_path, appliance, account, host)
    reaches(appliance, job, MAC, "back")
    ((name, _at, status, revision),) = phone_of(appliance, job, MAC)["body"]["files"]
    assert (name, status) == (f"cfg{MAC}.xml", 200)
    # The demo registers its addresses meanwhile, so that the inventory goes on.
    assert 1 <= revision <= appliance.edge.call("status")["revision"]
    assert account.password not in appliance.tail()


def test_wrong_password_is_told(appliance: Appliance, tmp_path: Path) -> None:
    account, host = appliance.account(MAC), appliance.new_host()
    register(tmp_path, appliance, account, host)
    fill = {"USER": account.auth_user, "PASSWORD": "another", "EVENT": "^ *resync"}
    party = Party(tmp_path, "notify", host, appliance, **fill).listening()
    job = begin(appliance, MAC, "resync")
    party.finish()
    reaches(appliance, job, MAC, "refused")
    row = phone_of(appliance, job, MAC)
    assert row["body"]["status"] == 403
    assert "Unplug it" in row["body"]["note"]


def test_job_goes_on_when_the_edge_is_killed(appliance: Appliance, tmp_path: Path) -> None:
    account, host = appliance.account(MAC), appliance.new_host()
    register(tmp_path, appliance, account, host)
    fill = {"USER": account.auth_user, "PASSWORD": account.password, "EVENT": "check-sync"}
    party = Party(tmp_path, "notify", host, appliance, **fill).listening()
    job = begin(appliance, MAC, "restart")
    party.finish()
    until(lambda: phone_of(appliance, job, MAC)["body"]["status"] == 200, "answered", 5, appliance.tail)
    until(
        lambda: appliance.api(f"phones/jobs/{job}")["items"][0]["body"]["status"] == 200, "in the journal", 5
    )
    appliance.kill_edge()
    appliance.fetch(f"cfg{MAC}.xml", MAC)
    register(tmp_path, appliance, account, host)
    reaches(appliance, job, MAC, "back")


def test_retired_phone_cannot_register_any_more(appliance: Appliance, tmp_path: Path) -> None:
    account, host = appliance.account(MAC), appliance.new_host()
    register(tmp_path, appliance, account, host)
    assert appliance.registered(host) == ["103"]
    gone = appliance.api(f"phones/{MAC}/retire", b"")
    assert gone["extensions"] == ["103"]
    assert appliance.registered(host) == []
    register(tmp_path, appliance, account, host, status="401")
    assert account.password not in appliance.fetch(f"cfg{MAC}.xml", MAC)


def test_baresip_in_a_call_is_told_after_it(appliance: Appliance, tmp_path: Path) -> None:
    """It has no use for such a message, and says so; never while it talks."""
    mac = DEMO["102"]
    with (
        Baresip(tmp_path / "a", appliance.account(DEMO["101"]), appliance.new_host()) as caller,
        Baresip(tmp_path / "b", appliance.account(mac), appliance.new_host()) as phone,
    ):
        caller.registered()
        phone.registered()
        caller.dial("102")
        until(lambda: appliance.calls(), "a call", 10, appliance.tail)
        job = begin(appliance, mac, "resync")
        reaches(appliance, job, mac, "busy")
        assert phone_of(appliance, job, mac)["body"]["sent"] == 0
        caller.hang_up()
        until(lambda: phone_of(appliance, job, mac)["body"]["status"], "an answer", 20, appliance.tail)
