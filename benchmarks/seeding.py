"""`perfkit seed` against boto3's own batch writer, and its memory at ten times the items."""

import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

from benchmarks.measuring import interleave, perfkit_command, start_command
from benchmarks.memory import MemoryPeak, watch
from benchmarks.section import Aim, Section, Table
from perfkit.capacity import Item
from perfkit.errors import TargetError
from perfkit.units import format_bytes, format_count
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.loader import load

__all__ = ["compare", "compare_scales"]

_SEED = "perfkit seed"
_WRITER = "table.batch_writer()"


def compare(*, quick: bool) -> Section:
    """Measure both, in turns, and then the memory."""
    scale, large = (0.1, 1.0) if quick else (1.0, 10.0)
    rounds = 1 if quick else 3
    items = _items(scale)
    peaks: list[MemoryPeak] = []

    def seed() -> Sequence[float]:
        seconds, peak = _seed(scale)
        peaks.append(peak)
        return [seconds]

    turns = {_SEED: seed, _WRITER: lambda: [_batch_writer_in_process(scale)]}
    seconds = interleave(turns, rounds=rounds)
    large_s, large_peak = _seed(large)
    seed_s, writer_s = (statistics.median(seconds[name]) for name in (_SEED, _WRITER))
    peak = max(peaks, key=lambda each: each.own_bytes)
    rows = [
        [_name(scale), *_rate(items, seed_s), *_memory(peak)],
        [_name(large), *_rate(_items(large), large_s), *_memory(large_peak)],
        [_WRITER, *_rate(items, writer_s), "", "", ""],
    ]
    headers = ["", "items", "s", "items/s", "processes", "peak memory", "of it not from files"]
    aims = [
        Aim.at_most(f"{format_count(items)} items seeded", seed_s, 10, " s"),
        Aim.at_least(
            "items a second ÷ those of the batch writer",
            writer_s / seed_s,
            4,
        ),
        _memory_aim(peak, large_peak),
    ]
    return Section(
        title="Seeding",
        method=(
            f"Medians of {rounds} interleaved runs; `{_SEED}` is the whole command in a new"
            " folder, from the start of Python to the verified count.\n"
            "The batch writer runs in one process on the same engine with the same generated"
            " items; its clock starts when everything is imported and the tables are there.\n"
            "Memory is the largest sum over the command's processes, looked up every 50 ms; each counts"
            " the pages of the data file that it maps, which are the system's and shared."
        ),
        tables=[Table(headers, rows)],
        aims=aims,
    )


def compare_scales(*, quick: bool) -> Section:
    """Seed two million items between two seedings of the plain scale."""
    plain, large = (0.1, 0.5) if quick else (1.0, 31.0)
    before_s, peak = _seed(plain)
    large_s, large_peak = _seed(large)
    after_s, after_peak = _seed(plain)
    peak = max(peak, after_peak, key=lambda each: each.own_bytes)
    plain_s = statistics.median([before_s, after_s])
    rows = [
        [
            _name(scale),
            *_rate(_items(scale), seconds),
            f"{seconds / _items(scale) * 1e6:.0f} µs",
            *_memory(memory),
        ]
        for scale, seconds, memory in ((plain, plain_s, peak), (large, large_s, large_peak))
    ]
    headers = [
        "",
        "items",
        "s",
        "items/s",
        "an item",
        "processes",
        "peak memory",
        "of it not from files",
    ]
    times = f"with {large / plain:g} times the items"
    an_item = (large_s / _items(large)) / (plain_s / _items(plain))
    own = large_peak.own_bytes / peak.own_bytes
    return Section(
        title="Seeding millions",
        method=(
            "The large scale once, between two seedings of the small one, of which the mean is"
            f" shown; `{_SEED}` is the whole command in a new folder, from the start of Python to"
            " the verified count.\n"
            "Memory is the largest sum over the command's processes, as under Seeding."
        ),
        tables=[Table(headers, rows)],
        aims=[
            Aim.at_most(f"time an item {times}", an_item, 1.2),
            Aim.at_most(f"peak memory not from files, {times}", own, 1.2),
        ],
    )


def _name(scale: float) -> str:
    return _SEED if scale == 1 else f"{_SEED} --scale {scale:g}"


def _items(scale: float) -> int:
    workload = load("courses")
    generator = ItemGenerator(workload, scale=scale)
    return sum(generator.count(table.name) for table in workload.tables)


def _rate(items: int, seconds: float) -> tuple[str, str, str]:
    return format_count(items), f"{seconds:.1f}", format_count(round(items / seconds))


def _memory(peak: MemoryPeak) -> tuple[str, str, str]:
    sizes = peak.resident_bytes, peak.own_bytes
    return str(peak.processes), format_bytes(sizes[0]), format_bytes(sizes[1])


def _memory_aim(small: MemoryPeak, large: MemoryPeak) -> Aim:
    # mapped pages of the data file are the system's, shared, and given back when it needs them
    what = "peak memory not from files, with ten times the items"
    return Aim.at_most(what, large.own_bytes / small.own_bytes, 1.25)


def _seed(scale: float) -> tuple[float, MemoryPeak]:
    """Run the command in a new folder; return seconds and memory."""
    with tempfile.TemporaryDirectory() as folder:
        start_s = time.perf_counter()
        command = [*perfkit_command(), *_name(scale).split()[1:]]
        process = start_command(command, Path(folder))
        peak, printed = watch(process)
        seconds = time.perf_counter() - start_s
        if process.returncode != 0:
            msg = f"{_SEED} ended with code {process.returncode}: {printed.strip()[-200:]}"
            raise TargetError(msg)
    return seconds, peak


def _batch_writer_in_process(scale: float) -> float:
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool,
    ):
        return pool.submit(_batch_writer, f"{folder}/writer.sqlite3", scale).result()


def _batch_writer(path: str, scale: float) -> float:
    from perfkit.dynamodb.client import embedded_resource

    resource = embedded_resource(path)
    workload = load("courses")
    for table in workload.tables:
        key = table.partition_key
        resource.create_table(
            TableName=table.name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": key.name, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key.name, "AttributeType": str(key.type)}],
        ).wait_until_exists()
    start_s = time.perf_counter()
    generator = ItemGenerator(workload, scale=scale)
    for table in workload.tables:
        with resource.Table(table.name).batch_writer() as writer:
            for item in generator.items(table.name, 0, generator.count(table.name)):
                writer.put_item(Item=_python_values(item))
    return time.perf_counter() - start_s


def _python_values(item: Item) -> dict[str, Any]:
    """Return an item as the resource interface takes it; it turns values back by itself."""
    return {
        name: Decimal(value["N"]) if "N" in value else next(iter(value.values()))
        for name, value in item.items()
    }
