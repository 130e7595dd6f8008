"""What the reading endpoints ask: a pattern of the workload, its values, the order of the rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from perfkit.service.database import Session
from perfkit.service.encoding import encode, encode_list, encode_row
from perfkit.service.problems import Problem
from perfkit.service.store import Row, Store

if TYPE_CHECKING:
    from perfkit.capacity import AttributeValue

__all__ = ["BY_INSTRUCTOR", "BY_SEMESTER", "KINDS", "OF_COURSE", "OF_USER", "PROFILE"]
__all__ += ["Kind", "Question"]

_BY_COURSE = ("course_id",)
_BY_TIME = ("enrolled_at", "enrollment_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """
    A kind of question.

    Args:
        pattern: The workload's pattern.
        parameters: Its parameters, in the order `ask` takes them.
        ask: Returns the rows; for a question about one thing a row; None if there is no such
            thing.
        order: The columns rows are ordered by, which together name one; empty for one thing.
        missing: What to say if there is no such thing.
    """

    pattern: str
    parameters: tuple[str, ...]
    ask: Callable[..., list[Row] | Row | None]
    order: tuple[str, ...] = ()
    missing: str = ""


BY_SEMESTER = Kind(
    pattern="courses",
    parameters=("semester", "department"),
    ask=Store.courses,
    order=_BY_COURSE,
)
BY_INSTRUCTOR = Kind(
    pattern="instructor",
    parameters=("instructor",),
    ask=Store.instructor,
    order=_BY_COURSE,
    missing="there is no instructor {} with courses",
)
OF_USER = Kind(
    pattern="enrollments",
    parameters=("user",),
    ask=Store.enrollments,
    order=_BY_TIME,
)
OF_COURSE = Kind(
    pattern="roster",
    parameters=("course",),
    ask=Store.roster,
    order=_BY_TIME,
    missing="there is no course {}",
)
PROFILE = Kind(
    pattern="profile",
    parameters=("user",),
    ask=Store.profile,
    missing="there is no user {}",
)
KINDS = (BY_SEMESTER, BY_INSTRUCTOR, OF_USER, OF_COURSE, PROFILE)


class Question:
    """
    One question with its values.

    Attributes:
        user: The user it is about, who alone may ask; None if anybody may.
        pairs: Its values, each with its name.
        parameters: The same as the workload has them.
    """

    __slots__ = ("kind", "pairs", "parameters", "user", "values")

    def __init__(self, kind: Kind, *values: str) -> None:
        self.kind = kind
        self.values = values
        self.user = values[0] if kind.parameters == ("user",) else None
        self.pairs = tuple(zip(kind.parameters, values, strict=True))
        self.parameters: dict[str, AttributeValue] = {
            f":{name}": {"S": value} for name, value in self.pairs
        }

    @property
    def text(self) -> str:
        """The question in one line; another question, another text."""
        return encode([self.kind.pattern, *self.values]).decode()

    def answer(self, store: Store, session: Session) -> Any:
        """Ask DynamoDB."""
        return self.kind.ask(store, session, *self.values)

    def encode(self, rows: Any) -> bytes:
        """Return the whole answer as it is kept: nothing at all if there is no such thing."""
        if rows is None:
            return b""
        return encode_list(rows) if self.kind.order else encode_row(rows)

    def not_found(self) -> Problem:
        """Return the 404 for an answer that is nothing."""
        return Problem(404, self.kind.missing.format(*self.values))
