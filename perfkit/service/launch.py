"""A service in the background: started, found again, looked at, stopped."""

import contextlib
import fcntl
import hmac
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from threading import Event, Thread
from typing import Any
from urllib.parse import urlsplit

from perfkit.cache.address import without_password
from perfkit.dynamodb.limits import Limits, Meter, meter_of
from perfkit.dynamodb.targets import Target
from perfkit.errors import ConfigError, LimitReachedError, PerfkitError, TargetError
from perfkit.files import write_private
from perfkit.processes import redis_server
from perfkit.processes.http import ask
from perfkit.processes.supervisor import born, is_running
from perfkit.service.running import DEFAULT_PORT, Instance, Plan, RunningService
from perfkit.service.settings import ServiceSettings, Switches
from perfkit.service.store import COURSES, ENROLLMENTS, USERS, check_workload
from perfkit.settings import FOLDER
from perfkit.workloads.model import Workload

__all__ = ["Running", "check_tables", "down", "find", "health", "read_secret", "serve", "up"]

_SUBFOLDER = "service"
_STATE = "state.json"
_SECRET = "secret"  # noqa: S105 - the name of a file
_LOG = "service.log"
_LOCK = "lock"
_ORDER = "switch.json"
_OUTCOME = "switched"

_UP_S = 90.0
_DOWN_S = 30.0
_POLL_S = 0.1
_LIMIT_POLL_S = 0.5
_ANSWER_S = 3.0
_PLAN_VARIABLE = "PERFKIT_SERVICE_PLAN"
_ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


# ---- before the start --------------------------------------------------------------------


def read_secret(folder: Path) -> str:
    """
    Return the key of the folder's tokens, made when it is first asked for.

    It is kept so that a token outlives the service it was printed by.
    """
    file = folder / _SUBFOLDER / _SECRET
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as new:
            new.write(secrets.token_urlsafe(48))
    except FileExistsError:
        pass
    return file.read_text()


def check_tables(target: Target, workload: Workload, switches: Switches) -> None:
    """
    Make sure that there is something to serve, and that what the service writes to is perfkit's.

    Raises:
        ConfigError: The workload is another than the service serves, or the table of enrollments
            is somebody else's.
        TargetError: Tables are missing or empty, or indexes that the switches want.
    """
    from perfkit.dynamodb.errors import answer_errors
    from perfkit.dynamodb.ownership import Ownership, not_ours
    from perfkit.dynamodb.retries import RetryingConnection
    from perfkit.dynamodb.tables import describe

    check_workload(workload)
    names = (COURSES, ENROLLMENTS, USERS)
    if not target.may_exist:
        msg = f"there are no tables on {target.name}; create and fill them with `perfkit seed`"
        raise TargetError(msg)
    with (
        RetryingConnection(target.connect()) as connection,
        answer_errors("looking at the tables", target.name),
    ):
        states = {name: describe(connection, name) for name in names}
        written = states[ENROLLMENTS]
        if written is not None and Ownership(target).mark_of(connection, written) is None:
            raise not_ours([ENROLLMENTS], target.name)
        empty = [
            name
            for name, state in states.items()
            if state is not None
            and not connection.execute("Scan", {"TableName": name, "Limit": 1})["Items"]
        ]
    missing = [name for name, state in states.items() if state is None]
    if missing:
        msg = f"{target.name} has no table {', '.join(missing)}; create them with `perfkit seed`"
        raise TargetError(msg)
    if empty:
        msg = f"nothing is in {', '.join(empty)} on {target.name}; fill them with `perfkit seed`"
        raise TargetError(msg)
    if not switches.indexes:
        return
    ready = {
        index.name
        for state in states.values()
        if state is not None
        for index in state.indexes
        if index.status == "ACTIVE"
    }
    wanted = [index.name for name in names for index in workload.table(name).indexes]
    unready = [name for name in wanted if name not in ready]
    if unready:
        msg = (
            f"{target.name} has no ready index {', '.join(unready)}; create them with"
            " `perfkit create-indexes`, or do without them: `perfkit serve --no-indexes`"
        )
        raise TargetError(msg)


# ---- in the foreground -------------------------------------------------------------------


def _nothing(_: RunningService) -> None:
    """Do nothing."""


def serve(
    plan: Plan,
    *,
    started: Callable[[RunningService], None],
    restarted: Callable[[RunningService], None] = _nothing,
    meanwhile: Callable[[RunningService], None] = _nothing,
) -> None:
    """
    Run a service until SIGTERM or Ctrl-C.

    Args:
        plan: What to run.
        started: Called once it takes requests.
        restarted: Called when one of its processes has been started again.
        meanwhile: Called several times a second.

    Raises:
        ConfigError: The address cannot be listened on.
        TargetError: A process or a server does not start.
        LimitReachedError: What a request asks for would pass --max-cost; the service has ended.
    """
    stop = Event()
    for number in _ENDING:
        # while it starts: what was started is ended on the way out
        signal.signal(number, signal.default_int_handler)
    running = RunningService(plan)
    try:
        running.start()
        # from here on there is something to end in good order
        for number in _ENDING:
            signal.signal(number, lambda *_: stop.set())
        started(running)
        limits = plan.settings.target.limits
        meter = None if limits is None else meter_of(limits)
        if meter is not None:
            Thread(target=_stop_at_limit, args=(meter, stop), daemon=True).start()
        running.run(
            stop, meanwhile=lambda: meanwhile(running), restarted=lambda: restarted(running)
        )
        if meter is not None:
            meter.check()
    finally:
        running.stop()


def _stop_at_limit(meter: Meter, stop: Event) -> None:
    """Set *stop* when a call of one of the service's processes was not sent."""
    while not stop.wait(_LIMIT_POLL_S):
        try:
            meter.check()
        except LimitReachedError:
            stop.set()


# ---- in the background -------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """
    A service in the background.

    Args:
        pid: Its supervisor.
        born: When that was started, in seconds since 1970: another process that has come by
            the same number was not.
        url: Where it is: the proxy, or else the first instance.
        pids: Its processes.
        switches: Its optimisations.
        queue_url: The server of its queue, without a password; None if that is the folder's own,
            or there is none.
        instances: Those that answer, as they are now: what is started again is another process.
        proxy: The name of the proxy in front of them; None if there is none.
        servers: Tells its servers from others.
        target: Where its tables are, and what is modelled there, as runs say it.
    """

    pid: int
    born: float
    url: str
    pids: list[int]
    switches: dict[str, bool]
    queue_url: str | None = None
    instances: list[Instance] = field(default_factory=list)
    proxy: str | None = None
    servers: str = ""
    target: dict[str, Any] = field(default_factory=dict)

    @property
    def urls(self) -> list[str]:
        """Where requests are to be sent: the proxy, or else every instance."""
        if self.proxy is not None or not self.instances:
            return [self.url]
        return [instance.url for instance in self.instances]


def _state_file(folder: Path) -> Path:
    return folder / _SUBFOLDER / _STATE


def find(folder: Path = FOLDER) -> Running | None:
    """Return the service that is running in the background of *folder*, None if none is."""
    try:
        content = json.loads(_state_file(folder).read_text())
        instances = [Instance(**each) for each in content.pop("instances", ())]
        running = Running(**content, instances=instances)
    except (OSError, ValueError, TypeError, AttributeError):
        return None
    return running if is_running(running.pid, running.born) else None


def up(plan: Plan) -> Running:
    """
    Start a service in the background and wait until it works.

    What was started is ended if this is interrupted. Where instances run behind haproxy already,
    and instances are asked for, those are replaced, and no request fails of it.

    Raises:
        ConfigError: Those that run are to be replaced, and have other servers or limits.
        TargetError: One is running already or being started, or it does not start.
    """
    folder = plan.settings.folder
    (folder / _SUBFOLDER).mkdir(parents=True, exist_ok=True)
    # the service holds the lock as long as it lives; here it is only handed on
    with (folder / _SUBFOLDER / _LOCK).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            running = find(folder)
            if running is not None and running.proxy is not None and plan.instances is not None:
                return _switch(plan, running)
            where = "being started" if running is None else f"up at {running.url}"
            msg = f"a service is {where}; stop it first with `perfkit down`"
            raise TargetError(msg) from error
        _state_file(folder).unlink(missing_ok=True)
        log = folder / _SUBFOLDER / _LOG
        # a byte hands the service over; until then it ends when nobody holds the other end
        life, hold = os.pipe()
        try:
            with log.open("wb") as output:
                process = subprocess.Popen(  # noqa: S603 - this very program
                    [sys.executable, "-m", "perfkit.service.launch", str(life)],
                    env={
                        **os.environ,
                        **plan.settings.to_environment(),
                        _PLAN_VARIABLE: json.dumps(_options(plan)),
                    },
                    pass_fds=(lock.fileno(), life),
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    start_new_session=True,
                )
            # for `down`, while there is no more to tell
            lock.truncate(0)
            lock.write(str(process.pid))
            lock.flush()
            running = _await_running(process, folder, log)
            os.write(hold, b"k")
        finally:
            os.close(life)
            os.close(hold)
    return running


def _switch(plan: Plan, running: Running) -> Running:
    """Have the instances that run replaced, and wait until they are."""
    folder = plan.settings.folder
    _check_same(plan, running)
    order, outcome = (folder / _SUBFOLDER / name for name in (_ORDER, _OUTCOME))
    wanted = {
        "switches": asdict(plan.settings.switches),
        "instances": plan.instances,
        "workers": plan.workers,
    }
    unfinished = order.with_name(f"{_ORDER}.{os.getpid()}")
    write_private(unfinished, json.dumps(wanted))
    try:
        # of two at once, one
        os.link(unfinished, order)
    except FileExistsError as error:
        msg = f"the instances at {running.url} are being replaced; wait until they are"
        raise TargetError(msg) from error
    finally:
        unfinished.unlink()
    while order.exists():
        if not is_running(running.pid, running.born):
            order.unlink(missing_ok=True)
            msg = f"the service ended meanwhile; see {folder / _SUBFOLDER / _LOG}"
            raise TargetError(msg)
        time.sleep(_POLL_S)
    refused = outcome.read_text()
    outcome.unlink()
    if refused:
        msg = f"the instances go on as they were: {refused}"
        raise TargetError(msg)
    return find(folder) or running


def _check_same(plan: Plan, running: Running) -> None:
    """
    Make sure that all but switches, instances and workers stays as it is.

    Raises:
        ConfigError: Something does not.
    """
    if plan.settings.target.limits is not None:
        msg = "limits hold from the start of a service: stop it first with `perfkit down`"
        raise ConfigError(msg)
    at = urlsplit(running.url)
    if plan.host != at.hostname or plan.port not in {0, at.port, DEFAULT_PORT}:
        msg = f"a service is up at {running.url}, and its instances are replaced there only"
        raise ConfigError(msg)
    if _servers_of(plan.settings) != running.servers:
        msg = (
            f"the service at {running.url} has another target, workload, Redis or mail server;"
            " stop it first with `perfkit down`"
        )
        raise ConfigError(msg)


def _servers_of(settings: ServiceSettings) -> str:
    """Return what tells one set of servers from another, and nothing about them."""
    same = replace(
        settings,
        switches=Switches(),
        target=replace(settings.target, data=settings.target.data.absolute(), limits=None),
    )
    return hmac.digest(settings.secret.encode(), repr(same).encode(), "sha256").hex()


def _carry_out(service: RunningService, tell: Callable[[RunningService], None]) -> None:
    """Replace the instances if that is asked for."""
    plan = service.plan
    order, outcome = (plan.settings.folder / _SUBFOLDER / name for name in (_ORDER, _OUTCOME))
    if not order.exists():
        return
    refused = ""
    try:
        wanted = json.loads(order.read_text())
        switches = Switches(**wanted["switches"])
        service.switch(
            replace(
                plan,
                settings=replace(plan.settings, switches=switches),
                instances=wanted["instances"],
                workers=wanted["workers"],
                deliver=switches.needs_queue,
            )
        )
        tell(service)
    except PerfkitError as error:
        refused = str(error)
    except (ValueError, KeyError, TypeError) as error:
        refused = f"it was not said what to replace them with ({error!r})"
    outcome.write_text(refused)
    order.unlink()


def _options(plan: Plan) -> dict[str, Any]:
    """Return what there is to say of a plan beside its settings."""
    return {
        "host": plan.host,
        "port": plan.port,
        "workers": plan.workers,
        "instances": plan.instances,
    }


def _await_running(process: "subprocess.Popen[bytes]", folder: Path, log: Path) -> Running:
    deadline_s = time.monotonic() + _UP_S
    while time.monotonic() < deadline_s:
        running = find(folder)
        if running is not None:
            return running
        if process.poll() is not None:
            lines = log.read_text(errors="replace").strip().splitlines() or ["it wrote nothing"]
            msg = f"the service ended at once: {lines[-1].removeprefix('Error: ')}; see {log}"
            raise TargetError(msg)
        time.sleep(_POLL_S)
    msg = f"the service is not ready after {_UP_S:g} s; see {log}"
    raise TargetError(msg)


def _holder(folder: Path) -> int | None:
    """Return the process that holds the folder's lock: a service, working or starting."""
    with contextlib.suppress(OSError, ValueError), (folder / _SUBFOLDER / _LOCK).open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(lock.read())
    return None


def down(folder: Path = FOLDER) -> list[str]:
    """
    Stop what runs in the background of *folder*: the service, its workers, the servers.

    A cache server that another process started, and which that one ends, is left alone.

    Returns:
        What was stopped; empty if nothing was running.

    Raises:
        TargetError: Something cannot be stopped.
    """
    stopped = []
    pid = _holder(folder)
    if pid is not None:
        running = find(folder)
        os.kill(pid, signal.SIGTERM)
        deadline_s = time.monotonic() + _DOWN_S
        while _holder(folder) == pid:
            if time.monotonic() > deadline_s:
                msg = f"the service (process {pid}) does not end; end it by hand"
                raise TargetError(msg)
            time.sleep(_POLL_S)
        stopped.append("service" + ("" if running is None else f" at {running.url}"))
    _state_file(folder).unlink(missing_ok=True)
    left = redis_server.find(folder)
    # one that does not answer is of no use to its owner either
    if left is not None and not (left.has_owner and left.answers):
        left.stop()
        stopped.append("cache server")
    return stopped


def health(folder: Path = FOLDER) -> dict[str, Any]:
    """
    Return how the background service of *folder* is.

    Returns:
        `{"state": "down"}`; or `"state": "up"` or `"failing"`, with its `url`, `pid`,
        `switches`, its `log`, `checks` by the name of what it depends on, the name of its `proxy`
        or None, and of each of its `instances` the `name`, `url`, `pids` and `state`.
    """
    running = find(folder)
    if running is None:
        return {"state": "down"}
    found: dict[str, Any] = {
        "state": "failing",
        "url": running.url,
        "pid": running.pid,
        "switches": running.switches,
        "log": str(folder / _SUBFOLDER / _LOG),
        "checks": {},
        "proxy": running.proxy,
        "instances": [],
    }
    report = _ask_health(running.url)
    if report is not None:
        found["checks"] = report["checks"]
        found["state"] = _state_of(report)
    for instance in running.instances:
        # behind no proxy the first is the service
        own = report if instance.url == running.url else _ask_health(instance.url)
        found["instances"].append(asdict(instance) | {"state": _state_of(own)})
    return found


def _ask_health(url: str) -> dict[str, Any] | None:
    """Return what a service says of itself; None if it says nothing."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        answer = ask(f"{url}/healthz", timeout_s=_ANSWER_S)
        report: dict[str, Any] = json.loads(answer.body)
        if answer.status == 200 and isinstance(report["checks"], dict) and report["status"]:
            return report
    return None


def _state_of(report: dict[str, Any] | None) -> str:
    return "up" if report is not None and report["status"] == "ok" else "failing"


def _rates(limits: Limits) -> dict[str, Any]:
    content = asdict(limits)
    del content["file"]
    return content


def _end_unless_handed_over(life: int) -> None:
    if not os.read(life, 1):
        os.kill(os.getpid(), signal.SIGTERM)


def _run_in_background() -> None:
    """What the process that `up` starts does."""
    import logging

    logging.basicConfig(format="%(asctime)s %(process)d %(levelname)s %(message)s")
    Thread(target=_end_unless_handed_over, args=(int(sys.argv[1]),), daemon=True).start()
    settings = ServiceSettings.from_environment()
    if settings.target.limits is not None:
        # the file of those that came along goes with the process that began them
        limits = Limits.start(**_rates(settings.target.limits))
        settings = replace(settings, target=replace(settings.target, limits=limits))
    options = json.loads(os.environ[_PLAN_VARIABLE])
    plan = Plan(settings=settings, deliver=settings.switches.needs_queue, **options)
    file = _state_file(settings.folder)
    target = settings.target.condition()

    def tell(service: RunningService) -> None:
        switches = service.plan.settings.switches
        queue = settings.redis_url if switches.needs_queue else None
        state = Running(
            pid=os.getpid(),
            born=born(os.getpid()) or 0.0,
            url=service.url,
            pids=service.pids,
            switches=asdict(switches),
            queue_url=None if queue is None else without_password(queue),
            instances=service.instances,
            proxy=service.proxy,
            servers=_servers_of(settings),
            target=target,
        )
        write_private(file, json.dumps(asdict(state)), replace=True)

    def tell_again(service: RunningService) -> None:
        try:
            tell(service)
        except PerfkitError as error:
            # a full disk is no reason to end what answers requests
            logging.getLogger("perfkit.service").warning("what runs cannot be told: %s", error)

    try:
        serve(
            plan,
            started=tell,
            restarted=tell_again,
            meanwhile=lambda service: _carry_out(service, tell_again),
        )
    except PerfkitError as error:
        sys.exit(f"Error: {error}")
    except KeyboardInterrupt:
        sys.exit("Error: it was ended while it started")
    finally:
        for each in (file, file.with_name(_ORDER), file.with_name(_OUTCOME)):
            each.unlink(missing_ok=True)


if __name__ == "__main__":
    _run_in_background()
