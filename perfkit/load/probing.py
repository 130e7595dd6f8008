"""Asks a service once before many do, so that what is plainly wrong ends in one clear line."""

import contextlib
import socket
import time
from urllib.parse import urlsplit

from perfkit.errors import ConfigError, TargetError
from perfkit.load.plan import LoadPlan, Mix, Request
from perfkit.load.templates import Drawn, RequestSource
from perfkit.processes.http import ask

__all__ = ["check_url", "has_health_check", "is_gone", "probe", "settle"]

_CONNECT_S = 5.0
_DRAWS = 1000
_SETTLE_S = 30.0
_BETWEEN_S = 0.2


def check_url(text: str) -> str:
    """
    Return a URL of a service without a slash at its end.

    Raises:
        ConfigError: It is none, or has a user, a query or a fragment.
    """
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - raises ValueError
    except ValueError as error:
        msg = f"{text!r} is no URL ({error}); give one such as http://127.0.0.1:8080"
        raise ConfigError(msg) from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        msg = f"{text!r} is no URL of a service; give one such as http://127.0.0.1:8080"
        raise ConfigError(msg)
    if parts.username or parts.password:
        msg = (
            "a URL with a user or a password would be written into the run; send an Authorization"
            " header from the mix instead"
        )
        raise ConfigError(msg)
    if parts.query or parts.fragment:
        msg = f"{text!r} has a query or a fragment; put it into the paths of the mix"
        raise ConfigError(msg)
    return text.rstrip("/")


def probe(plan: LoadPlan) -> None:
    """
    Make sure that every URL takes connections, and answers the mix's commonest question.

    Other questions that send headers are asked, too, as they may be the ones that need a token.
    Only a GET or HEAD is asked, as others may change something.

    Raises:
        ConfigError: It redirects, or refuses access.
        TargetError: It cannot be reached, or hangs up.
    """
    for url in plan.urls:
        _connect(url)
    if plan.mix is None:
        return
    harmless = _harmless(plan.mix)
    if not harmless:
        return
    commonest = max(harmless, key=lambda each: each.weight)
    drawn = _draw_each(
        plan.mix, [commonest, *(each for each in harmless if each.headers and each != commonest)]
    )
    for url in plan.urls:
        for each in drawn:
            if each.request is commonest:
                _check(url, each.request, *_ask(url, each, plan.timeout_s))
                continue
            # rare questions may fail, and are counted; without a right token all of them would
            with contextlib.suppress(TargetError):
                status, location = _ask(url, each, plan.timeout_s)
                if status == 401:
                    _check(url, each.request, status, location)


def settle(plan: LoadPlan, below_s: float) -> None:
    """
    Wait until every URL answers the mix's commonest question in time, for half a minute at most.

    A service that got more than it can do goes on with what nobody waits for any more.
    """
    harmless = [] if plan.mix is None else _harmless(plan.mix)
    if plan.mix is None or not harmless:
        return
    drawn = _draw_each(plan.mix, [max(harmless, key=lambda each: each.weight)])
    deadline_s = time.monotonic() + _SETTLE_S
    for url in plan.urls:
        for each in drawn:
            while time.monotonic() < deadline_s:
                asked_s = time.monotonic()
                with contextlib.suppress(TargetError):
                    status, _ = _ask(url, each, plan.timeout_s)
                    if status is not None and time.monotonic() - asked_s < below_s:
                        break
                time.sleep(_BETWEEN_S)


def has_health_check(url: str) -> bool:
    """Return whether a service answers `/healthz` as one that has it: with 200, or that it fails."""
    request = Request(name="/healthz", method="GET", path="/healthz")
    try:
        status, _ = _ask(url, Drawn(request, "/healthz", {}, ""), _CONNECT_S)
    except TargetError:
        return False
    return status is not None and (status == 200 or status >= 500)


def _harmless(mix: Mix) -> list[Request]:
    return [each for each in mix.requests if each.method in {"GET", "HEAD"}]


def is_gone(urls: tuple[str, ...]) -> bool:
    """Return whether none of these takes connections any more."""
    for url in urls:
        try:
            _connect(url)
        except TargetError:
            continue
        return False
    return True


def _draw_each(mix: Mix, wanted: list[Request]) -> list[Drawn]:
    """Return one request of each kind with its values, as far as they are drawn at all."""
    source = RequestSource(mix, seed=1)
    found: dict[str, Drawn] = {}
    for _ in range(_DRAWS):
        drawn = source.draw()
        found.setdefault(drawn.request.name, drawn)
        if all(each.name in found for each in wanted):
            break
    return [found[each.name] for each in wanted if each.name in found]


def _connect(url: str) -> None:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((parts.hostname or "", port), timeout=_CONNECT_S).close()
    except OSError as error:
        reason = error.strerror or str(error)
        msg = f"{url} cannot be reached ({reason}); start the service, or give another --url"
        raise TargetError(msg) from error


def _ask(url: str, drawn: Drawn, timeout_s: float) -> tuple[int | None, str]:
    """Return the status, None if there is none in time, and where it says to go instead."""
    request = drawn.request
    try:
        answer = ask(
            f"{url}{drawn.path}",
            timeout_s=timeout_s,
            method=request.method,
            headers=drawn.headers,
            # as Locust does: what is measured is the service, not who signed its certificate
            verify=False,
            most_bytes=0,
        )
    except TimeoutError:
        # a slow service is there to be measured
        return None, ""
    except (OSError, ValueError) as error:
        msg = (
            f"{url} does not answer {request.name} over HTTP ({str(error) or type(error).__name__})"
        )
        raise TargetError(msg) from error
    return answer.status, answer.location


def _check(url: str, request: Request, status: int | None, location: str) -> None:
    if status is None or status in request.expect:
        return
    if 300 <= status < 400:
        msg = (
            f"{url} redirects {request.name} (status {status}) to {location or 'nowhere'};"
            " redirects are not followed: give the address that answers, or expect the status"
        )
        raise ConfigError(msg)
    if status in {401, 403}:
        msg = (
            f"{url} refuses {request.name} (status {status}): the token, or another header, is"
            " missing, wrong or too old"
        )
        raise ConfigError(msg)
