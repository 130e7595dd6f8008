"""`perfkit compare`: how often it is wrong, simulated and with real runs; and what it finds."""

import math
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.measuring import perfkit_command, run_command
from benchmarks.section import Aim, Section, Table
from benchmarks.simulated_runs import MACHINES, judged, ruling, sides
from perfkit.analysis.conditions import load_of
from perfkit.analysis.sides import Side
from perfkit.analysis.verdict import Ruling
from perfkit.measure.statistics import paired_ratio, t_quantile
from perfkit.runs import Run, RunStore
from perfkit.settings import RUNS_FOLDER

__all__ = ["compare"]

_RUNS = 8
_SLOWER = 1.3
_LIMIT = 0.1
_DRAWS, _DRAWS_QUICK = 400, 40
_COVERED, _COVERED_QUICK = 2_000, 200
# three runs a turn: two of the same code, one with the slower query
_REAL_S, _REAL_S_QUICK = 300.0, 40.0
_BENCH = ("bench", "--scenario", "courses", "--min-time", "0.5", "--json")
_QUIET = ("quiet", "quiet, whole runs 34% apart")


class _Order(NamedTuple):
    """How runs were measured and compared."""

    runs: int
    in_turns: bool
    control: bool

    def __str__(self) -> str:
        if self.runs == 1:
            return "one pair"
        return f"{'turns' if self.in_turns else 'blocks'}{', control' if self.control else ''}"


_TURNS, _BLOCKS = (_Order(_RUNS, in_turns=turns, control=True) for turns in (True, False))
_ORDERS = (
    _Order(_RUNS, in_turns=True, control=False),
    _TURNS,
    _Order(_RUNS, in_turns=False, control=False),
    _BLOCKS,
)
_PAIR = _Order(1, in_turns=True, control=False)


def compare(*, quick: bool) -> Section:
    """Simulate, and measure one query again and again; a quick run a small part of both."""
    draws = _DRAWS_QUICK if quick else _DRAWS
    alarms = {
        (name, order): _rulings(name, order, draws)
        for name in MACHINES
        for order in (*_ORDERS, _PAIR)
    }
    found = {
        (name, order): _rulings(name, order, draws, slower=_SLOWER, limit=_LIMIT)
        for name in MACHINES
        for order in (_TURNS, _BLOCKS)
    }
    coverage = list(_coverage(_COVERED_QUICK if quick else _COVERED))
    tables = [_alarm_table(alarms), _found_table(found), Table(_COVERAGE_HEADERS, coverage)]
    aims = [
        Aim.at_most(
            "simulated: the same code fails a limit of 0%, on the worst machine",
            100 * max(each[Ruling.FAIL] for each in alarms.values()),
            5,
            "%",
        ),
        *_power_aims(
            "simulated, quiet",
            [found[name, order] for name in _QUIET for order in (_TURNS, _BLOCKS)],
        ),
    ]
    real, real_aims, notes = _real(_REAL_S_QUICK if quick else _REAL_S)
    return Section(
        title="Is `perfkit compare` right?",
        method=(
            f"Simulated: {draws:,} comparisons a figure, {_RUNS} against {_RUNS} runs of three"
            " variants (or one against one), by the machines of `benchmarks/simulated_runs.py`:"
            " drift from run to run, runs of a variant that lie off, rounds that resemble each other,"
            " rounds that take 2 to 5 times as long, and load.\n"
            "A false alarm is a gate with a limit of 0% that fails identical code.\n"
            f"Found is a query {_SLOWER - 1:.0%} slower, against a limit of {_LIMIT:.0%}, with"
            " `--control scan`.\n"
            "Coverage: of the interval of a ratio within one run, whose rounds scatter by 5%.\n"
            "Real: `perfkit bench` on a small file, two runs of the same code and one with a slower"
            " query (`benchmarks/planted.py`), again and again."
        ),
        tables=[*tables, real],
        aims=[*aims, *real_aims],
        notes=notes,
    )


def _power_aims(what: str, results: Sequence[Mapping[Ruling, float]]) -> Iterator[Aim]:
    slower = f"{what}: a query {_SLOWER - 1:.0%} slower"
    yield Aim.at_least(
        f"{slower} is found", 100 * min(each[Ruling.FAIL] for each in results), 90, "%"
    )
    yield Aim.at_most(
        f"{slower} is invalid", 100 * max(each[Ruling.INVALID] for each in results), 10, "%"
    )
    yield Aim.at_most(
        f"{slower} passes", 100 * max(each[Ruling.PASS] for each in results), 2.5, "%"
    )


def _rulings(
    name: str, order: _Order, draws: int, *, slower: float = 1.0, limit: float = 0.0
) -> dict[Ruling, float]:
    chance = random.Random(f"{name} {order} {slower}")
    controls = ("scan",) if order.control else ()
    counts: Counter[Ruling] = Counter()
    for _ in range(draws):
        two = sides(MACHINES[name], chance, runs=order.runs, in_turns=order.in_turns, slower=slower)
        counts[ruling(judged(two, limit, controls=controls))] += 1
    return {each: counts[each] / draws for each in Ruling}


def _alarm_table(alarms: Mapping[tuple[str, _Order], Mapping[Ruling, float]]) -> Table:
    orders = [*_ORDERS, _PAIR]
    rows = [
        [name, *(f"{alarms[name, order][Ruling.FAIL]:.1%}" for order in orders)]
        for name in MACHINES
    ]
    return Table(["false alarms", *map(str, orders)], rows)


def _found_table(found: Mapping[tuple[str, _Order], Mapping[Ruling, float]]) -> Table:
    headers = [f"{_SLOWER - 1:.0%} slower, control"]
    rows = [[name] for name in MACHINES]
    for order, title in ((_TURNS, "turns"), (_BLOCKS, "blocks")):
        for each, word in (
            (Ruling.FAIL, "found"),
            (Ruling.INVALID, "invalid"),
            (Ruling.PASS, "passed"),
        ):
            headers.append(f"{title}: {word}")
            for row in rows:
                row.append(f"{found[row[0], order][each]:.1%}")
    return Table(headers, rows)


_COVERAGE_HEADERS = [
    "interval of a ratio",
    "clean: holds",
    "width, to that of the mean",
    "15% of one's rounds 2-5 times: holds",
    "the mean's holds",
]


def _coverage(draws: int) -> Iterator[list[str]]:
    """Yield how often the interval of a ratio within a run holds it, by number of rounds."""
    for rounds in (3, 5, 8, 12, 20, 40):
        chance = random.Random(rounds)
        held: Counter[str] = Counter()
        widths: list[float] = []
        for _ in range(draws):
            for name, share in (("clean", 0.0), ("disturbed", 0.15)):
                one = [math.exp(chance.gauss(0, 0.05)) for _ in range(rounds)]
                other = [math.exp(chance.gauss(0, 0.05)) for _ in range(rounds)]
                hit = [
                    each * (chance.uniform(2, 5) if chance.random() < share else 1) for each in one
                ]
                ours = paired_ratio(hit, other).interval
                means = _interval_of_mean(hit, other)
                held[name] += ours is not None and ours[0] <= 1 <= ours[1]
                held[f"{name}, mean"] += means[0] <= 1 <= means[1]
                if share == 0 and ours is not None:
                    widths.append(math.log(ours[1] / ours[0]) / math.log(means[1] / means[0]))
        yield [
            f"{rounds} rounds",
            f"{held['clean'] / draws:.1%}",
            f"{statistics.median(widths):.2f}",
            f"{held['disturbed'] / draws:.1%}",
            f"{held['disturbed, mean'] / draws:.1%}",
        ]


def _interval_of_mean(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """Return the interval that Student's t on the plain mean of logarithms gives."""
    logs = [math.log(a / b) for a, b in zip(one, other, strict=True)]
    mean = statistics.fmean(logs)
    half = t_quantile(0.95, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return math.exp(mean - half), math.exp(mean + half)


def _real(seconds: float) -> tuple[Table, list[Aim], list[str]]:
    """Measure for about so long, and judge runs of the same code and of a slower query."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        same, slower = _measure(folder, seconds)
    rows: list[list[str]] = []
    alarms: list[Counter[Ruling]] = []
    power: list[Counter[Ruling]] = []
    identical = [run for pair in same for run in pair]
    changed = [
        run for (first, _), second in zip(same, slower, strict=True) for run in (first, second)
    ]
    for order in _ORDERS:
        alarms.append(_windows(identical, order, 0.0))
        found = _windows(changed, order, _LIMIT) if order.in_turns else Counter[Ruling]()
        rows.append([str(order), _written(alarms[-1]), _written(found)])
        power += [found] if order is _TURNS else []
    runs = [*identical, *slower]
    share = sum(counts[Ruling.FAIL] for counts in alarms) / max(sum(map(sum_of, alarms)), 1)
    load = load_of(runs)
    load_text = "not known" if load is None else str(load)
    aims = [Aim.at_most("real: the same code fails a limit of 0%", 100 * share, 5, "%")]
    if load is not None and load.median < 0.15:
        aims += _power_aims(
            "real, quiet",
            [{each: one[each] / max(sum_of(one), 1) for each in Ruling} for one in power],
        )
    else:
        aims.append(
            Aim.unknown(
                f"real, quiet: a query {_SLOWER - 1:.0%} slower is found in at least 90%",
                f"the machine was busy: other programs used {load_text} of the CPU",
            )
        )
    headers = [
        f"real, {_RUNS} against {_RUNS}",
        "the same code, limit 0%",
        f"query {_SLOWER - 1:.0%} slower, limit {_LIMIT:.0%}",
    ]
    note = (
        f"{len(runs)} real runs; other programs used {load_text} of the CPU meanwhile. Counted are all"
        f" stretches of {2 * _RUNS} runs in a row, which overlap, so they are fewer than they look."
    )
    return Table(headers, rows), aims, [note]


def sum_of(counts: Mapping[Ruling, int]) -> int:
    """Return how many comparisons there were."""
    return sum(counts.values())


def _written(counts: Mapping[Ruling, int]) -> str:
    total = sum_of(counts)
    if not total:
        return "-"
    return ", ".join(f"{counts[each]} {each}" for each in Ruling if counts[each]) + f" of {total}"


def _measure(folder: Path, seconds: float) -> tuple[list[tuple[Run, Run]], list[Run]]:
    """Return pairs of runs of the same code, and beside each pair one with a slower query."""
    for command in (["seed", "--scale", "0.02"], ["create-indexes"]):
        run_command([*perfkit_command(), *command], folder)
    planted = [sys.executable, str(Path(__file__).with_name("planted.py"))]
    same: list[tuple[Run, Run]] = []
    slower: list[Run] = []
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s or len(slower) < 2:
        for factor in (1.0, 1.0, _SLOWER):
            run_command([*planted, f"{factor:g}", *_BENCH], folder)
        newest = RunStore(folder / RUNS_FOLDER).list().runs[:3]
        same.append((newest[2], newest[1]))
        slower.append(newest[0])
    return same, slower


def _windows(runs: Sequence[Run], order: _Order, limit: float) -> Counter[Ruling]:
    """Return the rulings on all stretches of runs, taken in turns or as two blocks."""
    counts: Counter[Ruling] = Counter()
    controls = ("scan",) if order.control else ()
    # of runs of two kinds a stretch begins with the first
    step = 2 if order.in_turns else 1
    for start in range(0, len(runs) - 2 * _RUNS + 1, step):
        stretch = runs[start : start + 2 * _RUNS]
        halves = (
            (stretch[::2], stretch[1::2]) if order.in_turns else (stretch[:_RUNS], stretch[_RUNS:])
        )
        two = tuple(
            Side(title=title, runs=tuple(half), is_folder=True)
            for title, half in zip(("base", "branch"), halves, strict=True)
        )
        counts[ruling(judged((two[0], two[1]), limit, controls=controls))] += 1
    return counts
