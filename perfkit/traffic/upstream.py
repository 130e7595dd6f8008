"""What is behind a recorder: the embedded engine, an endpoint, or AWS."""

import asyncio
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Protocol

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.hosts import is_loopback

__all__ = ["Answer", "NoAnswerError", "Upstream", "open_upstream"]

_CONNECT_S = 10.0
_READERS = 8
_FROZEN_S = 30.0
_ONE_PIECE_BYTES = 1 << 20

_OF_A_CONNECTION = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that are about one connection (RFC 9110, section 7.6.1) or are re-created."""

_OF_A_SIGNATURE = frozenset(
    {"authorization", "x-amz-content-sha256", "x-amz-date", "x-amz-security-token"}
)
_OWN_HEADERS = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")

Headers = CIMultiDict[str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a target answered; headers without those about the connection."""

    status: int
    headers: Headers
    body: bytes


class NoAnswerError(Exception):
    """The target is away, or hung up before it had answered."""


class Upstream(Protocol):
    """A target to pass requests on to."""

    async def send(self, method: str, path: str, headers: Headers, body: bytes) -> Answer:
        """
        Return the target's answer.

        Raises:
            NoAnswerError: There is none.
        """

    async def close(self) -> None:
        """Give back connections and files."""


def passed_on(headers: Mapping[str, str]) -> Headers:
    """Return a request's headers as they go to the target."""
    passed = CIMultiDict(
        (name, value) for name, value in headers.items() if name.lower() not in _OF_A_CONNECTION
    )
    # an answer in plain bytes is what can be read, and any server may give it
    passed["Accept-Encoding"] = "identity"
    return passed


async def open_upstream(target: Target) -> Upstream:
    """
    Return what passes requests on to a target.

    Raises:
        ConfigError: Region, profile or credentials are missing.
    """
    if target.kind is TargetKind.EMBEDDED:
        return _Embedded(target)
    if target.is_aws:
        return _Signed(target)
    return _Http(target.endpoint_url or "")


class _Embedded:
    """The embedded engine, in threads of this process."""

    def __init__(self, target: Target) -> None:
        from perfkit.embedded import Engine

        self._engine = Engine(target.data)
        self._readers = ThreadPoolExecutor(_READERS, "engine")
        # writers wait for one another; they leave room for those that read
        self._writers = ThreadPoolExecutor(_READERS // 2, "engine-writes")

    async def send(self, method: str, path: str, headers: Headers, body: bytes) -> Answer:  # noqa: ARG002 - the engine has one address
        from perfkit.embedded.engine import WRITES
        from perfkit.embedded.http import respond_to
        from perfkit.embedded.server import Request

        request = Request(
            method=method,
            headers={name.lower(): headers.getall(name) for name in headers},
            body=body,
        )
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        pool = self._writers if operation in WRITES else self._readers
        loop = asyncio.get_running_loop()
        response = await loop.run_in_executor(pool, respond_to, self._engine, request)
        return Answer(response.status, CIMultiDict(response.headers), response.body)

    async def close(self) -> None:
        self._readers.shutdown()
        self._writers.shutdown()
        self._engine.close()


class _Http:
    """An endpoint; what a request is signed with is passed on as it is."""

    def __init__(self, url: str) -> None:
        self._base = URL(url)
        self._root = self._base / ""
        self._session = aiohttp.ClientSession(
            # as many connections as the application has; it knows its own limit
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=30),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_OWN_HEADERS,
            # a company's proxy, as SDKs use it
            trust_env=not is_loopback(self._base.host),
        )

    async def send(self, method: str, path: str, headers: Headers, body: bytes) -> Answer:
        url = self._root if path == "/" else URL(f"{self._base}".rstrip("/") + path, encoded=True)
        await self._sign(method, url, headers, body)
        try:
            async with self._session.request(
                method, url, data=_payload(body), headers=headers, allow_redirects=False
            ) as response:
                content = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise NoAnswerError(str(error) or type(error).__name__) from error
        kept = CIMultiDict(
            (name, value)
            for name, value in response.headers.items()
            if name.lower() not in _OF_A_CONNECTION
        )
        return Answer(response.status, kept, content)

    async def _sign(self, method: str, url: URL, headers: Headers, body: bytes) -> None:
        """Sign a request again, where somebody checks it."""

    async def close(self) -> None:
        await self._session.close()


def _payload(body: bytes) -> bytes | BytesIO | None:
    # what is large is sent piece by piece
    return (BytesIO(body) if len(body) > _ONE_PIECE_BYTES else body) or None


class _Signed(_Http):
    """AWS, with the credentials of the user of perfkit: the application's are for another host."""

    def __init__(self, target: Target) -> None:
        client = target.client(max_attempts=1)
        url = str(client.meta.endpoint_url)
        client.close()
        self._credentials = target.credentials()
        self._region = target.resolved_region()
        self._frozen: Any = None
        self._frozen_until_s = 0.0
        super().__init__(url)

    async def _sign(self, method: str, url: URL, headers: Headers, body: bytes) -> None:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        for name in _OF_A_SIGNATURE:
            headers.popall(name, None)
        now_s = time.monotonic()
        if now_s >= self._frozen_until_s:
            # those of a role are fetched, which takes its time
            self._frozen = await asyncio.to_thread(self._credentials.get_frozen_credentials)
            self._frozen_until_s = now_s + _FROZEN_S
        signed = {
            name: value
            for name, value in headers.items()
            if name.lower().startswith("x-amz-") or name.lower() == "content-type"
        }
        request = AWSRequest(method, str(url), headers=signed, data=body)
        SigV4Auth(self._frozen, "dynamodb", self._region).add_auth(request)
        for name in ("Authorization", "X-Amz-Date", "X-Amz-Security-Token"):
            if (value := request.headers.get(name)) is not None:
                headers[name] = value
