"""A service as processes: its workers, the mail worker, the cache server, a local mail sink."""

import os
import shutil
import sys
import threading
from contextlib import ExitStack
from dataclasses import dataclass, replace
from threading import Event

from perfkit.processes import redis_server
from perfkit.processes.sockets import bind, url_of
from perfkit.processes.supervisor import Program, Supervisor
from perfkit.service.settings import ServiceSettings

__all__ = ["Plan", "RunningService"]

# elsewhere all connections would go to one of the sockets: there the workers share one
_SHARES = sys.platform == "linux"

_MODULE = "perfkit.service.process"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What to run.

    Args:
        settings: For the workers; the URLs they lack are filled in when servers were started.
        host: Address to listen on.
        port: 0 takes a free one.
        workers: Processes that answer requests.
        deliver: Also run a worker that delivers what is queued.
    """

    settings: ServiceSettings
    host: str = "127.0.0.1"
    port: int = 8080
    workers: int = 1
    deliver: bool = False


class RunningService:
    """
    Starts what a plan needs, and keeps it running.

    Args:
        plan: What to run.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._supervisor = Supervisor(())
        self._open = ExitStack()
        self._owns_server = False
        self.url = ""
        """Where the service is, once it is started."""

    @property
    def pids(self) -> list[int]:
        """The processes that answer and deliver."""
        return self._supervisor.pids

    def start(self) -> None:
        """
        Start everything and wait until it works.

        Raises:
            ConfigError: The address cannot be listened on.
            TargetError: A process or a server does not start.
        """
        plan = self._plan
        try:
            settings = self._start_servers()
            # so that other programs which do not share cannot be listening there
            bind(plan.host, plan.port).close()
            listener = self._open.enter_context(bind(plan.host, plan.port, shared=_SHARES))
            self.url = url_of(listener, plan.host)
            environment = settings.to_environment()
            command = [sys.executable, "-m", _MODULE]
            descriptors: tuple[int, ...] = ()
            if _SHARES:
                port = listener.getsockname()[1]
                answering = [*command, "--host", plan.host, "--port", str(port)]
            else:
                descriptors = (listener.fileno(),)
                answering = [*command, "--listener", str(listener.fileno())]
            programs = [
                Program(
                    name=f"worker {number + 1}",
                    arguments=answering,
                    environment=environment,
                    descriptors=descriptors,
                )
                for number in range(plan.workers)
            ]
            if plan.deliver:
                programs.append(
                    Program(
                        name="the mail worker",
                        arguments=[*command, "--deliver"],
                        environment=environment,
                    )
                )
            self._supervisor = Supervisor(programs)
            self._supervisor.start()
        except BaseException:
            self.stop()
            raise

    def _start_servers(self) -> ServiceSettings:
        from perfkit.queue.sink import start_sink

        settings = self._plan.settings
        switches = settings.switches
        if switches.needs_redis and settings.redis_url is None:
            server = redis_server.start(settings.folder, persistent=switches.needs_queue)
            self._owns_server = server.started_here
            self._open.callback(self._stop_server)
            settings = replace(settings, redis_url=server.url)
        if switches.notify and settings.smtp_url is None:
            sink = start_sink(folder=settings.folder)
            self._open.callback(sink.stop)
            settings = replace(settings, smtp_url=sink.settings.url)
        # the counters of one run: another one counts from nothing
        counts = settings.folder.absolute() / "service" / f"counts-{os.getpid()}"
        shutil.rmtree(counts, ignore_errors=True)
        counts.mkdir(parents=True)
        self._open.callback(shutil.rmtree, counts, ignore_errors=True)
        return replace(settings, counts=counts)

    def _stop_server(self) -> None:
        server = redis_server.find(self._plan.settings.folder)
        if server is not None and self._owns_server:
            server.stop()

    def run(self, stop: Event) -> None:
        """Keep everything running until *stop* is set."""
        settings = self._plan.settings
        keeping = None
        if settings.switches.needs_redis and settings.redis_url is None:
            # requests go on without the cache meanwhile, however long that takes
            keeping = threading.Thread(target=self._keep_server, args=(stop,))
            keeping.start()
        self._supervisor.run(stop)
        if keeping is not None:
            keeping.join()

    def _keep_server(self, stop: Event) -> None:
        settings = self._plan.settings
        redis_server.keep(settings.folder, stop, persistent=settings.switches.needs_queue)

    def stop(self) -> None:
        """End everything that was started here."""
        self._supervisor.stop()
        self._open.close()
