"""`perfkit traffic check`: what the rules find, what of it is known and left alone, what fails."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from fnmatch import fnmatchcase

from perfkit.gates.ci_results import Case, junit_xml, workflow_command
from perfkit.report.model import Block, Report, Section, Statement, Statements, Tone
from perfkit.traffic.failures import Failures
from perfkit.traffic.figures import Summary
from perfkit.traffic.findings import Finding, Rule, Settings
from perfkit.traffic.rules import RULES, find
from perfkit.traffic.show import example_lines
from perfkit.traffic.trace import Call
from perfkit.units import format_count, format_many, format_units, format_usd
from perfkit.workloads.model import Ignored

__all__ = ["Checked", "annotations", "build_report", "check", "junit", "junit_unanswered", "screen"]

_ON_SCREEN = 5

_SUITE = "perfkit traffic check"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """
    What the rules found.

    Args:
        summary: The figures of the trace.
        findings: What is wrong, that of most worth first.
        ignored: What is wrong and known, with the reason why it is left alone.
        unmatched: Entries of the ignore list that nothing was found for.
        failing: Why the check fails, a line each; empty if it does not.
        skipped: Rules that could not be applied, with the reason.
        examples: The requests that findings name, by number.
    """

    summary: Summary
    findings: tuple[Finding, ...]
    ignored: tuple[tuple[Finding, str], ...]
    unmatched: tuple[Ignored, ...]
    failing: tuple[str, ...]
    skipped: tuple[str, ...]
    examples: Mapping[int, Call]

    @property
    def worth_usd(self) -> float:
        """What all remedies save; of two for one kind of request the better one."""
        best: dict[str, float] = {}
        for each in self.findings:
            best[each.request] = max(best.get(each.request, 0.0), each.worth_usd)
        return sum(best.values())


def check(
    summary: Summary,
    settings: Settings,
    *,
    ignored: Sequence[Ignored] = (),
    fail_on: Iterable[Rule] = (),
    max_rcu: float | None = None,
) -> Checked:
    """
    Apply all rules.

    Args:
        summary: The figures of a trace.
        settings: What the user says to the rules.
        ignored: What is known.
        fail_on: Rules whose findings fail the check.
        max_rcu: Most read units that one request may consume.
    """
    kept: list[Finding] = []
    known: list[tuple[Finding, str]] = []
    used: set[Ignored] = set()
    for finding in find(summary, settings):
        entry = next((each for each in ignored if _matches(each, finding)), None)
        if entry is None:
            kept.append(finding)
        else:
            used.add(entry)
            known.append((finding, entry.reason))
    scans = {each.request for each in kept if each.rule is Rule.SCAN}
    kept = [
        replace(each, worth_usd=0.0, worth="counted in the scan above")
        if each.rule is Rule.FILTER and each.request in scans
        else each
        for each in kept
    ]
    kept.sort(key=lambda each: -each.worth_usd)
    wanted = set(fail_on)
    named = {each.example for each in kept}
    failing = [f"{each.rule}: {each.request}" for each in kept if each.rule in wanted]
    if max_rcu is not None:
        failing += _too_large(summary, max_rcu)
    return Checked(
        summary=summary,
        findings=tuple(kept),
        ignored=tuple(known),
        unmatched=tuple(each for each in ignored if each not in used),
        failing=tuple(failing),
        skipped=tuple(_skipped(summary, settings)),
        examples={each.number: each for each in summary.trace.calls() if each.number in named},
    )


def _matches(entry: Ignored, finding: Finding) -> bool:
    return entry.rule in {"*", finding.rule} and fnmatchcase(finding.request, _glob(entry.request))


def _glob(pattern: str) -> str:
    # only * stands for something: a request's text may have brackets in it
    return re.sub(r"[\[?]", lambda found: f"[{found[0]}]", pattern)


def _too_large(summary: Summary, max_rcu: float) -> Iterator[str]:
    for each in summary.figures:
        example = each.example
        if example is not None and each.read_units and example.total_units > max_rcu:
            yield (
                f"{each.fingerprint.text}: request {format_count(example.number)} consumed"
                f" {format_units(example.total_units)} RCU, and"
                f" {format_units(max_rcu)} are allowed"
            )


def _skipped(summary: Summary, settings: Settings) -> Iterator[str]:
    if settings.idle_after_s is None:
        yield f"{Rule.IDLE_INDEX} needs --index-time, how long a recording must be to judge by"
    elif summary.trace.duration_s < settings.idle_after_s:
        yield f"{Rule.IDLE_INDEX} needs a recording as long as --index-time"
    if not any(each.arms for each in summary.figures):
        yield "the target does not say what requests consume, so units are unknown"


# ---- how it is shown -----------------------------------------------------------------------


def screen(checked: Checked, *, more: str) -> tuple[Block, ...]:
    """Return one screen: how much was found, the most valuable findings, what fails."""
    shown = checked.findings[:_ON_SCREEN]
    rest = [Statement(text=text) for text in _rest(checked, len(checked.findings) - len(shown))]
    rest.append(Statement(text=f"More: {more}"))
    return (
        Statements(name="sum", statements=tuple(_sum(checked))),
        *(
            Statements(name=f"finding-{number}", statements=tuple(_lines(checked, each)))
            for number, each in enumerate(shown, 1)
        ),
        Statements(
            name="rest",
            statements=(
                *(Statement(text=f"Fails: {each}", tone=Tone.WARNING) for each in checked.failing),
                *rest,
            ),
        ),
    )


def build_report(checked: Checked) -> Report:
    """Return everything, for any of the renderers."""
    title = f"perfkit traffic check: {checked.summary.trace.path.name}"
    sections = [
        Section(
            name="check",
            title="Found",
            blocks=(
                Statements(name="sum", statements=tuple(_sum(checked))),
                *(
                    Statements(
                        name=f"finding-{number}",
                        statements=(*_lines(checked, each), *_example(checked, each)),
                    )
                    for number, each in enumerate(checked.findings, 1)
                ),
                Statements(
                    name="rest",
                    statements=tuple(Statement(text=text) for text in _rest(checked, 0)),
                ),
            ),
            document=_document(checked),
        )
    ]
    if checked.ignored:
        statements = tuple(
            Statement(text=f"{each.rule}: {each.request}: {reason}")
            for each, reason in checked.ignored
        )
        sections.append(
            Section(
                name="ignored",
                title="Known and left alone",
                blocks=(Statements(name="ignored", statements=statements),),
            )
        )
    return Report(title=title, sections=tuple(sections), heading=title)


def _document(checked: Checked) -> dict[str, object]:
    return {
        "trace": str(checked.summary.trace.path),
        "failures": dict(checked.summary.trace.failures.by_error),
        "worth_usd": checked.worth_usd,
        "basis": checked.summary.money_basis,
        "capacity_doubt": checked.summary.trace.capacity_doubt or None,
        "findings": [asdict(each) for each in checked.findings],
        "ignored": [asdict(each) | {"reason": reason} for each, reason in checked.ignored],
        "failing": list(checked.failing),
        "skipped": list(checked.skipped),
    }


def _sum(checked: Checked) -> Iterator[Statement]:
    trace = checked.summary.trace
    if trace.failures.text:
        yield Statement(text=trace.failures.warning, tone=Tone.WARNING)
    number = format_many(len(checked.findings), "finding", "findings")
    if not checked.findings:
        number = f"Nothing found by {len(RULES)} rules"
    found = f"{number} in {format_many(trace.requests, 'request', 'requests')} of {trace.path.name}"
    if checked.worth_usd and checked.summary.has_rate:
        found += f", worth up to {format_usd(checked.worth_usd)} a month at this rate (modelled)"
    yield Statement(text=f"{found}.")


def _lines(checked: Checked, each: Finding) -> Iterator[Statement]:
    yield Statement(text=f"{each.rule}: {each.request}", tone=Tone.WARNING)
    yield Statement(text=f"  {each.what}: {each.evidence}.")
    saved = [each.worth] if each.worth else []
    if each.worth_usd:
        saved.insert(0, f"{format_usd(each.worth_usd)} {checked.summary.money_basis}")
    worth = f" Worth {'; '.join(saved)}." if saved else ""
    yield Statement(text=f"  Remedy: {each.remedy}.{worth}")


def _example(checked: Checked, each: Finding) -> Iterator[Statement]:
    call = checked.examples.get(each.example)
    if call is not None:
        yield from example_lines(call, checked.summary.trace.fingerprints[call.fingerprint])


def _rest(checked: Checked, hidden: int) -> Iterator[str]:
    if hidden > 0:
        yield f"{format_many(hidden, 'further finding', 'further findings')}."
    if checked.ignored:
        known = format_many(len(checked.ignored), "finding", "findings")
        yield f"{known} on the ignore list left alone."
    for each in checked.unmatched:
        yield f"Nothing found for the ignore list's {each.rule}, {each.request}: is it still needed?"
    if checked.summary.trace.capacity_doubt:
        yield f"Doubtful: {checked.summary.trace.capacity_doubt}."
    for text in checked.skipped:
        yield f"Not looked at: {text}."


def junit(checked: Checked, fail_on: Iterable[Rule]) -> str:
    """Return the result as JUnit XML: a case for each rule, a failure for each that fails."""
    wanted = set(fail_on)
    cases = []
    for rule in RULES:
        found = [each for each in checked.findings if each.rule is rule]
        texts = [f"{each.request}: {each.what}: {each.evidence}" for each in found]
        cases.append(_case(str(rule), texts, fails=rule in wanted and bool(found)))
    large = _over_the_limit(checked)
    cases.append(_case("max-rcu-per-request", large, fails=bool(large)))
    return junit_xml(_SUITE, cases)


def junit_unanswered(failures: Failures) -> str:
    """Return as JUnit XML that nothing could be checked, because no request was answered."""
    why = Case(
        suite=_SUITE,
        classname="perfkit.traffic",
        name="requests answered",
        problem="error",
        kind="unanswered",
        message=failures.warning,
        text=failures.warning,
    )
    return junit_xml(_SUITE, [why])


def _case(name: str, texts: Sequence[str], *, fails: bool) -> Case:
    return Case(
        suite=_SUITE,
        classname="perfkit.traffic",
        name=name,
        problem="failure" if fails else None,
        kind=name,
        message=texts[0] if texts else "",
        text="\n".join(texts),
    )


def _over_the_limit(checked: Checked) -> list[str]:
    return [each for each in checked.failing if each.endswith("are allowed")]


def annotations(checked: Checked, fail_on: Iterable[Rule]) -> Iterator[str]:
    """Yield a workflow command of GitHub's for each finding."""
    wanted = set(fail_on)
    for each in checked.findings:
        yield workflow_command(
            "error" if each.rule in wanted else "warning",
            f"{each.rule} {each.request}",
            f"{each.what}: {each.evidence}. Remedy: {each.remedy}.",
        )
    for text in _over_the_limit(checked):
        yield workflow_command("error", "max-rcu-per-request", text)
