"""Load tests in words: what was asked of what, and whether the measurement holds."""

from perfkit.analysis.verdict import Ruling, Verdict
from perfkit.runs import LoadModel, LoadTest, Run
from perfkit.units import format_duration, format_many, format_quantity

__all__ = ["asked", "subject_of", "validity"]


def subject_of(run: Run) -> str:
    """Return what was loaded, in a few words: `phase 3`, `http://…`."""
    test = run.load_test
    if test is None:
        return run.scenario
    if test.settings.phase is not None:
        return f"phase {test.settings.phase}"
    return ", ".join(test.settings.urls) or test.settings.mix


def asked(test: LoadTest) -> str:
    """Return what was asked for: `200 users with 0.2 s to think, for 10 minutes`."""
    settings = test.settings
    users = format_many(settings.users, "user")
    if settings.model is LoadModel.OPEN:
        rate = format_quantity(round(settings.rate_hz or 0)) if settings.rate_hz else "?"
        text = f"{rate} requests/s, due at fixed times, by at most {users}"
    elif settings.think_s is None:
        text = f"{users} of a Locust file"
    else:
        text = f"{users} with {settings.think_s:g} s to think"
    text += f", for {format_duration(settings.duration_s)}"
    if settings.ramp_s:
        text += f" after a ramp of {format_duration(settings.ramp_s)}"
    if settings.processes > 1:
        text += f", from {settings.processes} processes"
    return text


def validity(test: LoadTest) -> Verdict:
    """Return the verdict on the measurement itself; one that is invalid passes no gate."""
    if test.invalid:
        return Verdict(ruling=Ruling.INVALID, reason="; ".join(test.invalid))
    return Verdict(ruling=Ruling.PASS)
