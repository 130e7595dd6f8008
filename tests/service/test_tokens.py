"""Who may ask: tokens that are good, tokens that are not, and what a session remembers."""

import asyncio
import base64
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import jwt
import orjson
import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from perfkit.dynamodb.targets import Target
from perfkit.service.app import make_cache
from perfkit.service.problems import Problem
from perfkit.service.settings import ServiceSettings, Switches
from perfkit.service.tokens import _AUDIENCE, _ISSUER, Tokens, claimed_user
from perfkit.workloads.loader import load

PROFILE = "/api/users/student123/profile"
SWITCHES = [pytest.param(0, id="phase 0"), pytest.param(3, id="phase 3")]


def claims(**changed: Any) -> dict[str, Any]:
    now_s = int(time.time())
    made = {
        "iss": _ISSUER,
        "aud": _AUDIENCE,
        "sub": "student123",
        "iat": now_s,
        "exp": now_s + 60,
    }
    return {name: value for name, value in (made | changed).items() if value is not None}


def unsigned(**changed: Any) -> str:
    """Return a token of the algorithm "none"."""
    header = {"alg": "none", "typ": "JWT"}
    parts = [
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()
        for part in (header, claims(**changed))
    ]
    return ".".join([*parts, ""])


def bad_tokens(secret: str) -> dict[str, str]:
    def sign(key: str = secret, algorithm: str = "HS256", **changed: Any) -> str:
        return jwt.encode(claims(**changed), key, algorithm=algorithm)

    return {
        "expired": sign(exp=int(time.time()) - 1),
        "other key": sign("another key, which is long enough as well"),
        "no algorithm": unsigned(),
        "other algorithm": sign(algorithm="HS512", key=secret * 2),
        "same key, other algorithm": sign(secret + " " * 64, "HS384"),
        "garbage": "garbage",
        "dots": "..",
        "not base64": "a.b!.c",
        "payload is no object": "e30.W10.x",
        "cut": sign()[:-5],
        "other audience": sign(aud="somebody else"),
        "other issuer": sign(iss="somebody else"),
        "not yet": sign(nbf=int(time.time()) + 1000),
        "endless": sign(exp=float("inf")),
        "expiry that is not a number": sign(exp=float("nan")),
        "expiry that is a list": sign(exp=[]),
        "issued never": sign(iat=float("-inf")),
        "issued at something else": sign(iat={}),
        "not before minus infinity": sign(nbf=float("-inf")),
        "not before what is not a number": sign(nbf=float("nan")),
        "no expiry": sign(exp=None),
        "no audience": sign(aud=None),
        "no issuer": sign(iss=None),
        "no time of issue": sign(iat=None),
        "no user": sign(sub=None),
        "empty user": sign(sub=""),
        "user with a line break": sign(sub="student123\n"),
        "long user": sign(sub="x" * 65),
        "unknown user": sign(sub="nobody"),
        "long": sign(more="x" * 5000),
    }


@pytest.mark.parametrize("phase", SWITCHES)
@pytest.mark.usefixtures("quick_clients")
def test_bad_tokens_are_refused_with_a_reason(
    phase: int, serve: Callable[..., Any], secret: str, token: Callable[..., str]
) -> None:
    with serve(phase, user=None) as client:
        # warm, so that everything there is to steal is in the cache
        good = {"Authorization": f"Bearer {token('student123')}"}
        assert client.get(PROFILE, headers=good).status_code == 200
        assert client.get("/api/enrollments", headers=good).status_code == 200

        for name, bad in bad_tokens(secret).items():
            for url in (PROFILE, "/api/enrollments", "/api/courses?semester=1&department=CS"):
                answer = client.get(url, headers={"Authorization": f"Bearer {bad}"})

                assert answer.status_code == 401, name
                assert answer.headers["content-type"] == "application/problem+json"
                assert answer.headers["www-authenticate"].startswith('Bearer realm="perfkit"')
                assert "token" in answer.json()["detail"]


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="none"),
        pytest.param("", id="empty"),
        pytest.param("Bearer", id="no token"),
        pytest.param("Bearer ", id="empty token"),
        pytest.param("Basic c3R1ZGVudDEyMzpwYXNz", id="basic"),
        pytest.param("Bearer \xe4\xf6\xfc.\xe4.\xe4", id="not ASCII"),
    ],
)
def test_a_request_without_a_token_is_told_what_to_send(
    header: str | None, serve: Callable[..., Any]
) -> None:
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    with serve(user=None) as client:
        answer = client.get("/api/enrollments", headers=headers)

    assert answer.status_code == 401
    assert "www-authenticate" in answer.headers


def test_who_may_not_ask_is_not_told_what_is_wrong_with_the_question(
    serve: Callable[..., Any],
) -> None:
    with serve(user=None) as client:
        answer = client.get("/api/courses?limit=-1", headers={"Authorization": "Bearer x.y.z"})

    assert answer.status_code == 401


@pytest.mark.parametrize("phase", SWITCHES)
@pytest.mark.usefixtures("quick_clients")
def test_another_users_profile_is_not_told_though_it_is_cached(
    phase: int, serve: Callable[..., Any], token: Callable[..., str]
) -> None:
    with serve(phase) as client:
        assert client.get(PROFILE).status_code == 200
        other = {"Authorization": f"Bearer {token('student7')}"}

        answer = client.get(PROFILE, headers=other)
        enrollments = client.get("/api/enrollments", headers=other)

    assert answer.status_code == 403
    assert "student123" not in answer.text
    assert "student123" not in enrollments.text


@pytest.fixture
def switch_off(data: Any) -> Callable[[str], None]:
    """Return a function that switches a user's account off."""
    from perfkit.dynamodb.client import embedded_client

    def switch_off(user: str) -> None:
        embedded_client(data).update_item(
            TableName="Users",
            Key={"user_id": {"S": user}},
            UpdateExpression="SET active = :off",
            ExpressionAttributeValues={":off": {"BOOL": False}},
        )

    return switch_off


@pytest.mark.parametrize("phase", SWITCHES)
@pytest.mark.usefixtures("quick_clients")
def test_an_account_that_is_switched_off_may_not_ask(
    phase: int, serve: Callable[..., Any], data: Any, switch_off: Callable[[str], None]
) -> None:
    switch_off("student123")
    with serve(phase, data=data) as client:
        # the second answer comes from the session
        answers = [client.get(PROFILE) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [403, 403]
    assert "switched off" in answers[0].json()["detail"]


def test_a_session_saves_loading_the_user(serve: Callable[..., Any]) -> None:
    url = "/api/courses?semester=1&department=CS"
    with serve(Switches.of_phase(3, cache=False)) as client:
        units = [float(client.get(url).headers["x-consumed-read-units"]) for _ in range(2)]
    with serve(Switches.of_phase(3, cache=False, sessions=False)) as client:
        without = [float(client.get(url).headers["x-consumed-read-units"]) for _ in range(2)]

    assert units[0] - units[1] == 0.5
    assert without[0] == without[1] == units[0]


def test_a_session_ends_when_its_user_is_invalidated(
    serve: Callable[..., Any],
    data: Path,
    switch_off: Callable[[str], None],
    redis_url: str,
    secret: str,
) -> None:
    """A change of Users that goes past the service counts once its keys are invalidated."""
    settings = ServiceSettings(
        switches=Switches.of_phase(3), secret=secret, target=Target(data=data), redis_url=redis_url
    )

    async def invalidate() -> None:
        async with make_cache(settings, load("courses")) as cache:
            item = {"user_id": {"S": "student123"}}
            assert await cache.invalidate(cache.keys.affected("Users", item))

    with serve(data=data) as client:
        before = client.get("/api/enrollments").status_code
        switch_off("student123")
        remembered = client.get("/api/enrollments").status_code
        asyncio.run(invalidate())
        after = client.get("/api/enrollments").status_code

    assert (before, remembered, after) == (200, 200, 403)


def test_of_many_requests_with_a_new_token_one_loads_the_user(
    make_app: Callable[..., Any], live: Callable[..., Any], token: Callable[..., str]
) -> None:
    headers = {"Authorization": f"Bearer {token('student123')}"}
    units: list[float] = []
    with live(make_app(Switches.of_phase(3, cache=False, indexes=False))) as url:

        def ask() -> None:
            where = f"{url}/api/instructors/nobody/courses"
            answer = httpx2.get(where, headers=headers, timeout=60)
            units.append(float(answer.headers["x-consumed-read-units"]))

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    scan = min(units)
    assert [each - scan for each in sorted(units)] == [0.0] * 7 + [0.5]


def test_a_session_ends_with_its_token(
    serve: Callable[..., Any], token: Callable[..., str], redis_url: str
) -> None:
    """Redis may keep it longer, for its clock is another: what counts is the token's own time."""
    with serve(user=None) as client:
        good = {"Authorization": f"Bearer {token('student123')}"}
        assert client.get(PROFILE, headers=good).status_code == 200
        with redis.Redis.from_url(redis_url) as kept:
            ((name, field, content),) = sessions(kept)
            # half an hour, more or less
            assert 1600 < kept.ttl(name) < 2000
            *rest, _ = orjson.loads(content[1:])
            ended = orjson.dumps([*rest, int(time.time()) - 1])
            kept.hset(name, field, content[:1] + ended)
        short = {"Authorization": f"Bearer {token('student123', lifetime_s=-1)}"}

        answers = [client.get(PROFILE, headers=headers) for headers in (good, short)]

    assert [answer.status_code for answer in answers] == [200, 401]
    # verified again, and its user loaded again
    assert answers[0].headers["x-consumed-read-units"] == "0.5"


def sessions(kept: Any) -> list[tuple[bytes, bytes, bytes]]:
    """Return what is kept of sessions: key, field, content."""
    return [
        (name, field, content)
        for name in kept.scan_iter("perfkit:*:session:*")
        for field, content in kept.hgetall(name).items()
    ]


def test_what_is_kept_lets_nobody_in(
    serve: Callable[..., Any], token: Callable[..., str], redis_url: str
) -> None:
    """The cache holds a digest of the token, not the token."""
    good = token("student123")
    with serve(user=None) as client:
        client.get(PROFILE, headers={"Authorization": f"Bearer {good}"})
    with redis.Redis.from_url(redis_url) as kept:
        signature = good.rpartition(".")[2].encode()
        found = sessions(kept)
        assert len(found) == 1
        assert signature not in b"".join(found[0])


def test_sessions_of_another_secret_are_not_found(
    serve: Callable[..., Any], token: Callable[..., str]
) -> None:
    """Who changes the secret wants all tokens to end, remembered ones too."""
    good = {"Authorization": f"Bearer {token('student123')}"}
    with serve(user=None) as client:
        assert client.get(PROFILE, headers=good).status_code == 200
    with serve(user=None, secret="another secret, which is as long as it has to be") as client:
        answer = client.get(PROFILE, headers=good)

    assert answer.status_code == 401


def test_a_short_secret_is_refused() -> None:
    from perfkit.errors import ConfigError
    from perfkit.service.settings import ServiceSettings

    with pytest.raises(ConfigError, match="has 5 bytes, HS256 needs 32"):
        ServiceSettings(switches=Switches(), secret="short")


@given(st.text(max_size=200))
def test_reading_tokens_never_fails_but_with_a_problem(token: str) -> None:
    for read in (claimed_user, Tokens("a secret nobody has made tokens with").verify):
        with pytest.raises(Problem) as caught:
            read(token)

        assert caught.value.status == 401
