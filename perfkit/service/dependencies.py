"""
What path functions are handed.

Which object a dependency hands over is decided by the switches, once, in `app.assemble`; here
and in the path functions none of them is asked.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from perfkit.service.answers import Answers, Writes
from perfkit.service.database import Session
from perfkit.service.notifications import Notifications
from perfkit.service.problems import Problem
from perfkit.service.sessions import Sessions
from perfkit.service.store import Store, User
from perfkit.service.timing import Stage, current_trace, stage
from perfkit.service.tokens import no_token

__all__ = ["AnswersDep", "ClockDep", "CurrentUser", "NotificationsDep", "SessionDep", "StoreDep"]
__all__ += ["WritesDep"]

_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT")


async def get_session(request: Request) -> Session:
    """Return the request's session with DynamoDB; it connects when the first question is asked."""
    session: Session = request.app.state.parts.database.session()
    # the outermost layer reads the units it consumed, and closes it
    current_trace().session = session
    return session


SessionDep = Annotated[Session, Depends(get_session)]


async def get_store(request: Request) -> Store:
    """Return the questions to DynamoDB."""
    store: Store = request.app.state.parts.store
    return store


async def get_current_user(
    request: Request,
    session: SessionDep,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
) -> User:
    """
    Return the user of the request's token.

    Raises:
        Problem: 401 or 403.
    """
    if credentials is None:
        raise no_token()
    with stage(Stage.AUTH):
        sessions: Sessions = request.app.state.parts.sessions
        user = await sessions.user_of(credentials.credentials, session)
    current_trace().user = user.id
    if not user.active:
        raise Problem(403, "your account is switched off")
    return user


async def get_answers(request: Request) -> Answers:
    """Return where answers come from."""
    answers: Answers = request.app.state.parts.answers
    return answers


async def get_writes(request: Request) -> Writes:
    """Return how changes are made."""
    writes: Writes = request.app.state.parts.writes
    return writes


async def get_notifications(request: Request) -> Notifications:
    """Return how users are notified of what they did."""
    notifications: Notifications = request.app.state.parts.notifications
    return notifications


async def get_clock(request: Request) -> Callable[[], datetime]:
    """Return the time of day, UTC."""
    clock: Callable[[], datetime] = request.app.state.parts.clock
    return clock


CurrentUser = Annotated[User, Depends(get_current_user)]
AnswersDep = Annotated[Answers, Depends(get_answers)]
StoreDep = Annotated[Store, Depends(get_store)]
WritesDep = Annotated[Writes, Depends(get_writes)]
NotificationsDep = Annotated[Notifications, Depends(get_notifications)]
ClockDep = Annotated[Callable[[], datetime], Depends(get_clock)]
