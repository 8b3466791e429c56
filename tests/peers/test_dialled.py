"""A sample of what is refused, dialled by a sipp with a desk phone's account: it hears why, then gets the status."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dialing import corpus
from tests.peers import sipp
from tests.peers.appliance import DEMO, Appliance
from tests.peers.capture import Capture, judge, needs_capture
from tests.peers.sipp import MEDIA_PORT, Party

pytestmark = pytest.mark.peer("sipp")

EXTENSION = "101"
SAMPLE = ("9112125551234", "011442079460000", "5551234", "9005551234", "2129111234", "611", "104", "0")
ROWS = [row for row in corpus.ROWS if row.dialled in SAMPLE and row.length == 3]


@pytest.fixture(scope="module")
def appliance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Appliance]:
    needs_capture()
    running = Appliance(tmp_path_factory.mktemp("dialled"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def phone(appliance: Appliance, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a registered desk phone."""
    host = appliance.new_host()
    sipp.register(tmp_path_factory.mktemp("phone"), appliance, appliance.account(DEMO[EXTENSION]), host)
    return host


@pytest.mark.rule("dialled.mistyped", "dialled.not-nanp", "dialled.seven-digits", "dialled.invalid")
@pytest.mark.parametrize("row", ROWS, ids=str)
def test_refused_in_words(appliance: Appliance, phone: str, row: corpus.Row, tmp_path: Path) -> None:
    account = appliance.account(DEMO[EXTENSION])
    with Capture(tmp_path, appliance) as capture:
        party = Party(
            tmp_path, "refused", phone, appliance, number=row.dialled, seconds=30,
            arguments=("-au", account.auth_user, "-ap", account.password),
            EXTENSION=EXTENSION, STATUS=str(row.keypad.status),
        )  # fmt: skip
        try:
            party.finish(30)
        finally:
            party.stop()
    assert capture.heard()[phone, MEDIA_PORT].audio()
    judge(capture.path, [appliance.port])


def test_the_sample_is_of_the_corpus() -> None:
    assert len(ROWS) == len(SAMPLE)
    assert {row.keypad.kind for row in ROWS} == {"refused"}
