"""Runs as they are saved: what a run file says, and the folder that keeps run files."""

import base64
import contextlib
import errno
import json
import os
import re
import secrets
import struct
import sys
import types
import typing
import zlib
from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from math import inf, isfinite
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self

from perfkit import __version__
from perfkit.capacity import INDEX_ENTRY_OVERHEAD_BYTES
from perfkit.errors import ConfigError, PerfkitError, RunFileError, StorageFullError

__all__ = [
    "FORMAT",
    "CacheFigures",
    "Check",
    "Comparison",
    "Hour",
    "LatencySummary",
    "Listing",
    "Run",
    "RunStore",
    "ServiceFigures",
    "Variant",
    "WriteCost",
    "is_run_file",
    "now_utc",
]

# Formats so far:
#   1  the first one. Keys may be added to it; a change of meaning makes it 2.
FORMAT = 1


def now_utc() -> str:
    """Return the present moment as run files write it: UTC, ISO 8601, microseconds, `Z`."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class _Histogram:
    """Marks text that is empty or an HdrHistogram V2, compressed, in base64."""


@dataclass(frozen=True, slots=True)
class _Range:
    """What a number in a run file may be: beyond it no measurement comes, and reports mislead."""

    least: float = 0.0
    most: float = 1e15

    def holds(self, value: float) -> bool:
        return self.least <= value <= self.most

    def __str__(self) -> str:
        if self.most == inf:
            return "above 0"
        return (
            f"at most {self.most:g}" if self.least == -inf else f"{self.least:g} to {self.most:g}"
        )


Count = Annotated[int, _Range()]
AtLeastOne = Annotated[int, _Range(least=1)]
# units, sizes in bytes, rates a second
Amount = Annotated[float, _Range()]
# 30 years
Seconds = Annotated[float, _Range(most=1e9)]
Share = Annotated[float, _Range(most=1)]
# a share by which a figure fell; below 0 it rose
Fall = Annotated[float, _Range(least=-inf, most=1)]
# how many times; reports divide by it
Ratio = Annotated[float, _Range(least=sys.float_info.min, most=inf)]
HistogramText = Annotated[str, _Histogram()]


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySummary:
    """Latencies of one variant's calls in seconds, as the caller waited for them."""

    count: AtLeastOne
    mean: Seconds
    p50: Seconds
    p90: Seconds
    p95: Seconds
    p99: Seconds
    max: Seconds
    min: Seconds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheFigures:
    """
    How the calls of one variant met the cache: hits + misses + errors are those that looked.

    Each mean is that of its calls, None where there were none.
    """

    hits: Count
    misses: Count
    errors: Count
    hit_mean_s: Seconds | None = None
    miss_mean_s: Seconds | None = None
    error_mean_s: Seconds | None = None

    @property
    def requests(self) -> int:
        """Calls that looked into the cache."""
        return self.hits + self.misses + self.errors

    @property
    def hit_rate(self) -> float | None:
        """Hits among all calls; None if nothing looked."""
        return self.hits / self.requests if self.requests else None

    @property
    def worked_out_mean_s(self) -> float | None:
        """The mean of all calls, worked out from the shares and the mean of each."""
        parts = (
            (self.hits, self.hit_mean_s),
            (self.misses, self.miss_mean_s),
            (self.errors, self.error_mean_s),
        )
        if not self.requests or any(count and mean_s is None for count, mean_s in parts):
            return None
        return sum(count * (mean_s or 0.0) for count, mean_s in parts) / self.requests


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFigures:
    """What a service showed while one variant was asked over HTTP."""

    # switch -> on
    switches: dict[str, Any]
    # answered in the time the requests took, at `Variant.concurrency` under way at once
    requests_per_s: Amount
    read_units_per_s: Amount | None
    # share of answers with a status of 500 or above, 0 to 1
    failed_share: Share
    # processes of the service that answered their health check, and how many there should be
    healthy: Count
    instances: Count
    # processor time of all processes of the service: for one request, and as a share of one core
    cpu_s: Seconds | None
    cpu_share: Amount | None
    # stage -> mean seconds of a request, in order, from the header Server-Timing
    stages_s: dict[str, Seconds]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """
    One way to answer the question, as measured.

    `calls`, `requests`, `errors` and `retries` count the whole measurement; every other figure
    is for one call. A call answers the question once and may take many requests (pages).
    """

    name: str
    operation: str
    calls: AtLeastOne
    requests: Count
    errors: Count
    # None where the target does not say
    items_read: Count | None
    # items in the answer, after every filter
    items_returned: Count
    # size of the items read; see bytes_read_source
    bytes_read: Count | None
    capacity_units: Amount | None
    # who counted: the kind of target ("embedded", "endpoint", "aws"), or "none"
    capacity_source: str
    latency_s: LatencySummary
    # all calls: HdrHistogram V2, compressed, base64, in microseconds
    histogram: HistogramText
    client_cpu_s: Seconds | None = None
    retries: Count = 0
    # requests of one call
    requests_per_call: Amount | None = None
    # items that crossed the wire; a filter in the service receives more than it returns
    items_received: Count | None = None
    # "items": summed over the items themselves; "capacity": at most, from whole read units
    bytes_read_source: str = "none"
    # "eventual" or "strong"
    consistency: str = "eventual"
    # the same answer read strongly consistent, and whether that was "measured" or "modelled" (twice)
    capacity_units_strong: Amount | None = None
    capacity_strong_source: str = "none"
    table: str | None = None
    index: str | None = None
    # requests under way at once
    concurrency: AtLeastOne = 1
    # median latency of each round, in the order of the rounds
    rounds_s: tuple[Seconds, ...] = ()
    # which question it answers, where a run has several; only variants of one are compared
    question: str = ""
    # whole answer of one call: over HTTP as it came, otherwise its items as DynamoDB's JSON
    body_bytes: Count | None = None
    cache: CacheFigures | None = None
    service: ServiceFigures | None = None

    @property
    def items_wasted(self) -> int | None:
        """Items read and paid for that are not in the answer."""
        return None if self.items_read is None else self.items_read - self.items_returned

    @property
    def wasted_share(self) -> float | None:
        """Share of the items read that are not in the answer, 0 to 1."""
        if self.items_read is None or self.items_wasted is None:
            return None
        return self.items_wasted / self.items_read if self.items_read else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """
    Two variants of one run; ratios are baseline ÷ candidate, so above 1 the candidate wins.

    `significant` is False when the interval contains 1, or when there is no interval because
    there were too few rounds.
    """

    baseline: str
    candidate: str
    latency_ratio: Ratio
    latency_ratio_ci95: tuple[Ratio, Ratio] | None
    capacity_ratio: Ratio | None
    results_equal: bool
    significant: bool = False
    rounds: Count = 0
    question: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """
    A promise held against what was measured.

    `promised` and `measured` are shares by which a figure fell, 0.8 for 80% less. The verdict is
    "pass" or "fail" where the whole interval is on one side of the promise, else "invalid", and
    `reason` says why no verdict is possible.
    """

    name: str
    question: str
    figure: str
    promised: Fall
    measured: Fall | None
    interval: tuple[Fall, Fall] | None
    verdict: str
    reason: str = ""
    baseline: str = ""
    candidate: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hour:
    """
    Some time of traffic through a cache.

    `provenance` is "modelled" for virtual time, "measured" for a real run, "quoted" for a document;
    the latencies behind `mean_s` are in `cache`.
    """

    name: str
    provenance: str
    # of the latencies: "measured" in this run or "quoted"
    latencies: str
    duration_s: Seconds
    ttl_s: Seconds | None
    cache: CacheFigures
    # queries made: misses and errors, less those that shared another's
    fills: Count | None = None
    invalidations: Count | None = None
    # mean of all requests; None takes what `cache` works out
    mean_s: Seconds | None = None
    read_units: Amount | None = None
    # busiest second
    peak_fills_per_s: Count | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteCost:
    """
    What a table, or one index of it, takes for each kind of write, and how large its entries are.

    Means over a sample of the workload's items, for an index over those that have an entry; `units`
    maps a kind of change ("insert", "unchanged", "update", "key-change", "delete") to write units,
    and lacks what cannot be done.
    """

    table: str
    # None: the table itself, without any index
    index: str | None
    units: dict[str, Amount]
    # mean size of an entry, or of an item where this is the table; overhead not counted
    entry_bytes: Amount
    # items of the whole table, and the share of them that have an entry
    items: Count
    entries_share: Share = 1.0
    sample_items: Count = 0
    projection: str = ""
    # attributes other than keys that an INCLUDE projection holds
    attributes: tuple[str, ...] = ()
    # the projection is the one that the workload says
    declared: bool = True
    # which patterns ask the index, and whether it holds all that they need
    patterns: tuple[str, ...] = ()
    covers: bool = True
    # those of them that filter nothing, or by what it holds; None in a run that does not say
    filters: tuple[str, ...] | None = None

    @property
    def entries(self) -> float:
        """Entries of the whole index, or items of the table."""
        return self.items * self.entries_share

    @property
    def stored_bytes(self) -> float:
        """What is billed as stored, overhead included."""
        return self.entries * (self.entry_bytes + INDEX_ENTRY_OVERHEAD_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a scenario or a load test: the content of one run file."""

    kind: str
    scenario: str
    workload: str
    target: dict[str, Any]
    started_at: str
    machine: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    variants: tuple[Variant, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    # reasons to believe a figure wrong or beside the question, each with what to do about it
    warnings: tuple[str, ...] = ()
    # reasons to read a figure with a margin: few calls, outliers, a busy machine
    cautions: tuple[str, ...] = ()
    # what would complete this run, e.g. the command that creates a missing index
    next_steps: tuple[str, ...] = ()
    # figures of a document, as the workload quotes them
    quoted: dict[str, Any] | None = None
    # promises held against the figures
    checks: tuple[Check, ...] = ()
    # traffic through a cache, in virtual and in real time
    hours: tuple[Hour, ...] = ()
    # what writes to tables and to their indexes take
    write_costs: tuple[WriteCost, ...] = ()
    description: str = ""
    # wire form, ":name" -> {"S": "..."}
    parameters: dict[str, Any] = field(default_factory=dict)
    workload_digest: str = ""
    # how long the workload keeps an answer to the question in its cache, 0 where it has no cache
    # policy; None in a run that does not say
    cache_ttl_s: Seconds | None = None
    duration_s: Seconds = 0.0
    # name of its file without ".json"; given when saved
    id: str = ""
    perfkit: str = __version__
    format: int = FORMAT

    def variant(self, name: str, question: str | None = None) -> Variant | None:
        """Return the variant called *name*, of *question* if given, or None if there is none."""
        return next(
            (
                variant
                for variant in self.variants
                if variant.name == name and question in {None, variant.question}
            ),
            None,
        )

    @property
    def questions(self) -> tuple[str, ...]:
        """Return what the variants answer, each question once, in their order."""
        return tuple(dict.fromkeys(variant.question for variant in self.variants))

    def to_dict(self) -> dict[str, Any]:
        """Return the run as plain JSON values, `format` first."""
        data = asdict(self)
        return {"format": data.pop("format"), "perfkit": data.pop("perfkit"), **data}

    @classmethod
    def from_dict(cls, data: object, source: str) -> Self:
        """
        Return the run that *data* describes.

        Args:
            data: A parsed run file.
            source: Where it came from, for messages.

        Raises:
            RunFileError: *data* is no run, is of a newer format, or has a value of a wrong type or
                one that nothing measures, such as a negative count.
        """
        version = data.get("format") if isinstance(data, dict) else None
        if type(version) is not int or version < 1:
            msg = f'{source} is not a perfkit run (no "format" number); leave it out'
            raise RunFileError(msg)
        if version > FORMAT:
            msg = (
                f"{source} has run format {version}, and perfkit {__version__} reads up to"
                f" {FORMAT}; upgrade perfkit or measure again"
            )
            raise RunFileError(msg)
        try:
            run: Self = _decode(cls, data, "run")
            _parse_moment(run.started_at)
            _check_traffic(run.settings)
        except _WrongShapeError as error:
            msg = f"{source} is damaged: {error}; leave it out and measure again"
            raise RunFileError(msg) from error
        return run


class _WrongShapeError(ValueError):
    """A value in a run file is not what its key promises."""


@lru_cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls, include_extras=True)


def _decode(kind: Any, value: Any, where: str) -> Any:
    """
    Return *value* (parsed JSON) as *kind*, one of the types the dataclasses above use.

    Unknown keys are ignored and missing ones get their default, so a file written by a newer
    perfkit of the same format loads.
    """
    if is_dataclass(kind):
        if not isinstance(value, dict):
            raise _wrong(where, "an object", value)
        hints = _hints(typing.cast("type", kind))
        arguments = {}
        for each in fields(kind):
            if each.name in value:
                arguments[each.name] = _decode(
                    hints[each.name], value[each.name], f"{where}.{each.name}"
                )
            elif each.default is MISSING and each.default_factory is MISSING:
                msg = f"{where}.{each.name} is missing"
                raise _WrongShapeError(msg)
        return typing.cast("Any", kind)(**arguments)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        return _checked(inner[1], _decode(inner[0], value, where), where)
    if origin in {types.UnionType, typing.Union}:
        return None if value is None else _decode(inner[0], value, where)
    if origin is tuple:
        if not isinstance(value, list):
            raise _wrong(where, "a list", value)
        if inner[-1] is Ellipsis:
            return tuple(
                _decode(inner[0], each, f"{where}[{number}]") for number, each in enumerate(value)
            )
        if len(value) != len(inner):
            raise _wrong(where, f"a list of {len(inner)}", value)
        return tuple(
            _decode(part, each, f"{where}[{number}]")
            for number, (part, each) in enumerate(zip(inner, value, strict=True))
        )
    if origin is dict:
        if not isinstance(value, dict):
            raise _wrong(where, "an object", value)
        if inner[1] is Any:
            return value
        return {key: _decode(inner[1], each, f"{where}.{key}") for key, each in value.items()}
    if kind is float and type(value) is int:
        try:
            return float(value)
        except OverflowError as error:
            raise _wrong(where, "a number", value) from error
    if type(value) is not kind:
        raise _wrong(where, _TYPE_NAMES[kind], value)
    return value


def _checked(promise: _Range | _Histogram, value: Any, where: str) -> Any:
    """Return *value* if it is what its type promises beyond being a number or text."""
    if isinstance(promise, _Range):
        if not promise.holds(value):
            raise _wrong(where, str(promise), value)
    elif value and not _is_histogram(value):
        raise _wrong(where, "a histogram", value)
    return value


# HdrHistogram V2: cookies of the compressed and of the plain form, without the word size
_COMPRESSED, _PLAIN, _COOKIE_MASK = 0x1C849304, 0x1C849303, ~0xF0
_PLAIN_HEADER_BYTES = 40


def _is_histogram(text: str) -> bool:
    """
    Tell whether *text* is whole; the checksum of zlib shows a single wrong character.

    `perfkit.measure.histogram` reads it, with a library that is slow to load.
    """
    try:
        data = base64.b64decode(text, validate=True)
        cookie, length = struct.unpack_from(">II", data)
        plain = zlib.decompress(data[8:])
        plain_cookie, counts = struct.unpack_from(">II", plain)
    except (ValueError, struct.error, zlib.error):
        return False
    found = (cookie & _COOKIE_MASK, length, plain_cookie & _COOKIE_MASK, counts)
    return found == (_COMPRESSED, len(data) - 8, _PLAIN, len(plain) - _PLAIN_HEADER_BYTES)


def _check_traffic(settings: Mapping[str, Any]) -> None:
    """Bills are worked out from the traffic among the settings, so that it is checked like figures."""
    for key, value in settings.items():
        if key.startswith("traffic_") and type(value) in {int, float}:
            _checked(_Range(), value, f"run.settings.{key}")


_TYPE_NAMES = {str: "text", int: "a whole number", float: "a number", bool: "true or false"}


def _wrong(where: str, expected: str, value: object) -> _WrongShapeError:
    return _WrongShapeError(f"{where} should be {expected}, found {json.dumps(value)[:60]}")


_OUTERMOST = tuple(timezone(timedelta(hours=hours)) for hours in (-23, 0, 23))


def _parse_moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        # the first and the last day of all time are beyond it in another time zone
        for zone in _OUTERMOST:
            moment.astimezone(zone)
    except (ValueError, OverflowError) as error:
        where = "run.started_at"
        raise _wrong(where, "a moment such as 2026-01-01T00:00:00Z", text) from error
    return moment


def _read_float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        msg = f"{text} is too large a number"
        raise ValueError(msg)
    return number


def _refuse_constant(name: str) -> float:
    msg = f"{name} is no number"
    raise ValueError(msg)


class Listing(NamedTuple):
    """Runs found, newest first, and one error for each file that could not be read."""

    runs: list[Run]
    problems: list[RunFileError]


class RunStore:
    """
    The folder that keeps run files.

    A run is written under a temporary name in the same folder, forced to disk and renamed: a
    reader, or a power cut, sees a whole run or none.

    Args:
        folder: Made when the first run is saved; usually `.perfkit/runs`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def prepare(self) -> None:
        """
        Make the folder, so that a long measurement does not fail at its end.

        Raises:
            StorageFullError: The disk or the quota is full.
            ConfigError: The folder cannot be made or written to.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if not os.access(self.folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        except OSError as error:
            raise self._cannot_save(error) from error

    def save(self, run: Run) -> Path:
        """
        Save *run* and return its file; the file's name without `.json` is the run's id.

        Raises:
            StorageFullError: The disk or the quota is full; nothing of the run is left behind.
            ConfigError: The folder cannot be made or written to.
        """
        if not run.id:
            run = replace(run, id=new_id(run.scenario, run.started_at))
        path = self.folder / f"{run.id}.json"
        temporary = self.folder / f".{run.id}.{os.getpid()}.tmp"
        text = json.dumps(run.to_dict(), ensure_ascii=False, allow_nan=False, indent=1)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                _write_through(temporary, text.encode() + b"\n")
                temporary.replace(path)
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink(missing_ok=True)
                raise
            _sync_folder(self.folder)
        except OSError as error:
            raise self._cannot_save(error) from error
        return path

    def _cannot_save(self, error: OSError) -> PerfkitError:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return StorageFullError(
                f"no space left to save the run in {self.folder}; free some and measure again"
            )
        return ConfigError(
            f"cannot save runs in {self.folder} ({error.strerror or error});"
            " make the folder writable or work in another one"
        )

    def load(self, name: str | Path) -> Run:
        """
        Return one saved run.

        Args:
            name: A path, or the id of a run in this folder.

        Raises:
            RunFileError: There is no such file, or it is cut short, foreign or of a newer format.
        """
        path = Path(name)
        by_id = self.folder / f"{name}.json"
        if not path.is_file() and by_id.is_file():
            path = by_id
        try:
            text = path.read_bytes()
        except FileNotFoundError as error:
            msg = f"no run file {path}; `perfkit status` lists the saved runs"
            raise RunFileError(msg) from error
        except OSError as error:
            msg = f"cannot read run file {path} ({error.strerror or error})"
            raise RunFileError(msg) from error
        try:
            data = json.loads(text, parse_float=_read_float, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            # UnicodeDecodeError and JSONDecodeError are both ValueErrors
            msg = (
                f"run file {path} is cut short or is no JSON ({error}); leave it out and measure"
                " again"
            )
            raise RunFileError(msg) from error
        run = Run.from_dict(data, f"run file {path}")
        return run if run.id else replace(run, id=path.stem)

    def list(self, scenario: str | None = None) -> Listing:
        """
        Return the saved runs, newest first; a file that is no run becomes a problem, not an error.

        Args:
            scenario: Only runs of this scenario.
        """
        runs, problems = [], []
        try:
            # temporary files of a killed perfkit begin with a dot and do not end in .json
            paths = sorted(path for path in self.folder.iterdir() if path.suffix == ".json")
        except (FileNotFoundError, NotADirectoryError):
            paths = []
        except OSError as error:
            msg = f"cannot read the runs in {self.folder} ({error.strerror or error})"
            raise ConfigError(msg) from error
        for path in paths:
            try:
                run = self.load(path)
            except RunFileError as error:
                problems.append(error)
                continue
            if scenario is None or run.scenario == scenario:
                runs.append(run)
        runs.sort(key=lambda run: (_parse_moment(run.started_at), run.id), reverse=True)
        return Listing(runs, problems)


_BEGINNING = re.compile(rb'\s*\{\s*"format":\s*\d+,\s*"perfkit":')


def is_run_file(path: Path) -> bool:
    """Tell whether a file can be read and was written as a run, also one cut short since."""
    try:
        with path.open("rb") as file:
            return _BEGINNING.match(file.read(200)) is not None
    except OSError:
        return False


def new_id(scenario: str, started_at: str) -> str:
    """Return a name for a run's file that sorts by time and that no other run has."""
    stamp = _parse_moment(started_at).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    word = re.sub(r"[^A-Za-z0-9_-]+", "-", scenario).strip("-")[:60] or "run"
    return f"{stamp}-{word}-{secrets.token_hex(3)}"


def _write_through(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Force a rename to disk, where the system can open a folder to do so."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        # some network and container file systems refuse; the rename itself has happened
        with contextlib.suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
