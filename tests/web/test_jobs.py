"""Long work: progress, cancelling, ends of every kind, restarts, and its pages and API."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from web_practice import NOW, text_of

from provisioner.errors import OperatorError, ProvisionerError
from provisioner.web.jobs import KEPT, KEPT_SECONDS, Jobs, Progress


class Held:
    """Work that goes on when it is told to."""

    def __init__(self) -> None:
        self.go, self.at = threading.Event(), threading.Event()

    def __call__(self, progress: Progress) -> dict[str, Any]:
        progress(3, 10, "Counts sheep")
        self.at.set()
        assert self.go.wait(5)
        progress(4, 10)
        return {"sheep": 10}


@pytest.fixture
def held() -> Iterator[Held]:
    work = Held()
    yield work
    work.go.set()


@pytest.fixture
def jobs(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path / "jobs", lambda: NOW)


def test_progress_and_result(jobs: Jobs, held: Held) -> None:
    job = jobs.begin("import", "ann", held)
    assert held.at.wait(5)
    now = jobs.get(job.id)
    assert now
    assert (now.state, now.done, now.total, now.what, now.who) == ("running", 3, 10, "Counts sheep", "ann")
    held.go.set()
    ended = jobs.wait(job.id, 5)
    assert ended
    assert (ended.state, ended.done, ended.result, ended.ended) == ("done", 4, {"sheep": 10}, NOW)


def test_one_of_a_kind_at_a_time(jobs: Jobs, held: Held) -> None:
    jobs.begin("import", "ann", held)
    with pytest.raises(OperatorError, match="under way already"):
        jobs.begin("import", "ben", held)
    other = jobs.begin("backup", "ben", lambda _: {})
    assert jobs.wait(other.id, 5).state == "done"  # type: ignore[union-attr]


def test_cancelled_at_its_next_step(jobs: Jobs, held: Held) -> None:
    job = jobs.begin("import", "ann", held)
    assert held.at.wait(5)
    assert jobs.cancel(job.id)
    held.go.set()
    assert jobs.wait(job.id, 5).state == "cancelled"  # type: ignore[union-attr]
    assert not jobs.cancel(job.id)


def test_past_the_point_it_cannot_be_cancelled(jobs: Jobs) -> None:
    at, go = threading.Event(), threading.Event()

    def work(progress: Progress) -> dict[str, Any]:
        progress.final("Writes")
        at.set()
        assert go.wait(5)
        progress(1, 1)
        return {}

    job = jobs.begin("import", "ann", work)
    assert at.wait(5)
    assert not jobs.cancel(job.id)
    go.set()
    assert jobs.wait(job.id, 5).state == "done"  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ProvisionerError("line 3: no such model"), "line 3: no such model"),
        (OSError(28, "No space left on device"), "No space left on device: free space"),
        (ZeroDivisionError("secret"), "Something went wrong here; the details are in the appliance's log"),
    ],
)
def test_failure_is_one_line(jobs: Jobs, error: Exception, said: str) -> None:
    def work(_: Progress) -> dict[str, Any]:
        raise error

    ended = jobs.wait(jobs.begin("import", "ann", work).id, 5)
    assert ended
    assert ended.state == "failed"
    assert ended.error.startswith(said)


def test_restart_breaks_off_what_was_open_and_keeps_the_rest(tmp_path: Path, jobs: Jobs, held: Held) -> None:
    done = jobs.begin("backup", "ann", lambda _: {"bytes": 7})
    assert jobs.wait(done.id, 5)
    open_one = jobs.begin("import", "ann", held)
    (tmp_path / "jobs" / "junk.json").write_text("{")
    after = Jobs(tmp_path / "jobs", lambda: NOW + 5)
    states = {job.id: (job.state, job.result, job.ended) for job in after.all()}
    assert states == {
        done.id: ("done", {"bytes": 7}, NOW),
        open_one.id: ("broken-off", {}, NOW + 5),
    }
    again = Jobs(tmp_path / "jobs", lambda: NOW + 9).get(open_one.id)
    assert again
    assert again.ended == NOW + 5


def test_old_ones_go(tmp_path: Path) -> None:
    clock = [NOW]
    jobs = Jobs(tmp_path / "jobs", lambda: clock[0])
    for _ in range(KEPT + 2):
        clock[0] += 1
        jobs.wait(jobs.begin("import", "ann", lambda _: {}).id, 5)
    assert len(jobs.all()) == KEPT
    clock[0] += KEPT_SECONDS
    assert [job.at for job in jobs.all()] == [NOW + KEPT + 2]
    assert len(list((tmp_path / "jobs").iterdir())) == 1


def test_begins_nothing_that_cannot_be_kept(tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("in the way")
    jobs = Jobs(tmp_path / "jobs", lambda: NOW)
    with pytest.raises(OperatorError, match="cannot be kept"):
        jobs.begin("import", "ann", lambda _: {})
    assert jobs.all() == []


def test_page_shows_how_far_it_is_and_asks_again_until_the_end(
    app: Flask, staff: FlaskClient, csrf: str, held: Held
) -> None:
    job = app.extensions["provisioner.jobs"].begin("import", "ann", held)
    assert held.at.wait(5)
    page = staff.get(f"/staff/tasks/{job.id}").get_data(as_text=True)
    assert '<progress id="bar" value="3" max="10">' in page
    assert '<label for="bar">' in page
    assert '<p id="work-said" role="status">Counts sheep</p>' in page
    part = staff.get(f"/staff/tasks/{job.id}/part").get_data(as_text=True)
    assert f'hx-get="/staff/tasks/{job.id}/part"' in part
    assert '<progress aria-label="Counts sheep" value="3" max="10">' in staff.get("/staff/tasks").text
    held.go.set()
    assert app.extensions["provisioner.jobs"].wait(job.id, 5)
    job.result |= {"new": 2, "change": 1}
    part = staff.get(f"/staff/tasks/{job.id}/part").get_data(as_text=True)
    assert "hx-get" not in part
    assert "2 new phones. 1 phone changed." in part
    assert staff.get("/staff/tasks/none").status_code == 404


def test_cancel_on_the_page_and_by_api(app: Flask, staff: FlaskClient, api: FlaskClient, csrf: str) -> None:
    jobs = app.extensions["provisioner.jobs"]
    for by_page in (True, False):
        work = Held()
        job = jobs.begin("import", "ann", work)
        assert work.at.wait(5)
        if by_page:
            answer = staff.post(f"/staff/tasks/{job.id}/cancel", data={"csrf": csrf})
            assert answer.location == f"/staff/tasks/{job.id}"
        else:
            assert api.delete(f"/api/v1/jobs/{job.id}").status_code == 202
        work.go.set()
        assert jobs.wait(job.id, 5).state == "cancelled"
        assert "Nothing was changed" in text_of(staff.get(f"/staff/tasks/{job.id}"))
    assert api.delete(f"/api/v1/jobs/{job.id}").status_code == 409
    listed = api.get("/api/v1/jobs").json["items"]
    assert {row["state"] for row in listed} == {"cancelled"}
    assert api.get(f"/api/v1/jobs/{job.id}").json["who"] == "ann"
    assert api.get("/api/v1/jobs/none").status_code == 404
