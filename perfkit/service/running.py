"""A service as processes: its instances, a proxy, the mail worker, the cache server, a mail sink."""

import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Event

from perfkit.errors import TargetError
from perfkit.processes import redis_server
from perfkit.processes.proxy import HaProxy, Proxy, find_proxy
from perfkit.processes.sockets import bind, kept_free, url_at, url_of
from perfkit.processes.supervisor import Program, Supervisor, born
from perfkit.service.settings import ServiceSettings

__all__ = ["DEFAULT_PORT", "Instance", "Plan", "RunningService"]

# elsewhere all connections would go to one of the sockets: there the workers share one
_SHARES = sys.platform == "linux"

DEFAULT_PORT = 8080

_MODULE = "perfkit.service.process"
_LOCAL = "127.0.0.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What to run.

    Args:
        settings: For the workers; the URLs they lack are filled in when servers were started.
        host: Address to listen on.
        port: 0 takes a free one.
        workers: Processes of an instance that answer requests.
        instances: How many there are, with a proxy in front if one is installed, else on ports
            one after the other; None is one, without a proxy.
        deliver: Also run a worker that delivers what is queued.
    """

    settings: ServiceSettings
    host: str = _LOCAL
    port: int = DEFAULT_PORT
    workers: int = 1
    instances: int | None = None
    deliver: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """
    One of those that answer requests.

    Args:
        name: For people.
        url: Where it is.
        pids: Its processes at the moment.
    """

    name: str
    url: str
    pids: list[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Started:
    """An instance that was started: where it listens, its programs, what is open for it."""

    name: str
    host: str
    port: int
    url: str
    programs: Sequence[Program]
    open: ExitStack = field(default_factory=ExitStack)


class RunningService:
    """
    Starts what a plan needs, and keeps it running.

    Args:
        plan: What to run.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._supervisor = Supervisor()
        self._open = ExitStack()
        self._owns_server = False
        self._keeping: threading.Thread | None = None
        self._smtp_url: str | None = None
        self._instances: list[_Started] = []
        self._delivers = False
        self._proxy: Proxy | None = None
        self._counts = 0
        self.url = ""
        """Where the service is, once it is started."""

    @property
    def plan(self) -> Plan:
        """What runs: the plan it was started with, or switched to."""
        return self._plan

    @property
    def pids(self) -> list[int]:
        """The processes that answer and deliver."""
        return self._supervisor.pids

    @property
    def proxy(self) -> str | None:
        """The name of the proxy in front of the instances; None if there is none."""
        return None if self._proxy is None else self._proxy.name

    @property
    def instances(self) -> list[Instance]:
        """Those that answer, at the moment."""
        return [
            Instance(name=each.name, url=each.url, pids=self._supervisor.pids_of(each.programs))
            for each in self._instances
        ]

    def start(self) -> None:
        """
        Start everything and wait until it works.

        Raises:
            ConfigError: The address cannot be listened on.
            TargetError: A process or a server does not start.
        """
        plan = self._plan
        try:
            _remove_counts(plan.settings.folder)
            settings = self._start_servers(plan.settings)
            if plan.instances is not None:
                self._proxy = find_proxy(settings.folder.absolute() / "service" / "proxy")
            self._instances = self._start_instances(plan, settings)
            self.url = self._instances[0].url
            if self._proxy is not None:
                self._start_proxy(self._proxy, plan)
        except BaseException:
            self.stop()
            raise

    def switch(self, plan: Plan) -> None:
        """
        Put other instances in the place of those that run; no request fails of it.

        Args:
            plan: Its address and the servers it names are those of the present one.

        Raises:
            TargetError: They do not start, and the old ones go on; or nothing can be switched.
        """
        if not isinstance(self._proxy, HaProxy):
            msg = "instances are switched behind haproxy, and there is none in front of these"
            raise TargetError(msg)
        before = self._instances
        settings = self._start_servers(plan.settings)
        new = self._start_instances(plan, settings)
        try:
            self._proxy.replace([(each.host, each.port) for each in new])
        except BaseException:
            self._retire(new)
            raise
        self._instances = new
        self._plan = plan
        self._retire(before)

    def _retire(self, instances: Sequence[_Started]) -> None:
        self._supervisor.retire([program for each in instances for program in each.programs])
        for each in instances:
            each.open.close()

    # ---- instances -----------------------------------------------------------------------

    def _start_instances(self, plan: Plan, settings: ServiceSettings) -> list[_Started]:
        """Start all side by side: each spends a second importing."""
        prepared: list[_Started] = []
        programs: list[Program] = []
        try:
            for number, (host, port) in enumerate(self._addresses(plan), start=1):
                prepared.append(self._prepare(plan, settings, f"instance {number}", host, port))
                programs += prepared[-1].programs
            if plan.deliver and not self._delivers:
                programs.append(
                    Program(
                        name="the mail worker",
                        arguments=[sys.executable, "-m", _MODULE, "--deliver"],
                        environment=settings.to_environment(),
                    )
                )
            self._supervisor.start(programs)
        except BaseException:
            for each in prepared:
                each.open.close()
            raise
        self._delivers = self._delivers or plan.deliver
        return prepared

    def _addresses(self, plan: Plan) -> Iterator[tuple[str, int]]:
        for number in range(plan.instances or 1):
            if self._proxy is not None:
                yield _LOCAL, 0
            else:
                yield plan.host, plan.port + number if plan.port else 0

    def _prepare(
        self, plan: Plan, settings: ServiceSettings, name: str, host: str, port: int
    ) -> _Started:
        """Return an instance that has its port and is still to be started."""
        opened = ExitStack()
        try:
            # so that other programs which do not share cannot be listening there
            bind(host, port).close()
            # open as long as the instance is kept: a worker that is started again shares it
            listener = opened.enter_context(bind(host, port, shared=_SHARES))
            port = listener.getsockname()[1]
            # the counters of one run: another one counts from nothing
            self._counts += 1
            counts = settings.folder.absolute() / "service" / f"counts-{os.getpid()}-{self._counts}"
            shutil.rmtree(counts, ignore_errors=True)
            counts.mkdir(parents=True)
            opened.callback(shutil.rmtree, counts, ignore_errors=True)
        except BaseException:
            opened.close()
            raise
        command = [sys.executable, "-m", _MODULE]
        descriptors: tuple[int, ...] = ()
        if _SHARES:
            command += ["--host", host, "--port", str(port)]
        else:
            descriptors = (listener.fileno(),)
            command += ["--listener", str(listener.fileno())]
        environment = replace(settings, counts=counts).to_environment()
        return _Started(
            name=name,
            host=host,
            port=port,
            url=url_of(listener, host),
            programs=[
                Program(
                    name=f"worker {number + 1}" + (f" of {name}" if plan.instances else ""),
                    arguments=command,
                    environment=environment,
                    descriptors=descriptors,
                )
                for number in range(plan.workers)
            ],
            open=opened,
        )

    def _start_proxy(self, proxy: Proxy, plan: Plan) -> None:
        with kept_free(plan.host, plan.port) as front:
            self.url = url_at(*front)
            self._plan = replace(plan, port=front[1])
            self._open.callback(proxy.close)
            proxy.configure(front, [(each.host, each.port) for each in self._instances])
            program = Program(name=proxy.name, arguments=proxy.command, works=proxy.works)
            self._supervisor.start([program])

    # ---- servers -------------------------------------------------------------------------

    def _start_servers(self, settings: ServiceSettings) -> ServiceSettings:
        """Start the servers that are needed and not there yet; return the settings with them."""
        from perfkit.queue.sink import start_sink

        switches = settings.switches
        if switches.needs_redis and settings.redis_url is None:
            server = redis_server.start(settings.folder, persistent=switches.needs_queue)
            if server.started_here:
                self._owns_server = True
                self._open.callback(self._stop_server)
            settings = replace(settings, redis_url=server.url)
        if switches.notify and settings.smtp_url is None:
            if self._smtp_url is None:
                sink = start_sink(folder=settings.folder)
                self._open.callback(sink.stop)
                self._smtp_url = sink.settings.url
            settings = replace(settings, smtp_url=self._smtp_url)
        return settings

    def _stop_server(self) -> None:
        server = redis_server.find(self._plan.settings.folder)
        if server is not None and self._owns_server:
            server.stop()

    def run(
        self,
        stop: Event,
        *,
        meanwhile: Callable[[], None] = lambda: None,
        restarted: Callable[[], None] = lambda: None,
    ) -> None:
        """
        Keep everything running until *stop* is set.

        Args:
            stop: Says when.
            meanwhile: Called several times a second; may switch.
            restarted: Called when a process has been started again.
        """

        def between() -> None:
            self._keep_server(stop)
            meanwhile()

        self._keep_server(stop)
        self._supervisor.run(stop, meanwhile=between, restarted=restarted)
        if self._keeping is not None:
            self._keeping.join()

    def _keep_server(self, stop: Event) -> None:
        """Keep the cache server running, from when it is needed on."""
        settings = self._plan.settings
        needed = settings.switches.needs_redis and settings.redis_url is None
        if self._keeping is None and needed:
            # requests go on without the cache meanwhile, however long that takes
            self._keeping = threading.Thread(
                target=redis_server.keep,
                args=(settings.folder, stop),
                kwargs={"persistent": settings.switches.needs_queue},
            )
            self._keeping.start()

    def stop(self) -> None:
        """End everything that was started here."""
        self._supervisor.stop()
        for each in self._instances:
            each.open.close()
        self._instances = []
        self._open.close()


def _remove_counts(folder: Path) -> None:
    """Remove the counters of services that were killed."""
    for left in (folder / "service").glob("counts-*"):
        pid = left.name.split("-")[1]
        if pid.isdigit() and born(int(pid)) is None:
            shutil.rmtree(left, ignore_errors=True)
