"""A document's results before and after beside those of load tests, and what its figures exclude."""

from collections.abc import Iterable, Iterator, Mapping

from perfkit.analysis.fleet import Measured, measured_of, replay_of
from perfkit.analysis.load_runs import sides_under_load, subject_of
from perfkit.analysis.phases import warm
from perfkit.analysis.selection import Group, Selection
from perfkit.cost.quantities import short
from perfkit.cost.scaling import Policy
from perfkit.report.about import facts_of
from perfkit.report.figures import ABSENT, format_value
from perfkit.report.fleet import scaling_words
from perfkit.report.model import (
    Block,
    Cell,
    Column,
    Kind,
    Marked,
    Provenance,
    Row,
    Section,
    Table,
)
from perfkit.report.quoted import mapping, number
from perfkit.report.sections.dashboard import rounded
from perfkit.runs import Run, Variant
from perfkit.units import TIMES, format_share

__all__ = ["build"]

_FIGURES = (
    ("mean_s", "Response time", Kind.SECONDS, ""),
    ("requests_per_s", "Throughput", Kind.COUNT, " requests/s"),
    ("cpu_share", "CPU", Kind.SHARE, ""),
    ("failed_share", "Error rate", Kind.SHARE, ""),
)
_CPU_NOTE = "Of a core, on average, of each process that answers requests."
_ERROR_NOTE = "All requests that failed, timeouts among them."
_BURST_S = 300
"""Unused capacity of so long is saved up at most. Source: DynamoDB developer guide, burst capacity."""


def build(selection: Selection) -> Iterable[Section]:
    """Yield a section for the load tests of each group whose workload quotes a document's results."""
    for group in selection.groups:
        sides = [(run, total) for run, total in sides_under_load(group.runs) if _quotes(run)]
        if not sides:
            continue
        last = sides[-1][0]
        blocks: list[Block] = [_results(sides), *_readings(sides)]
        yield Section(
            name="results",
            subject=last.scenario,
            title=_title(selection, group),
            blocks=tuple(blocks),
            facts=facts_of(last),
            document={subject_of(run): _document(run, total) for run, total in sides},
        )


def _title(selection: Selection, group: Group) -> str:
    title = "Performance results, beside the document's"
    return title if len(selection.groups) == 1 else f"{title} ({group.title})"


def _quotes(run: Run) -> bool:
    return _name(run) in mapping(mapping(run.quoted).get("dashboard"))


def _name(run: Run) -> str:
    phase = None if run.load_test is None else run.load_test.settings.phase
    return "" if phase is None else warm(phase)


def _results(sides: list[tuple[Run, Variant]]) -> Table:
    rows: list[dict[str, Cell]] = [{"figure": label} for _, label, _, _ in _FIGURES]
    rows.append({"figure": "Auto scaling"})
    columns = [Column(key="figure", title="", label=True)]
    for run, total in sides:
        name, subject = _name(run), subject_of(run)
        quoted = mapping(mapping(mapping(run.quoted).get("dashboard")).get(name))
        measured = measured_of(run)
        found = _measured(total, measured)
        for row, (key, _, kind, unit) in zip(rows, _FIGURES, strict=False):
            row[f"{name}-quoted"] = _text(key, number(quoted, key), kind, unit)
            row[f"{name}-measured"] = _text(key, found.get(key), kind, unit)
        scaling = mapping(mapping(run.quoted).get("scaling")).get(name)
        rows[-1][f"{name}-quoted"] = None if scaling is None else str(scaling)
        rows[-1][f"{name}-measured"] = _scaled(measured)
        columns += [
            Column(
                key=f"{name}-quoted", title="document", group=subject, provenance=Provenance.QUOTED
            ),
            Column(key=f"{name}-measured", title="measured", group=subject),
        ]
    embedded = any(run.target.get("kind") == "embedded" for run, _ in sides)
    engine = " The embedded engine's own work is in it; on AWS DynamoDB does that." * embedded
    return Table(
        name="results",
        title="Before and after" if len(sides) > 1 else subject_of(sides[0][0]),
        main=True,
        notes=(f"CPU: {_CPU_NOTE}{engine}", f"Error rate: {_ERROR_NOTE}"),
        columns=tuple(columns),
        rows=tuple(rows),
    )


def _document(run: Run, total: Variant) -> Mapping[str, object]:
    measured = measured_of(run)
    quoted = mapping(mapping(mapping(run.quoted).get("dashboard")).get(_name(run)))
    return {
        "run": run.id,
        "quoted": {key: number(quoted, key) for key, _, _, _ in _FIGURES},
        "measured": dict(_measured(total, measured)),
        "modelled": {
            "scale_events": None if measured is None else len(replay_of(measured, Policy()).events)
        },
    }


def _measured(total: Variant, measured: Measured | None) -> Mapping[str, float | None]:
    return {
        "mean_s": total.latency_s.mean,
        "requests_per_s": None if total.http is None else total.http.requests_per_s,
        "cpu_share": _cpu_share(total, measured),
        "failed_share": total.error_rate,
    }


def _cpu_share(total: Variant, measured: Measured | None) -> float | None:
    if measured is not None:
        return round(measured.busy_share, 3)
    return None if total.service is None else total.service.cpu_share


def _text(key: str, value: float | None, kind: Kind, unit: str) -> str:
    if value is None:
        return ABSENT
    return f"{format_value(rounded(key, value), kind)}{unit}"


def _scaled(measured: Measured | None) -> Cell:
    if measured is None:
        return None
    policy = Policy()
    return Marked(
        value=scaling_words(replay_of(measured, policy)),
        note=(
            "The CPU of the load test, over and over for an hour, under target tracking at"
            f" {format_share(policy.target)}, {policy.least} to {policy.most} instances;"
            " `perfkit fleet` takes other figures and shows how it comes about."
        ),
        provenance=Provenance.MODELLED,
    )


def _readings(sides: list[tuple[Run, Variant]]) -> Iterator[Table]:
    """Yield what the document says of its reads before, and what was measured, in one measure."""
    run, total = sides[0]
    reads = mapping(mapping(run.quoted).get("reads"))
    rate_hz, units = number(reads, "requests_per_s"), number(reads, "units_a_request")
    dashboard = number(reads, "dashboard_units_per_s")
    bill = number(reads, "provisioned_units_per_s")
    is_before = run.load_test is not None and run.load_test.settings.phase == 0
    if not is_before or not rate_hz or not units or not dashboard or not bill:
        return
    burst = bill * _BURST_S
    note = (
        f"The document's figures exclude each other: {short(rate_hz)} scans a second {TIMES}"
        f" {short(units)} units are {short(rate_hz * units)} RCU/s; its dashboard says"
        f" {short(dashboard)}, which is {short(dashboard / units)} scans a second, and its bill"
        f" {short(bill)}, which is {short(bill / units)}. A full burst, {_BURST_S} s {TIMES}"
        f" {short(bill)} = {short(burst)} units, is {short(burst / units)} scans."
    )
    question = str(mapping(run.quoted).get("question", ""))
    own = next((each for each in run.variants if each.question == question), None)
    measured_units = None if own is None else own.capacity_units
    quoted = (
        (f"{short(rate_hz)} requests/s, each a scan", rate_hz * units),
        ("the dashboard's RCU/s", dashboard),
        ("the bill's RCU", bill),
        (f"the bill's, with its burst, for {_BURST_S} s", bill + burst / _BURST_S),
    )
    rows: list[Row] = [
        {
            "reading": reading,
            "figures": Provenance.QUOTED,
            "read_units_per_s": units_s,
            "scans_per_s": units_s / units,
            "at_measured_per_s": units_s / measured_units if measured_units else None,
        }
        for reading, units_s in quoted
    ]
    rows.append(_measured_reads(run, total, own))
    yield Table(
        name="readings",
        title="Reads before: what each figure of the document allows, and what was measured",
        notes=(note,),
        columns=(
            Column(key="reading", title="reading", label=True),
            Column(key="figures", title="figures", label=True),
            Column(key="read_units_per_s", title="RCU/s", kind=Kind.COUNT),
            Column(
                key="scans_per_s",
                title=f"of {short(units)} units",
                kind=Kind.COUNT,
                group="scans a second",
                provenance=Provenance.MODELLED,
            ),
            Column(
                key="at_measured_per_s",
                title="as measured",
                kind=Kind.COUNT,
                group="scans a second",
                provenance=Provenance.MODELLED,
            ),
            Column(
                key="requests_per_s",
                title="/s",
                kind=Kind.COUNT,
                group="requests measured",
                note=f"Of {question if own is not None else total.operation}; RCU/s of all requests.",
            ),
            Column(
                key="capacity_units",
                title="RCU each",
                kind=Kind.CAPACITY,
                group="requests measured",
            ),
            Column(key="failed_share", title="failed", kind=Kind.SHARE, group="requests measured"),
        ),
        rows=tuple(rows),
    )


def _measured_reads(run: Run, total: Variant, own: Variant | None) -> Row:
    service = total.service
    shown = total if own is None else own
    rate_hz = None if shown.http is None else shown.http.requests_per_s
    return {
        "reading": subject_of(run),
        "figures": Provenance.MEASURED,
        "read_units_per_s": None
        if service is None
        else rounded("read_units_per_s", service.read_units_per_s),
        "requests_per_s": rounded("requests_per_s", rate_hz),
        "capacity_units": shown.capacity_units,
        "failed_share": shown.error_rate,
    }
