"""
One optimisation off against on, through the service's own code, called in this process.

No HTTP, and nothing else of a request, is around it, so that its own effect is not drowned; what
is left of the effect in a whole request, `ablation` and `phases` show.
"""

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perfkit.dynamodb.errors import aws_errors
from perfkit.dynamodb.safety import Effect
from perfkit.errors import ConfigError, TargetError
from perfkit.measure.clock import RealClock
from perfkit.measure.comparison import compare
from perfkit.measure.measurement import Measurement, add_known, sample_calls
from perfkit.measure.rounds import Budget, Rounds, measure
from perfkit.runs import Run, RunKind
from perfkit.scenarios.base import MOST_ROUNDS, Context
from perfkit.scenarios.recorder import Recorder

if TYPE_CHECKING:
    from perfkit.dynamodb.targets import Target
    from perfkit.service.database import Session

__all__ = ["OFF", "ON", "Call", "InProcess", "OffOnScenario", "Reply", "open_session"]

OFF, ON = "off", "on"

_TURN_S = 0.1
_READ_UNITS_A_CALL = 50


@dataclass(frozen=True, slots=True)
class Reply:
    """What one call gave: an answer that must be the same off and on, and what it consumed."""

    body: bytes
    read_units: float = 0.0
    requests: int = 1


Call = Callable[[], Reply]


@dataclass(slots=True, kw_only=True)
class InProcess:
    """
    One variant, called again and again in this process.

    Args:
        name: `off` or `on`.
        operation: What is called.
        call: Answers once; this is what is timed.
        finish: Called after measuring; raises if what was done turns out not to be right.
    """

    name: str
    operation: str
    call: Call
    finish: Callable[[], None] = lambda: None
    question: str = ""
    concurrency: int = 1
    switches: None = None

    def sample(self, calls: int) -> Measurement:
        return sample_calls(self.call, calls, RealClock(), _count)


def _count(measurement: Measurement, reply: Reply) -> None:
    measurement.read_units = add_known(measurement.read_units, reply.read_units)
    measurement.requests += reply.requests
    measurement.body_bytes = len(reply.body)
    measurement.digest = hashlib.sha256(reply.body).hexdigest()


MakeVariants = Callable[[Context, ExitStack], Sequence[InProcess]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OffOnScenario:
    """
    A scenario of two variants, off and on.

    Args:
        name: What `--scenario` calls it.
        description: What is compared.
        variants: Makes the two, off first; what they need is closed with the stack.
        most_calls: Most calls of one round.
    """

    name: str
    description: str
    variants: MakeVariants
    most_calls: int = 2_000

    def effect(self, context: Context) -> Effect:
        """Return what is read, at most."""
        calls = context.options.plan.iterations or 2_000
        return Effect(
            text=f"{self.name}: {self.description}",
            read_units=2 * calls * _READ_UNITS_A_CALL,
        )

    def measure(self, context: Context) -> Run:
        """
        Measure off against on.

        Raises:
            ResultsDifferError: The two gave different answers.
            TargetError: The target refused.
        """
        from perfkit.service.problems import Problem

        recorder = Recorder(RunKind.SWITCH, self, context)
        with aws_errors(f"measuring {self.name}", context.where), ExitStack() as stack:
            try:
                variants = self.variants(context, stack)
                budget = Budget(turn_s=_TURN_S, most_calls=self.most_calls)
                measured = measure(
                    variants,
                    context.options.plan,
                    context.clock,
                    budget=lambda _: budget,
                    rounds=Rounds(most=MOST_ROUNDS),
                    progress=context.reporter(self.name),
                )
                for variant in variants:
                    variant.finish()
            except Problem as problem:
                msg = f"measuring {self.name}: {problem.detail}"
                raise TargetError(msg) from problem
        return recorder.finish(
            measured, compare(measured, [("", variants[0].name, variants[1].name)])
        )


def _target_of(context: Context) -> "Target":
    """
    Return the target the service's own code connects to.

    Raises:
        ConfigError: There is only a client.
    """
    if context.source is None:
        msg = "the service connects on its own, and a client is all there is to measure with"
        raise ConfigError(msg)
    return context.source


def open_session(context: Context, stack: ExitStack, *, pooled: bool) -> "Callable[[], Session]":
    """Return a function that opens a request's session, on one client for all or one for each."""
    from perfkit.service.database import Database

    database: Any = Database(
        _target_of(context), pooled=pooled, threads=1, waiting=0, deadline_s=60.0
    )
    stack.callback(database.close)
    opened: Callable[[], Session] = database.session
    return opened
