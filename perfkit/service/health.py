"""Whether the service works, and whether what it depends on does."""

import asyncio
import time
from dataclasses import asdict

from perfkit.cache.aside import Cache
from perfkit.queue.notifier import Notifier
from perfkit.service.database import Database, Session
from perfkit.service.models import Check, Health
from perfkit.service.problems import Problem
from perfkit.service.settings import ServiceSettings
from perfkit.service.store import COURSES, ENROLLMENTS, USERS
from perfkit.workloads.model import Workload

__all__ = ["HealthReporter"]

_FRESH_S = 2.0
_TIMEOUT_S = 2.0


def _ok(detail: str) -> Check:
    return Check(status="ok", detail=detail)


def _failing(detail: str) -> Check:
    return Check(status="failing", detail=detail)


def _off(detail: str) -> Check:
    return Check(status="off", detail=detail)


class HealthReporter:
    """
    Reports on one process and what it depends on; looks at most every two seconds.

    The process lives if it answers at all, so the status is 200 even when something fails:
    what is cached is still served then, and starting the process again would help nobody.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        workload: Workload,
        database: Database,
        cache: Cache | None,
        notifier: Notifier,
    ) -> None:
        self._settings = settings
        self._workload = workload
        self._database = database
        self._cache = cache
        self._notifier = notifier
        self._looked_at_s = float("-inf")
        self._report: Health | None = None
        self._looking = asyncio.Lock()

    async def report(self) -> Health:
        """Return the report, a short while old at most."""
        async with self._looking:
            if self._report is None or time.monotonic() - self._looked_at_s >= _FRESH_S:
                self._report = await self._look()
                self._looked_at_s = time.monotonic()
        return self._report

    async def _look(self) -> Health:
        database, cache, queue = await asyncio.gather(
            self._look_at_database(), self._look_at_cache(), self._look_at_queue()
        )
        checks = {"dynamodb": database, "cache": cache, "notifications": queue}
        failing = any(check.status == "failing" for check in checks.values())
        return Health(
            status="degraded" if failing else "ok",
            switches=asdict(self._settings.switches),
            checks=checks,
        )

    async def _look_at_database(self) -> Check:
        session = self._database.session()
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                missing = await session.ask(self._missing)
        except TimeoutError:
            return _failing(f"no answer within {_TIMEOUT_S:g} s")
        except Problem as problem:
            return _failing(problem.detail)
        finally:
            session.close()
        if missing:
            return _failing("; ".join(missing))
        return _ok(
            "tables are there" + (", indexes too" if self._settings.switches.indexes else "")
        )

    def _missing(self, session: Session) -> list[str]:
        missing = []
        for name in (COURSES, ENROLLMENTS, USERS):
            table = session.describe(name)
            if table is None:
                missing.append(f"table {name} is not there; `perfkit seed` creates it")
                continue
            active = {
                index["IndexName"]
                for index in table.get("GlobalSecondaryIndexes", ())
                if index["IndexStatus"] == "ACTIVE"
            }
            if self._settings.switches.indexes:
                missing += [
                    f"index {index.name} is not ready; `perfkit create-indexes` creates it"
                    for index in self._workload.table(name).indexes
                    if index.name not in active
                ]
        return missing

    async def _look_at_cache(self) -> Check:
        if self._cache is None:
            return _off("the switches keep nothing")
        answers = await self._cache.answers()
        return _ok("Redis answers") if answers else _failing("Redis does not answer")

    async def _look_at_queue(self) -> Check:
        if not self._settings.switches.notify:
            return _off("nobody is notified")
        if not self._settings.switches.background:
            return _off("mail is sent inside the request")
        statistics = await self._notifier.statistics()
        return _failing("Redis does not answer") if statistics is None else _ok("Redis answers")
