"""Telling phones by NOTIFY to fetch their files, to restart or to forget all, in waves, until each has come back.

A phone in a call, or one that an emergency centre may call back, is left alone until that is over.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from provisioner.edge.jobs import AWAY, MAX_FILES, Job, Row, State, Task, by_job, restored
from provisioner.errors import OperatorError, UsageError
from provisioner.phones import boot, waves
from provisioner.phones.notify import MODES, Dialects, Mode
from provisioner.sip.digest import Account
from provisioner.sip.headers import NameAddr, Uri
from provisioner.sip.message import Response
from provisioner.sip.timers import Timer

if TYPE_CHECKING:
    from provisioner.edge.directory import Station
    from provisioner.edge.edge import Edge
    from provisioner.edge.registrar import Binding

LOOK_SECONDS = 1.0
SPACING = 0.02  # seconds between two NOTIFYs: calls come first
SLICE = 100  # phones of a large job that are written down at once
PROBE_SECONDS = 5.0  # after an OPTIONS without an answer
JOB_SECONDS = 12 * 3600.0  # for phones that are in calls all the time
CALLBACK_SECONDS = 1800.0  # in which an emergency centre may call back
KEPT_JOBS = 20
_FETCHED = frozenset({200, 206, 304})
_IN_A_CALL = "It is in a call"
_CALLBACK = "An emergency centre may call it back"
_GROUP = "Others of its ring group are away"
_REFUSED = {
    401: "It did not accept the password of its own account",
    403: "It takes no such message from us",
    481: "It takes such messages within a subscription only",
    489: "It does not know this message",
}
_log = logging.getLogger(__name__)


class Resyncs:
    """All jobs. `heard` is to be told the front's requests while `running`, `registered` each registration."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge
        self.dialects = Dialects()
        self._jobs: dict[str, Job] = {}
        self._callbacks: dict[str, float] = {}
        self._timer: Timer | None = None
        self.seen = 0  # the journal's number of the last request that was looked at

    @property
    def running(self) -> list[Job]:
        """The jobs that are not over."""
        return [job for job in self._jobs.values() if job.open]

    @property
    def since(self) -> float:
        """From when on requests are of interest, in seconds since 1970."""
        return min((job.at for job in self.running), default=0.0)

    # jobs

    def start(self, macs: Sequence[str] | None, mode: str, who: str) -> Row:
        """Begin a job for `macs`, None for all phones; its view, and whom it leaves alone in `refused`.

        Those to be reset have been told when it returns. Raises ProvisionerError for what makes no sense.
        """
        if mode not in MODES:
            raise UsageError(f"there is no mode {mode!r}: use one of {', '.join(MODES)}")
        if mode == "reset" and macs is None:
            raise UsageError("name the phones that are to forget all: not all at once")
        phones = self._edge.directory.snapshot.phones
        chosen = list(phones) if macs is None else list(dict.fromkeys(macs))
        unknown = [mac for mac in chosen if mac not in phones]
        if unknown:
            raise OperatorError(f"{unknown[0]} is no phone of this practice", "look at the list of phones")
        under_way = {task.mac for job in self.running for task in job.tasks.values() if task.open}
        if twice := [mac for mac in chosen if mac in under_way]:
            raise OperatorError(f"{twice[0]} is in a job that is still running", "wait until that is over")
        if not chosen:
            raise OperatorError("there is no phone to tell", "adopt one first")
        job = self._begin(chosen, next(known for known in MODES if known == mode), who)
        return {**job.view(), "refused": [task.mac for task in job.tasks.values() if task.state == "refused"]}

    def _begin(self, macs: list[str], mode: Mode, who: str) -> Job:
        if not self.running:
            self.seen = 0
        phones = self._edge.directory.snapshot.phones
        job = Job(self._edge.new_id(), mode, who, self._edge.wall_clock())
        self._jobs[job.id] = job
        first = {mac: phones[mac].lines[0].extension if phones[mac].lines else "" for mac in macs}
        for mac in sorted(macs, key=lambda mac: (first[mac], mac)):
            order = self.dialects.order(phones[mac].vendor, phones[mac].model, mode)
            job.tasks[mac] = Task(mac, first[mac], order)
        there = self._there()
        for task in job.tasks.values():
            if not task.order.event:
                self._end(job, task, "by-hand", task.order.keys)
            elif task.mac not in there:
                self._end(job, task, "away", f"It is not registered. {task.order.keys}")
        self._plan(job, [mac for mac, task in job.tasks.items() if task.open])
        self._forget()
        self._look()
        return job

    def _plan(self, job: Job, macs: list[str]) -> None:
        done = max((task.wave for task in job.tasks.values()), default=0)
        job.waves = waves.plan(macs, self._groups(), waves.largest(len(macs)))
        if job.mode == "reset":
            job.waves = [macs]  # who asks for that stands beside them
        for number, wave in enumerate(job.waves, done + 1):
            for mac in wave:
                job.tasks[mac].wave = number
        planned = [job.tasks[mac] for wave in job.waves for mac in wave]
        for at in range(0, len(planned), SLICE):
            tell = partial(self._tell_all, job, planned[at : at + SLICE])
            self._edge.timers.after(at * SPACING / 10, tell)

    def _forget(self) -> None:
        """The oldest jobs that are over."""
        over = [job.id for job in self._jobs.values() if not job.open]
        for name in over[:-KEPT_JOBS]:
            del self._jobs[name]

    def status(self, name: str = "") -> Row:
        """All jobs; of the job `name` its phones too. Raises OperatorError when there is no such job."""
        if name and name not in self._jobs:
            raise OperatorError("there is no such job here", "older ones are in the journal, on the page")
        jobs = [self._jobs[name]] if name else list(self._jobs.values())
        phones = [job.row(task) for job in jobs for task in job.tasks.values()] if name else []
        return {"jobs": [job.view() for job in jobs], "phones": phones}

    def resume(self, rows: Iterable[Row]) -> None:
        """Go on after a restart with what the journal says of the last hours; what cannot go on is broken off."""
        for name, each in by_job(rows).items():
            job = Job(name, each[0]["mode"], str(each[0]["who"]), float(each[0]["at"]))
            for row in each:
                try:
                    job.tasks[row["mac"]] = self._restored(job, row)
                except (KeyError, TypeError, ValueError):
                    continue
            if not job.open:
                continue
            self._jobs[name] = job
            late = self._edge.wall_clock() - job.at > JOB_SECONDS
            for task in job.tasks.values():
                if task.state in ("planned", "busy", "due"):
                    self._resume(job, task, late or job.mode == "reset")
            self._plan(job, [mac for mac, task in job.tasks.items() if task.state == "planned"])
        if self.running:
            _log.info("jobs that were interrupted go on: %d", len(self.running))
            self._wake(0.0)

    def _restored(self, job: Job, row: Row) -> Task:
        phone = self._edge.directory.snapshot.phones.get(row["mac"])
        named = (phone.vendor, phone.model) if phone else ("", "")
        task = restored(row, self.dialects.order(*named, job.mode))
        passed = max(0.0, self._edge.wall_clock() - task.sent)
        now = self._edge.timers.clock()
        task.heard, task.deadline = now, now + max(task.order.patience - passed, 30.0)
        return task

    def _resume(self, job: Job, task: Task, too_late: bool) -> None:
        if too_late or task.mac not in self._edge.directory.snapshot.phones:
            self._end(
                job, task, "broken-off", "The appliance was restarted before this phone's turn. Begin again"
            )
        else:
            task.state = "planned"

    # what happens meanwhile

    def heard(self, rows: Iterable[Row]) -> None:
        """What phones asked the front for: rows of the journal's `requests`, oldest first."""
        away = {task.mac: (job, task) for job in self.running for task in job.away if task.sent}
        for row in rows:
            self.seen = max(self.seen, int(row["id"]))
            job, task = away.get(str(row["mac"]), (None, None))
            if job is None or task is None or row["at"] < task.sent or row["status"] not in _FETCHED:
                continue
            asked = boot.file_asked(str(row["path"]))
            known = [name_and_time[:2] for name_and_time in task.files]
            if asked is None or asked.mac != task.mac or [asked.name, row["at"]] in known:
                continue
            file = [asked.name, row["at"], row["status"], self._edge.directory.snapshot.revision]
            task.files = [*task.files, file][-MAX_FILES:]
            task.heard, task.alive, task.state, task.note = self._edge.timers.clock(), False, "fetched", ""
            self._tell(job, task)

    def registered(self, binding: Binding, mac: str) -> None:
        """A phone has registered, or refreshed its registration."""
        for job in self.running:
            task = job.tasks.get(mac)
            if task and task.state in AWAY and task.sent:
                task.registered = self._edge.wall_clock()
                task.anew = task.anew or binding.call_id != task.call_id

    def emergency(self, mac: str, at: float) -> None:
        """This phone called an emergency centre at `at` (since 1970), or still does: it may be called back."""
        self._callbacks[mac] = max(at, self._callbacks.get(mac, 0.0))

    def _wake(self, seconds: float) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._edge.timers.after(seconds, self._look)

    def _look(self) -> None:
        """See who has come back and who will not, and go on with the next."""
        for job in self.running:
            for task in job.away:
                if task.sent:
                    self._check(job, task)
            self._advance(job)
        if self.running:
            self._wake(LOOK_SECONDS)

    def _check(self, job: Job, task: Task) -> None:
        now = self._edge.timers.clock()
        if task.mac not in self._edge.directory.snapshot.phones:
            self._end(job, task, "broken-off", "It was retired")
        elif task.back:
            self._end(job, task, "back", "")
        elif now >= task.deadline:
            self._end(job, task, "lost", task.missing())
        elif task.files and now >= task.heard + task.order.settle_seconds and now >= task.probe:
            self._probe(task)

    def _probe(self, task: Task) -> None:
        """Ask whether it is there, a while after its last file: it may have restarted, or not."""
        found = self._binding(task.mac)
        if found is None or task.order.reboots == "always":
            return
        asked = task.heard

        def answered(response: Response | None) -> None:
            task.probe = self._edge.timers.clock() + PROBE_SECONDS
            if response is not None and task.heard == asked:
                task.alive = True

        task.probe = float("inf")
        self._request("OPTIONS", found, [], answered)

    # waves

    def _advance(self, job: Job) -> None:
        """The next wave when all of the last one have come back or are given up."""
        while not job.away:
            if not job.waves:
                self._again(job)
            if not job.waves:
                return
            reasons = self._reasons()
            sent = 0
            for task in (job.tasks[mac] for mac in job.waves.pop(0)):
                delay = 0.0 if job.mode == "reset" else sent * SPACING
                sent += self._take(job, task, self._left_alone(job, reasons(task.mac)), delay)

    def _left_alone(self, job: Job, why_not: str) -> str:
        return "" if job.mode == "reset" and why_not == _GROUP else why_not

    def _again(self, job: Job) -> None:
        """Who was busy when its turn came, and is not any more."""
        busy = [task for task in job.tasks.values() if task.state == "busy"]
        reasons = self._reasons()
        if self._edge.wall_clock() - job.at > JOB_SECONDS:
            for task in busy:
                self._end(
                    job, task, "broken-off", f"{task.note}, and was all day. Begin again in the evening"
                )
        elif free := [task.mac for task in busy if not reasons(task.mac)]:
            self._plan(job, free)

    def _take(self, job: Job, task: Task, why_not: str, delay: float) -> bool:
        """Tell a phone now, or find why not; True when it will be told."""
        if not why_not:
            task.state, task.note = "due", ""
            if delay:
                self._edge.timers.after(delay, lambda: self._send(job, task))
            else:
                self._send(job, task)
        elif job.mode == "reset":
            self._end(job, task, "refused", f"{why_not}. Begin again when that is over")
        elif (task.state, task.note) != ("busy", why_not):
            task.state, task.note = "busy", why_not
            self._tell(job, task)
        return not why_not

    def _reasons(self) -> Any:
        """A function: why the phone with this MAC is to be left alone now, "" when it is not."""
        edge = self._edge
        in_call = {leg.extension for leg in edge.media_owners.values()}
        groups = self._groups()
        member_of = waves.groups_of(groups)
        away = Counter(
            name for job in self.running for task in job.away for name in member_of.get(task.mac, ())
        )

        def why_not(mac: str) -> str:
            phone = edge.directory.snapshot.phones.get(mac)
            mine = member_of.get(mac, ())
            if phone and any(line.extension in in_call for line in phone.lines):
                return _IN_A_CALL
            if edge.wall_clock() - self._callbacks.get(mac, float("-inf")) < CALLBACK_SECONDS:
                return _CALLBACK
            if waves.full(mine, groups, away):
                return _GROUP
            away.update(mine)
            return ""

        return why_not

    def _there(self) -> set[str]:
        """The phones that are registered."""
        stations = self._edge.directory.stations
        return {
            stations[binding.extension].phone.id
            for binding in self._edge.registrar.all()
            if binding.extension in stations
        }

    def _groups(self) -> dict[str, frozenset[str]]:
        return waves.ring_groups(self._edge.directory.snapshot, self._there())

    # the wire

    def _binding(self, mac: str) -> tuple[Binding, Station] | None:
        """Where a phone is reached: the last contact of its first line that has one."""
        phone = self._edge.directory.snapshot.phones.get(mac)
        for line in phone.lines if phone else ():
            if contacts := self._edge.registrar.contacts(line.extension):
                return contacts[-1], self._edge.directory.stations[line.extension]
        return None

    def _send(self, job: Job, task: Task) -> None:
        """NOTIFY to the contact that is registered (RFC 3261 8.1, outside any dialog)."""
        found = self._binding(task.mac)
        if found is None:
            self._end(job, task, "away", f"It is not registered any more. {task.order.keys}")
            return
        if why_not := self._called_meanwhile(task.mac):
            self._take(job, task, why_not, 0.0)
            return
        task.call_id = found[0].call_id
        task.state, task.sent = "sent", self._edge.wall_clock()
        task.deadline = self._edge.timers.clock() + task.order.patience
        headers = [("event", task.order.event), ("subscription-state", "terminated")]
        self._request("NOTIFY", found, headers, lambda response: self._answered(job, task, response))
        self._tell(job, task)

    def _called_meanwhile(self, mac: str) -> str:
        """A call may have come since its wave began."""
        phone = self._edge.directory.snapshot.phones[mac]
        busy = {leg.extension for leg in self._edge.media_owners.values()}
        return _IN_A_CALL if any(line.extension in busy for line in phone.lines) else ""

    def _request(self, method: str, found: tuple[Binding, Station], headers: Any, answered: Any) -> None:
        binding, station = found
        agent = self._edge.agent
        me = NameAddr(Uri("sip", binding.flow.local[0], self._edge.port, binding.extension))
        headers = [*headers, ("contact", agent.contact(binding.flow))]
        request = agent.new_request(method, binding.contact, me, me, headers)
        secret = station.credential
        account = Account(secret.auth_user, secret.password) if secret else None

        def final(response: Response | None) -> None:
            if response is None or response.status >= 200:
                answered(response)

        agent.request(request, binding.flow, final, account)

    def _answered(self, job: Job, task: Task, response: Response | None) -> None:
        """What came of the NOTIFY; a phone that restarts at once may never say."""
        if not task.open:
            return
        if response is None:
            task.note = "It has not answered yet"
        else:
            task.status = response.status
        if response is not None and response.status >= 300 and not task.files:
            what = _REFUSED.get(response.status, f"It refused: {response.status}")
            self._end(job, task, "refused", f"{what}. {task.order.keys}")
        else:
            self._tell(job, task)

    # telling

    def _end(self, job: Job, task: Task, state: State, note: str) -> None:
        task.state, task.note = state, note
        self._tell(job, task)
        self._edge.count(f"resync-{state}")

    def _tell_all(self, job: Job, tasks: list[Task]) -> None:
        for task in tasks:
            self._tell(job, task)

    def _tell(self, job: Job, task: Task) -> None:
        row = job.row(task)
        self._edge.record("resyncs", row)
        self._edge.publish("resync", row)
