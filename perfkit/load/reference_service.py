"""The reference service under load: the one that is up, or one started for the test alone."""

import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

from perfkit.errors import TargetError
from perfkit.load.drawing import draw_from
from perfkit.load.mix_file import TOKEN, read_mix
from perfkit.load.plan import Mix
from perfkit.service.health_report import await_healthy

if TYPE_CHECKING:
    from perfkit.dynamodb.targets import Target
    from perfkit.load.service_samples import Endpoint
    from perfkit.service.running import Instance, Plan, RunningService
    from perfkit.service.settings import Switches

__all__ = ["ServiceUnderTest", "mix_of", "own_mix", "running_service", "started_service"]

_HEALTHY_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceUnderTest:
    """
    A reference service that answers.

    Args:
        urls: Where requests are sent: its proxy, or its instances.
        instances: Returns those of the moment.
        switches: Its optimisations.
        target: Where its tables are, and what is modelled there, as runs say it.
        switch: Puts instances with other switches in their place, and returns when the last request
            to the old ones is answered; None for a service that others started.
    """

    urls: tuple[str, ...]
    instances: "Callable[[], Sequence[Instance]]"
    switches: dict[str, bool]
    target: dict[str, Any]
    switch: "Callable[[Switches], None] | None" = None

    def endpoints(self) -> "Sequence[Endpoint]":
        """Return where its instances are looked at: one that is started again is another process."""
        from perfkit.load.service_samples import Endpoint

        return [Endpoint.of_service(each.name, each.url, each.pids) for each in self.instances()]

    @property
    def workers(self) -> int | None:
        """Processes of an instance; None where there is none at the moment."""
        return max((len(each.pids) for each in self.instances()), default=0) or None

    @property
    def phase(self) -> int | None:
        """The phase whose switches these are; None where it is none."""
        from perfkit.service.settings import PHASES, Switches

        for phase in PHASES:
            if asdict(Switches.of_phase(phase)) == self.switches:
                return phase
        return None


def running_service(wanted: "Switches | None") -> ServiceUnderTest | None:
    """Return the service that `perfkit up` started, if it has the wanted switches, or whichever."""
    from perfkit.service import launch

    found = launch.find()
    if found is None or (wanted is not None and found.switches != asdict(wanted)):
        return None

    def instances() -> "Sequence[Instance]":
        now = launch.find() or found
        return now.instances

    return ServiceUnderTest(
        urls=tuple(found.urls),
        instances=instances,
        switches=dict(found.switches),
        target=dict(found.target),
    )


@contextmanager
def started_service(plan: "Plan") -> Iterator[ServiceUnderTest]:
    """
    Run a service with a cache and a queue of its own, and end it all with the block.

    Raises:
        TargetError: It does not start, or does not work with the target.
    """
    from perfkit.service.running import RunningService

    with tempfile.TemporaryDirectory(prefix="perfkit-") as folder:
        settings = replace(plan.settings, folder=Path(folder))
        running = RunningService(
            replace(plan, settings=settings, deliver=settings.switches.needs_queue)
        )
        stop, orders = Event(), _Orders(running)
        keeping = Thread(
            target=running.run, args=(stop,), kwargs={"meanwhile": orders.carry_out}, daemon=True
        )
        try:
            running.start()
            keeping.start()
            failing = await_healthy(running.url, _HEALTHY_S)
            if failing:
                msg = f"the service does not work: {failing}"
                raise TargetError(msg)
            yield ServiceUnderTest(
                urls=(running.url,),
                instances=lambda: running.instances,
                switches=asdict(settings.switches),
                target=settings.target.condition(),
                switch=orders.give,
            )
        finally:
            stop.set()
            try:
                if keeping.ident is not None:
                    # what it is starting at the moment would be left behind
                    keeping.join()
            finally:
                running.stop()
                orders.close()


class _Orders:
    """
    Has a service switched by the thread that keeps it running.

    Args:
        running: The service.
    """

    def __init__(self, running: "RunningService") -> None:
        self._running = running
        self._given: SimpleQueue[tuple[Switches, Future[None]]] = SimpleQueue()

    def give(self, switches: "Switches") -> None:
        """
        Have it switched, and wait until it is.

        Raises:
            TargetError: The new instances do not start and the old ones go on, there is no proxy
                that could switch, or the service has ended.
        """
        done: Future[None] = Future()
        self._given.put((switches, done))
        done.result()

    def carry_out(self) -> None:
        """Switch it, if that is wanted."""
        try:
            switches, done = self._given.get_nowait()
        except Empty:
            return
        plan = self._running.plan
        settings = replace(plan.settings, switches=switches)
        try:
            self._running.switch(replace(plan, settings=settings, deliver=switches.needs_queue))
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            done.set_exception(error)
        else:
            done.set_result(None)

    def close(self) -> None:
        """Refuse what was given and never carried out."""
        while True:
            try:
                _, done = self._given.get_nowait()
            except Empty:
                return
            done.set_exception(TargetError("the service has ended"))


def own_mix(
    target: "Target", secret: str, mix: Path | None = None, seeded: Collection[str] = ()
) -> Mix:
    """
    Return the mix of the reference service, or another one for it, with tokens of its users.

    Args:
        target: Where its tables are.
        secret: The key of its tokens.
        mix: A file; None takes the service's own.
        seeded: Names of the tables that `perfkit seed` creates.

    Raises:
        ConfigError: The file says what it may not.
        TargetError: There are no items to draw values from.
    """
    from perfkit.service.tokens import Tokens

    tokens = Tokens(secret)
    known: dict[str, str] = {}

    def token_of(user: str) -> str:
        if user not in known:
            known[user] = tokens.issue(user)
        return known[user]

    draw = draw_from(target, {TOKEN: ("user_id", token_of)}, seeded)
    source, folder = ("the service's mix", Path()) if mix is None else (str(mix), mix.parent)
    return read_mix(mix_of(mix), source=source, folder=folder, draw=draw)


def mix_of(file: Path | None) -> bytes:
    """Return what a mix file says; without one, the service's own."""
    if file is not None:
        return file.read_bytes()
    return resources.files("perfkit.service").joinpath("mix.toml").read_bytes()
