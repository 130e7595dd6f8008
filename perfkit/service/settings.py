"""What a service needs to know: its switches, where DynamoDB, Redis and the mail are, its limits."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from perfkit.dynamodb.limits import Limits
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.errors import ConfigError
from perfkit.settings import FOLDER

__all__ = ["ServiceSettings", "Switches"]

PHASES = (0, 1, 2, 3)

_SECRET_BYTES = 32
"""The least a key for HS256 must have. Source: RFC 7518, 3.2."""

_VARIABLE = "PERFKIT_SERVICE"
_SECRET_VARIABLE = "PERFKIT_SERVICE_SECRET"  # noqa: S105 - the name of a variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Switches:
    """
    The optimisations, each on or off; without arguments everything is off.

    Args:
        cache: Answers are kept in Redis; off, every request goes to DynamoDB.
        sessions: A verified token is remembered in Redis; off, each request verifies it and
            loads its user.
        indexes: Questions are asked of an index or a key; off, by a scan that the service filters.
        pooling: One boto3 client a process; off, a new one for each request.
        batching: The courses of enrollments come by BatchGetItem; off, by a GetItem each.
        background: Notifications are queued; off, they are sent while the client waits.
        passthrough: Cached bytes are the answer; off, they are decoded and encoded again.
        notify: Whether there are notifications at all.
    """

    cache: bool = False
    sessions: bool = False
    indexes: bool = False
    pooling: bool = False
    batching: bool = False
    background: bool = False
    passthrough: bool = False
    notify: bool = True

    @classmethod
    def of_phase(cls, phase: int, **changed: bool | None) -> Self:
        """
        Return the switches of a phase of the reference checklist, some of them changed.

        Args:
            phase: 0 to 3.
            changed: Switches to set otherwise; None leaves one as the phase has it.

        Raises:
            ConfigError: There is no such phase.
        """
        if phase not in PHASES:
            msg = f"no phase {phase}; choose from 0, 1, 2, 3"
            raise ConfigError(msg)
        switches = cls(
            cache=phase >= 1,
            sessions=phase >= 1,
            indexes=phase >= 2,
            pooling=phase >= 3,
            batching=phase >= 3,
            background=phase >= 3,
            passthrough=phase >= 3,
        )
        given = {name: value for name, value in changed.items() if value is not None}
        return replace(switches, **given)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of all switches."""
        return tuple(switch.name for switch in fields(cls))

    @property
    def needs_cache(self) -> bool:
        """Whether anything is kept in Redis besides the queue."""
        return self.cache or self.sessions

    @property
    def needs_queue(self) -> bool:
        """Whether notifications are queued."""
        return self.notify and self.background

    @property
    def needs_redis(self) -> bool:
        """Whether there must be a Redis server."""
        return self.needs_cache or self.needs_queue

    @property
    def needs_smtp(self) -> bool:
        """Whether notifications are sent by the service itself."""
        return self.notify and not self.background


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """
    Everything a worker of the service needs to know.

    Args:
        switches: The optimisations.
        secret: Key of the tokens, at least 32 bytes.
        target: Where DynamoDB is.
        workload: Workload file; None is the built-in courses.
        redis_url: The server of cache and queue; whether it is needed the switches say.
        smtp_url: Where mail is sent; likewise.
        folder: Where the service keeps its files.
        counts: Where the workers of one service tell each other what they counted; None if there
            is but one.
        cloudwatch: Namespace to publish the cache's metrics under; None publishes nothing.
        threads: Calls to DynamoDB a process makes at a time; also its pooled connections.
        waiting: Requests that may wait for one of the threads; more are refused.
        deadline_s: Seconds a request may take to get its answer from DynamoDB.
    """

    switches: Switches
    secret: str = field(repr=False)
    target: Target = field(default_factory=Target)
    workload: str | None = None
    redis_url: str | None = None
    smtp_url: str | None = None
    folder: Path = FOLDER
    counts: Path | None = None
    cloudwatch: str | None = None
    threads: int = 16
    waiting: int = 200
    deadline_s: float = 30.0

    def __post_init__(self) -> None:
        if len(self.secret.encode()) < _SECRET_BYTES:
            msg = (
                f"the key of the tokens has {len(self.secret.encode())} bytes, HS256 needs"
                f" {_SECRET_BYTES}"
            )
            raise ConfigError(msg)

    def check_servers(self) -> None:
        """
        Make sure that the servers the switches need are named.

        Raises:
            ConfigError: One is not.
        """
        if self.redis_url is None and self.switches.needs_redis:
            msg = "the switches cache, sessions and background need a Redis server: give its URL"
            raise ConfigError(msg)
        if self.smtp_url is None and self.switches.needs_smtp:
            msg = "notifications sent inside the request need a mail server: give its URL"
            raise ConfigError(msg)

    def cloudwatch_client(self) -> Any:
        """
        Return a client of CloudWatch, in the target's region or else the configured one.

        Raises:
            ConfigError: There is no region, or no such profile.
        """
        return replace(self.target, kind=TargetKind.AWS, endpoint_url=None).client("cloudwatch")

    def to_environment(self) -> dict[str, str]:
        """Return the variables from which `from_environment` makes the same settings."""
        content = asdict(self)
        secret = content.pop("secret")
        return {
            _VARIABLE: json.dumps(content, default=str),
            _SECRET_VARIABLE: secret,
        }

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """
        Return the settings a starting process was given.

        Raises:
            ConfigError: The variables are not there.
        """
        try:
            content: dict[str, Any] = json.loads(environment[_VARIABLE])
            secret = environment[_SECRET_VARIABLE]
        except KeyError as error:
            msg = f"{error} is not set: start the service with `perfkit serve`"
            raise ConfigError(msg) from error
        target = content.pop("target")
        limits = target["limits"]
        if limits is not None:
            limits = Limits(**limits | {"file": Path(limits["file"])})
        return cls(
            **content
            | {
                "secret": secret,
                "switches": Switches(**content["switches"]),
                "folder": Path(content["folder"]),
                "counts": None if content["counts"] is None else Path(content["counts"]),
                "target": Target(
                    **target
                    | {
                        "kind": TargetKind(target["kind"]),
                        "data": Path(target["data"]),
                        "limits": limits,
                    }
                ),
            }
        )
