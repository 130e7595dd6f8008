"""The cache scenarios against a real cache server, which they kill and freeze."""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from perfkit.cache.connection import CacheUnavailableError, Connection
from perfkit.dynamodb import seeding
from perfkit.dynamodb.targets import Target
from perfkit.errors import ResultsDifferError, UnknownScenarioError
from perfkit.processes import redis_server as server
from perfkit.runs import Run, RunStore
from perfkit.scenarios import cache
from perfkit.scenarios.base import Context
from perfkit.scenarios.cache import CacheServers
from perfkit.scenarios.registry import _scenarios_of, find, main_job
from perfkit.workloads.loader import load
from perfkit.workloads.model import Workload

pytestmark = pytest.mark.processes

SHOP = Path(__file__).parents[2] / "examples" / "shop.toml"
COURSES = ("courses", "instructor", "enrollments", "roster", "profile")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[server.RedisServer]:
    """Return the servers that were started, in order."""
    servers: list[server.RedisServer] = []
    start = server.start

    def starting(*args: Any, **kwargs: Any) -> server.RedisServer:
        servers.append(start(*args, **kwargs))
        return servers[-1]

    monkeypatch.setattr(server, "start", starting)
    return servers


def is_alive(pid: int | None) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.fixture(scope="module")
def cache_run(seeded: Target, workload: Workload, make_context: Callable[..., Context]) -> Run:
    (scenario,) = find(workload, ["cache"])
    opened = CacheServers.open

    def open_patient(servers: CacheServers, url: str) -> Any:
        # the one that stays well has time on a busy machine; the others are in trouble anyway
        if servers._started > 1:
            return opened(servers, url)
        made = cache.open_cache(url, servers.workload, time_limit_s=10.0)
        return servers.close_later(made)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(CacheServers, "open", open_patient)
        return scenario.measure(make_context(seeded, workload))


def test_every_cached_question_is_asked_in_every_way(cache_run: Run) -> None:
    assert cache_run.kind == "cache"
    assert cache_run.questions == COURSES
    for question in COURSES[:-1]:
        names = [each.name for each in cache_run.variants if each.question == question]
        assert names == [
            "scan",
            "query",
            "cached-cold",
            "cached-warm",
            "cache-killed",
            "cache-hanging",
        ]
    assert cache_run.variant("get", "profile") is not None


def test_each_way_meets_the_cache_as_its_name_says(cache_run: Run) -> None:
    for question in COURSES:
        cold = cache_run.variant("cached-cold", question)
        warm = cache_run.variant("cached-warm", question)
        assert cold is not None
        assert cold.cache is not None
        assert warm is not None
        assert warm.cache is not None
        assert (cold.cache.hits, cold.cache.misses, cold.cache.errors) == (0, 3, 0)
        assert (warm.cache.hits, warm.cache.misses, warm.cache.errors) == (3, 0, 0)
        for name in ("cache-killed", "cache-hanging"):
            trouble = cache_run.variant(name, question)
            assert trouble is not None
            assert trouble.cache is not None
            # three rounds of twenty, all of them answered by the database
            assert (trouble.cache.hits, trouble.cache.errors) == (0, 60)
            assert trouble.errors == 0


def test_hits_read_nothing_and_everything_else_what_the_query_reads(cache_run: Run) -> None:
    expected = {
        "courses": 6.5,
        "instructor": 2.5,
        "enrollments": 1.0,
        "roster": 5.0,
        "profile": 0.5,
    }
    for question, units in expected.items():
        by_name = {
            each.name: each.capacity_units
            for each in cache_run.variants
            if each.question == question
        }
        assert by_name.pop("cached-warm") == 0
        assert by_name.pop("scan") != units
        assert set(by_name.values()) == {units}


def test_a_hanging_server_costs_a_request_no_more_than_the_time_limit(cache_run: Run) -> None:
    hanging = cache_run.variant("cache-hanging", "courses")

    assert hanging is not None
    # some of the first waited for it, most were made with the breaker open
    assert hanging.latency_s.max >= 0.05
    assert hanging.latency_s.p50 < hanging.latency_s.max


def test_the_statistics_work_out_to_the_mean(cache_run: Run) -> None:
    for variant in cache_run.variants:
        if variant.cache is not None:
            assert variant.cache.worked_out_mean_s == pytest.approx(variant.latency_s.mean)


def test_the_answer_of_a_hit_holds_all_items(cache_run: Run) -> None:
    for question, items in (("courses", 50), ("enrollments", 5), ("roster", 40)):
        counts = {each.items_returned for each in cache_run.variants if each.question == question}
        assert counts == {items}


def test_a_run_survives_its_file(cache_run: Run, tmp_path: Path) -> None:
    store = RunStore(tmp_path)

    loaded = store.load(store.save(cache_run))

    assert loaded.variants == cache_run.variants
    assert loaded.comparisons == cache_run.comparisons


def test_nothing_is_left_running_when_it_is_interrupted(
    seeded: Target,
    workload: Workload,
    started: list[server.RedisServer],
    monkeypatch: pytest.MonkeyPatch,
    make_context: Callable[..., Context],
) -> None:
    """At the worst moment: one server is frozen, another one killed."""
    real = cache._Trouble.hang

    def interrupt(self: Any, way: Any) -> None:
        real(self, way)
        raise KeyboardInterrupt

    monkeypatch.setattr(cache._Trouble, "hang", interrupt)
    (scenario,) = find(workload, ["cache"])

    with pytest.raises(KeyboardInterrupt):
        scenario.measure(make_context(seeded, workload, iterations=1))

    assert len(started) >= 2
    assert not any(is_alive(each.pid) for each in started)


def test_a_cache_that_answers_something_else_is_an_error(
    seeded: Target,
    workload: Workload,
    monkeypatch: pytest.MonkeyPatch,
    make_context: Callable[..., Context],
) -> None:
    only = cache._CacheScenario((workload.pattern("courses"),))
    look = cache._Cached._sample

    async def lie(self: Any, calls: int) -> Any:
        turn = await look(self, calls)
        turn.digest = "another answer"
        return turn

    monkeypatch.setattr(cache._Cached, "_sample", lie)

    with pytest.raises(ResultsDifferError, match=r"courses: .* answered differently"):
        only.measure(make_context(seeded, workload, iterations=1))


def test_a_server_that_is_late_once_does_not_end_the_measurement(
    seeded: Target,
    workload: Workload,
    monkeypatch: pytest.MonkeyPatch,
    make_context: Callable[..., Context],
) -> None:
    """On a busy machine one is; the cache leaves it alone for a while, and asks it again."""
    only = cache._CacheScenario((workload.pattern("profile"),))
    answered, requests = Connection._send, itertools.count()

    async def send(self: Connection, commands: list[Any]) -> list[Any]:
        match next(requests):
            case 0:
                self._breaker.failed()
                msg = "late"
                raise CacheUnavailableError(msg)
            case 1:
                # longer than ten questions take that are not asked of the server
                await asyncio.sleep(0.1)
        return await answered(self, commands)

    monkeypatch.setattr(Connection, "_send", send)

    run = only.measure(make_context(seeded, workload, iterations=1))

    assert run.variant("cached-warm", "profile") is not None


def test_without_an_index_misses_are_answered_by_a_filtered_scan(
    tmp_path: Path, workload: Workload, make_context: Callable[..., Context]
) -> None:
    target = Target(data=tmp_path / "plain.sqlite3")
    seeding.seed(seeding.plan(target, workload, scale=0.002), processes=1)
    only = cache._CacheScenario((workload.pattern("courses"),))

    run = only.measure(make_context(target, workload, iterations=1))

    assert [each.name for each in run.variants][:2] == ["scan", "cached-cold"]
    assert any("perfkit create-indexes" in step for step in run.next_steps)


# ---- an hour -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hour_run(seeded: Target, workload: Workload, make_context: Callable[..., Context]) -> Run:
    (scenario,) = find(workload, ["cache-hour"])
    return scenario.measure(make_context(seeded, workload))


def test_the_quoted_hour_is_reproduced(hour_run: Run) -> None:
    quoted, modelled, measured = (each for each in hour_run.hours if each.name == "an hour")

    assert (quoted.provenance, quoted.cache.hits, quoted.mean_s) == ("quoted", 99_000, 0.0025)
    assert (modelled.provenance, modelled.latencies) == ("modelled", "quoted")
    assert round(modelled.cache.hit_rate or 0, 2) == 0.99
    assert round(modelled.mean_s or 0, 4) == 0.0025
    assert measured.latencies == "measured"
    assert measured.cache.hits == pytest.approx(modelled.cache.hits, rel=0.01)


def test_the_real_run_has_the_same_traffic_as_the_virtual_one(hour_run: Run) -> None:
    real, virtual = (each for each in hour_run.hours if each.name == "short run")

    assert (real.provenance, virtual.provenance) == ("measured", "modelled")
    assert real.cache.requests == virtual.cache.requests
    assert real.invalidations == virtual.invalidations
    assert real.cache.errors == 0
    # how close the rates are depends on the machine; that they are compared does not
    assert 0 < (real.cache.hit_rate or 0) < 1


def test_a_longer_time_to_live_hits_more_and_reads_less(hour_run: Run) -> None:
    lives = [each for each in hour_run.hours if each.name.startswith("TTL")]

    rates = [each.cache.hit_rate or 0 for each in lives]
    units = [each.read_units or 0 for each in lives]
    assert len(lives) >= 5
    assert rates == sorted(rates)
    assert units == sorted(units, reverse=True)
    assert all(each.read_units == (each.fills or 0) * 6.5 for each in lives)


def test_a_virtual_cache_that_is_off_is_doubted() -> None:
    from perfkit.runs import CacheFigures, Hour
    from perfkit.scenarios.cache_hour import _doubts

    def hour(hits: int) -> Hour:
        return Hour(
            name="short run",
            provenance="measured",
            latencies="",
            duration_s=4.0,
            ttl_s=0.5,
            cache=CacheFigures(hits=hits, misses=100 - hits, errors=0),
        )

    assert list(_doubts(hour(70), hour(72))) == []
    (doubt,) = _doubts(hour(60), hour(72))
    assert "60% hits" in doubt.reason
    assert "72%" in doubt.reason


# ---- which scenarios there are -----------------------------------------------------------


def test_the_built_in_workload_has_all_scenarios(workload: Workload) -> None:
    assert list(_scenarios_of(workload)) == [
        *COURSES,
        *("cache", "cache-hour", "index-cost", "phases", "ablation"),
        *("n-plus-one", "pooling", "email", "auth", "serialize"),
    ]
    assert [each.name for each in main_job(workload)] == [
        *COURSES,
        *("phases", "cache", "index-cost"),
    ]
    assert [each.name for each in main_job(workload, patterns_only=True)] == list(COURSES)
    assert [each.name for each in find(workload, ["patterns"])] == list(COURSES)


def test_scenarios_of_the_service_are_explained_for_other_workloads() -> None:
    shop = load(SHOP)

    assert "phases" not in _scenarios_of(shop)
    with pytest.raises(
        UnknownScenarioError,
        match=f"phases measures the reference service, .* and not {shop.name}; choose from all",
    ):
        find(shop, ["phases"])


def test_without_a_cache_policy_there_is_nothing_to_cache(workload: Workload) -> None:
    bare = replace(
        workload, patterns=tuple(replace(each, cache=None) for each in workload.patterns)
    )

    assert not {"cache", "cache-hour"} & _scenarios_of(bare).keys()
    with pytest.raises(UnknownScenarioError, match="no pattern of workload courses has a cache"):
        find(bare, ["cache"])


def test_a_pattern_keeps_its_name(workload: Workload) -> None:
    pattern = replace(workload.patterns[0], name="cache")
    named = replace(workload, patterns=(pattern, *workload.patterns[1:]))

    (scenario,) = find(named, ["cache"])

    assert scenario.description == pattern.description
