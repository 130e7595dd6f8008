"""A migration under load: the reference service goes from scans to queries while users ask it."""

import secrets
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

from perfkit.dynamodb import seeding
from perfkit.dynamodb.errors import answer_errors
from perfkit.dynamodb.index_work import Event as IndexEvent
from perfkit.dynamodb.index_work import WaitPolicy
from perfkit.dynamodb.retries import Backoff, RetryingConnection
from perfkit.dynamodb.targets import Target
from perfkit.embedded.errors import ThrottleError
from perfkit.errors import ConfigError, ThresholdError
from perfkit.load.stages import Stages
from perfkit.migrate import applying
from perfkit.migrate.journal import journals
from perfkit.migrate.planning import make_plan, sample_tables
from perfkit.migrate.preflight import Preflight
from perfkit.migrate.proposals import find_proposals
from perfkit.migrate.subjects import subjects_of
from perfkit.migrate.verify import Verification, verdict_on
from perfkit.processes.proxy import HaProxy, find_proxy
from perfkit.runs import now_utc
from perfkit.service.running import Plan as ServicePlan
from perfkit.service.settings import PHASES, ServiceSettings, Switches
from perfkit.units import format_count, format_many, format_seconds

if TYPE_CHECKING:
    from perfkit.load.reference_service import ServiceUnderTest
    from perfkit.migrate.plan import Plan
    from perfkit.runs import InstanceSample
    from perfkit.workloads.model import Workload

__all__ = [
    "Made",
    "Migration",
    "beside_limits",
    "check_proxy",
    "check_room",
    "doubt_of",
    "prepare",
    "service_plan",
]

_INSTANCES = 2
"""Of the service; as many take their place at each switch."""

_READ_UNITS, _WRITE_UNITS = 100, 50
"""What the bill of the reference document has provisioned, over all tables."""

_SAMPLE = 1000
_KEYS = 300
"""Keys that each pattern is asked with, both ways."""

_NEW = {1: "cache", 2: "indexes", 3: "all"}
"""What a phase adds, in a word for a marker."""

_BETWEEN_SHARE = 0.2
"""Of the pace: time between two steps, so that one can see what each of them does."""

_PARTITION_S = 0.2
"""In which a partition that refused has units again."""

_POLL_S = 0.1
_LONGEST_STAY_S = 60.0
"""Beyond the pace: a service that answers nothing is not waited for."""

_LEAVE_WITHIN_S = 15.0


def check_proxy(folder: Path) -> None:
    """
    Make sure that instances can be replaced without a failed request.

    Raises:
        ConfigError: haproxy is not installed.
    """
    if not isinstance(find_proxy(folder), HaProxy):
        msg = (
            "haproxy is not installed, and only behind it are instances replaced without a failed"
            " request; install it (apt install haproxy, brew install haproxy)"
        )
        raise ConfigError(msg)


def check_room(data: Path) -> None:
    """
    Make sure that tables of the demo's own can be made in a file.

    Raises:
        ConfigError: Something is there already.
    """
    target = Target(data=data)
    if target.may_exist or data.exists():
        msg = (
            f"{data} is there already, and the demo makes tables of its own; name a new file with"
            " --data, or leave it out"
        )
        raise ConfigError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """
    The tables of the demo.

    Args:
        tables: Their names.
        items: In all of them.
        units: Provisioned units of each, as `read_units` and `write_units`; empty on demand.
    """

    tables: tuple[str, ...]
    items: int
    units: Mapping[str, int]


def prepare(target: Target, workload: "Workload", scale: float) -> Made:
    """
    Make and fill the tables, without indexes.

    Where throughput is enforced they are provisioned, with what the reference document's bill has,
    and have no burst left, as after five minutes of a load that takes all there is.

    Raises:
        ConfigError: *scale* is out of range, or the file cannot be made.
        StorageFullError: No space left.
    """
    planned = seeding.plan(target, workload, scale=scale)
    outcome = seeding.seed(planned, processes=seeding.default_processes(planned.items))
    tables = tuple(each.name for each in outcome.tables)
    units: dict[str, int] = {}
    if target.enforce_throughput:
        units = {
            "read_units": ceil(_READ_UNITS / len(tables)),
            "write_units": ceil(_WRITE_UNITS / len(tables)),
        }
        _provision(target, tables, units)
        _use_up_burst(target, tables)
    return Made(tables=tables, items=sum(each.items for each in outcome.tables), units=units)


def _provision(target: Target, tables: Iterable[str], units: Mapping[str, int]) -> None:
    throughput = {
        "ReadCapacityUnits": units["read_units"],
        "WriteCapacityUnits": units["write_units"],
    }
    connection = target.connect()
    try:
        with answer_errors("provisioning the tables", target.name):
            for name in tables:
                connection.execute(
                    "UpdateTable",
                    {
                        "TableName": name,
                        "BillingMode": "PROVISIONED",
                        "ProvisionedThroughput": throughput,
                    },
                )
    finally:
        connection.close()


def _use_up_burst(target: Target, tables: Iterable[str]) -> None:
    """
    Read until the tables refuse.

    A partition refuses as well, beyond 3,000 units a second, and soon serves again; a table of so
    few units does not.
    """
    refusals = dict.fromkeys(tables, 0)
    connection = replace(target, latency=None).connect()
    try:
        with answer_errors("using up the burst", target.name):
            while left := [name for name, count in refusals.items() if count < 2]:
                for name in left:
                    try:
                        connection.execute("Scan", {"TableName": name, "Select": "COUNT"})
                        refusals[name] = 0
                    except ThrottleError:
                        refusals[name] += 1
                if any(refusals[name] for name in left):
                    time.sleep(_PARTITION_S)
    finally:
        connection.close()


def doubt_of(target: Target, made: Made) -> str:
    """Return what a reader must know where limits and delays of AWS are modelled; "" elsewhere."""
    modelled = target.condition().get("modelled")
    if not modelled:
        return ""
    text = f"modelled as on AWS: {', '.join(modelled)}"
    if made.units:
        text += (
            f"; each table has {made.units['read_units']} RCU and {made.units['write_units']} WCU,"
            f" its share of the {_READ_UNITS} and {_WRITE_UNITS} of the reference document's bill,"
            " and no burst of reads left at first; each index gets as many of its own; the migration"
            " itself reads beside these limits, as from an export"
        )
    return text


def service_plan(target: Target, workload: str) -> ServicePlan:
    """Return how the service is started, at phase 0."""
    settings = ServiceSettings(
        switches=Switches.of_phase(0),
        secret=secrets.token_urlsafe(48),
        target=target,
        workload=workload,
    )
    return ServicePlan(settings=settings, port=0, instances=_INSTANCES)


def beside_limits(target: Target) -> Target:
    """
    Return a target for what the migration itself reads.

    Behind a service that takes more than the tables have, a scan of a whole table would wait for
    the end of the load. So it reads as from an export, which takes no read capacity.
    """
    return replace(target, enforce_throughput=False, latency=None)


class _LeftError(Exception):
    """The migration is asked to end."""


class Migration:
    """
    Plans, checks, creates and verifies the indexes, and takes the service through its phases.

    It begins with the load, in a thread of its own, and ends it when it is done: to `run_load` it
    is one more sampler.

    Args:
        target: Where the tables are.
        workload: Whose indexes.
        service: At phase 0, behind haproxy.
        stages: Told what is done.
        folder: For the journal, and how far the check of the items is.
        users: How many ask it.
        pace_s: How long the service stays at each phase, at least.
    """

    samples: "tuple[InstanceSample, ...]" = ()
    """None: it looks at no instance."""

    def __init__(
        self,
        target: Target,
        workload: "Workload",
        service: "ServiceUnderTest",
        stages: Stages,
        *,
        folder: Path,
        users: int,
        pace_s: float,
    ) -> None:
        self._users = users
        self._target = beside_limits(target)
        self._workload = workload
        self._service = service
        self._stages = stages
        self._folder = folder
        self._pace_s = pace_s
        self._leaving = threading.Event()
        self.doing = ""
        """What is being done at the moment, in words."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.error: BaseException | None = None
        """Why it ended before its end."""

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the step that is under way at the latest."""
        self._leaving.set()
        if self._thread.ident is not None:
            self._thread.join(_LEAVE_WITHIN_S)

    def _run(self) -> None:
        try:
            self._migrate()
        except _LeftError:
            pass
        except BaseException as error:  # noqa: BLE001 - raised again by who waits
            self.error = error
        finally:
            self._stages.end()

    def _migrate(self) -> None:
        self._stages.enter("phase 0")
        self._stay("the service scans")
        plan = self._plan()
        self._check()
        self._create(plan)
        self._verify(plan)
        for phase in PHASES[1:]:
            self._switch(phase)
            self._stay(f"the service is at phase {phase}")

    def _stay(self, text: str) -> None:
        """Leave the service as it is, for longer where it has not answered each user once by then."""
        self._hold(text, self._pace_s)
        deadline_s = time.monotonic() + _LONGEST_STAY_S
        while self._stages.answered < self._users and time.monotonic() < deadline_s:
            self._pause(_POLL_S)

    def _hold(self, text: str, seconds: float) -> None:
        self.doing = text
        self._pause(seconds)

    def _pause(self, seconds: float) -> None:
        if self._leaving.wait(seconds):
            raise _LeftError

    @contextmanager
    def _step(self, text: str) -> Iterator[None]:
        """Do a step, and then nothing for a moment."""
        self.doing = text
        yield
        self._hold(f"{text}: done", self._pace_s * _BETWEEN_SHARE)

    # ---- indexes -------------------------------------------------------------------------

    def _plan(self) -> "Plan":
        with self._step("planning the indexes"):
            with RetryingConnection(
                self._target.connect(read_only=True), backoff=Backoff(pause=self._pause)
            ) as connection:
                self._proposals = find_proposals(connection, self._target, self._workload)
            plan = make_plan(
                self._target,
                self._workload,
                self._proposals,
                sample_tables(self._target, self._proposals, _SAMPLE),
                book=None,
                backfill_wcu=None,
                created_at=now_utc(),
            )
            count = sum(len(table.creations) for table in plan.tables)
            sampled = sum(table.sampled for table in plan.tables)
            self._stages.note(
                "planned",
                f"{format_many(count, 'index', 'indexes')} on"
                f" {format_many(len(plan.tables), 'table')}, from a sample of"
                f" {format_many(sampled, 'item')}",
            )
        return plan

    def _check(self) -> None:
        with self._step("checking every item for the indexes"):
            looking = Preflight(self._target, self._workload, self._proposals, folder=self._folder)
            try:
                found = looking.read_all()
            finally:
                looking.forget()
            totals = [each.tallies.total() for each in found]
            items, refused = (
                sum(getattr(each, what) for each in totals) for what in ("items", "refused")
            )
            if refused:
                msg = f"of {format_many(items, 'item')} the indexes would refuse {refused:,}"
                raise ThresholdError(msg)
            self._stages.note("checked", f"none of {format_many(items, 'item')} would be refused")

    def _create(self, plan: "Plan") -> None:
        names = [table.table for table in plan.tables]
        with self._step("creating the indexes"):

            def watch(event: IndexEvent) -> None:
                if self._leaving.is_set():
                    raise _LeftError
                if event.status == "CREATING":
                    share = "" if event.fraction is None else f", {event.fraction:.0%} copied"
                    self.doing = f"creating {event.index}{share}"

            with journals(self._target, names, "migrate demo", self._folder) as kept:
                ready = applying.check(self._target, plan)
                policy = WaitPolicy(watch=watch, pause=self._pause)
                changes = applying.apply(self._target, ready, kept, policy)
            self._stages.note(
                "created",
                f"{format_many(len(changes), 'index', 'indexes')}, while the tables stayed in use",
            )

    def _verify(self, plan: "Plan") -> None:
        with self._step("verifying the indexes"):
            with RetryingConnection(
                self._target.connect(read_only=True), backoff=Backoff(pause=self._pause)
            ) as connection:
                subjects = subjects_of(connection, self._target, self._workload, plan=plan)
            verification = Verification(self._target, keys=_KEYS, pause=self._pause)
            verified = [verification.compare(each) for each in subjects]
            found = [each for one in verified for each in one.findings]
            answers = [each for one in verified for each in one.answers]
            verdict = verdict_on(verified)
            error = None if verdict is None else verdict.to_error(verdict.reason)
            if error is not None:
                raise error
            entries = sum(each.entries for each in found)
            keys = sum(each.keys for each in answers)
            self._stages.note(
                "verified",
                f"{format_count(entries)} entries are as the tables have them,"
                f" {format_count(keys)} questions answered alike both ways",
            )

    # ---- phases --------------------------------------------------------------------------

    def _switch(self, phase: int) -> None:
        assert self._service.switch is not None  # noqa: S101 - started for this
        wanted, before = Switches.of_phase(phase), Switches.of_phase(phase - 1)
        self.doing = f"switching the service to phase {phase}"
        self._stages.enter("")
        began_s = self._stages.elapsed_s
        self._service.switch(wanted)
        took_s = self._stages.elapsed_s - began_s
        earlier = asdict(before)
        new = [name for name, on in asdict(wanted).items() if on and not earlier[name]]
        self._stages.note(
            f"phase {phase}: {_NEW[phase]}",
            f"{', '.join(new)} on; {_INSTANCES} instances replaced in {format_seconds(took_s)}",
        )
        self._stages.enter(f"phase {phase}")
