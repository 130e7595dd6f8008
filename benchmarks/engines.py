"""The embedded engine against other local DynamoDBs, through the same boto3 client."""

import multiprocessing
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks import worker
from benchmarks.measuring import interleave
from benchmarks.operations import OPERATIONS, Answer, Operation
from benchmarks.peers import Contender, Reach, contenders
from benchmarks.section import Aim, Section, Table
from perfkit.errors import ResultsDifferError
from perfkit.units import format_count, format_ratio, format_units
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.loader import load

__all__ = ["compare"]

_TURN_S = 0.25
"""A turn is one call, or as many as fit into this."""

_SLOW_S = 3.0
"""Whose call takes longer has one turn: far behind, it need not be known exactly."""

_WARM_UP_CALLS = 5
_QUICK_SCALE = 0.05

_MEASURED = "perfkit"
_OVER_HTTP = "perfkit HTTP"


@dataclass(frozen=True, slots=True)
class _Result:
    """One operation on all engines, by name: seconds of each call, and units reported."""

    operation: Operation
    label: str
    seconds: dict[str, list[float]]
    units: dict[str, float]

    def median_ms(self, name: str) -> float:
        return statistics.median(self.seconds[name]) * 1e3


def compare(*, quick: bool) -> Section:
    """Measure all engines that are here."""
    scale = _QUICK_SCALE if quick else 1.0
    generator = ItemGenerator(load("courses"), scale=scale)
    items = {table: generator.count(table) for table in ("Courses", "Enrollments")}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        found, missing = stack.enter_context(contenders(folder))
        pools = {each.name: stack.enter_context(_process()) for each in found}
        _open(found, pools, scale)
        results = [_measure(operation, pools, items, quick=quick) for operation in OPERATIONS]
    peers = [each.name for each in found if each.is_peer]
    return Section(
        title="The embedded engine against other local DynamoDBs",
        method=_method(found, items),
        tables=[_times(found, results, peers), _units(found, results, quick=quick)],
        aims=[*(_aim(result, peers) for result in results), *_http_aims(found, results)],
        notes=[f"Not measured: {text}." for text in missing],
    )


def _method(found: Sequence[Contender], items: Mapping[str, int]) -> str:
    counts = " and ".join(f"{count:,} {table.lower()}" for table, count in items.items())
    versions = "; ".join(f"{each.name} {each.version}" for each in found)
    return (
        f"{versions}.\n"
        "Medians of calls that take turns in rounds, after a warm-up.\n"
        f"Items of 1,024 bytes: {counts}; written items go to a table with one global index;"
        " a scan reads all pages, a query 50 items.\n"
        f"The same client for all, each in a process of its own: {worker.CLIENT_SETTINGS}.\n"
        "`boto3 alone` answers from memory: that much of every figure is the client's."
    )


@contextmanager
def _process() -> Iterator[ProcessPoolExecutor]:
    # moto changes botocore for its whole process, so nobody shares one with it
    pool = ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield pool
    finally:
        pool.shutdown()


def _open(found: Sequence[Contender], pools: dict[str, ProcessPoolExecutor], scale: float) -> None:
    for opening in [pools[each.name].submit(worker.open_client, each, scale) for each in found]:
        opening.result()
    # the others of perfkit's read the same file
    own = [each for each in found if each.is_peer or each.reach is Reach.EMBEDDED]
    for filling in [pools[each.name].submit(worker.fill) for each in own]:
        filling.result()


def _measure(
    operation: Operation,
    pools: dict[str, ProcessPoolExecutor],
    items: Mapping[str, int],
    *,
    quick: bool,
) -> _Result:
    rounds = 3 if quick else operation.rounds
    answers: dict[str, Answer] = {}
    turns: dict[str, Callable[[], Sequence[float]]] = {}
    for name, pool in pools.items():
        answers[name], call_s = pool.submit(worker.warm_up, operation.name, 1).result()
        if call_s < _SLOW_S:
            _, call_s = pool.submit(worker.warm_up, operation.name, _WARM_UP_CALLS).result()
        calls = max(1, min(operation.most_calls, int(_TURN_S / call_s)))
        turns[name] = _turns(pool, operation.name, calls, rounds if call_s < _SLOW_S else 1)
    _check_same(operation, answers)
    seconds = interleave(turns, rounds=rounds)
    label = operation.label.format(**items)
    return _Result(operation, label, seconds, {name: each.units for name, each in answers.items()})


def _turns(
    pool: ProcessPoolExecutor, operation: str, calls: int, rounds: int
) -> Callable[[], Sequence[float]]:
    """Return what takes a turn in each of the first *rounds* rounds."""
    left = iter(range(rounds))

    def turn() -> Sequence[float]:
        if next(left, None) is None:
            return []
        return pool.submit(worker.take_turn, operation, calls).result()

    return turn


def _check_same(operation: Operation, answers: dict[str, Answer]) -> None:
    expected = answers[_MEASURED].keys
    for name, answer in answers.items():
        if answer.keys != expected:
            msg = (
                f"{operation.name}: {name} returned {len(answer.keys)} items and {_MEASURED}"
                f" {len(expected)}, or other ones"
            )
            raise ResultsDifferError(msg)


def _best(result: _Result, peers: Sequence[str]) -> str:
    return min(peers, key=result.median_ms)


def _times(found: Sequence[Contender], results: Sequence[_Result], peers: Sequence[str]) -> Table:
    rows = []
    for result in results:
        best = _best(result, peers)
        ratio = result.median_ms(best) / result.median_ms(_MEASURED)
        figures = [_milliseconds(result.median_ms(each.name)) for each in found]
        rows.append([result.label, *figures, f"{format_ratio(ratio)} ({best})"])
    headers = ["median, ms", *(each.name for each in found), "best peer ÷ perfkit"]
    return Table(headers, rows)


def _milliseconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _units(found: Sequence[Contender], results: Sequence[_Result], *, quick: bool) -> Table:
    shown = [each.name for each in found if each.reach is not Reach.CANNED]
    rows = [
        [
            result.label,
            *(format_units(result.units[name]) for name in shown),
            "" if quick else format_units(result.operation.units),
        ]
        for result in results
    ]
    return Table(["capacity units reported", *shown, "AWS bills"], rows)


def _aim(result: _Result, peers: Sequence[str]) -> Aim:
    best = _best(result, peers)
    ratio = result.median_ms(best) / result.median_ms(_MEASURED)
    count = format_count(len(result.seconds[_MEASURED]))
    what = f"{result.label}, times faster than {best} ({count} calls)"
    return Aim.at_least(what, ratio, result.operation.aim)


def _http_aims(found: Sequence[Contender], results: Sequence[_Result]) -> Iterator[Aim]:
    """Compare servers with servers."""
    servers = [each.name for each in found if each.is_peer and each.reach is Reach.HTTP]
    for result in results if servers else ():
        best = _best(result, servers)
        ratio = result.median_ms(best) / result.median_ms(_OVER_HTTP)
        what = f"{result.label}, both over HTTP, times faster than {best}"
        yield Aim.at_least(what, ratio, 1)
