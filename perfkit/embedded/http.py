"""The engine behind HTTP, for any AWS SDK: who may ask, and what is answered."""

import ipaddress
import logging
import re
import socket
import uuid
from collections.abc import Callable, Iterable
from http import HTTPStatus
from urllib.parse import urlsplit

import orjson

from perfkit.embedded.engine import WRITES, Engine
from perfkit.embedded.server import Request, Response, Server
from perfkit.embedded.transport import CONTENT_TYPE, answer, checksum
from perfkit.errors import ConfigError, PerfkitError
from perfkit.hosts import is_loopback

__all__ = ["Doors", "respond_to", "serve"]

_CORAL = "com.amazon.coral.service"
_PREFLIGHT_S = 600
_BACKLOG = 512
_NAME = re.compile(r"[a-z0-9._-]{1,253}")
_AUTHORITY = re.compile(r"(\[[0-9a-f:.%]+\]|[^:\[\]@/]*)(?::[0-9]*)?", re.IGNORECASE)
_SHOWN_CHARACTERS = 100

_log = logging.getLogger("perfkit.dynamodb")


class Doors:
    """
    Who may ask.

    A page that a browser shows can send requests to servers on the same machine.  It is kept
    out by two headers that a browser always sends and no page can change: `Origin`, where the
    page is from, and `Host`, the name it asked for, which is the page's own where it had that
    name lead to this machine (DNS rebinding).  SDKs send no `Origin`.

    Args:
        host: Address or name that is listened on; 0.0.0.0 or :: stands for all addresses.
        allowed: Further names and addresses.
        command: What is asked, as a user started it; refusals name it.

    Raises:
        ConfigError: One of them is not the name of a host.
    """

    def __init__(
        self, host: str, allowed: Iterable[str] = (), *, command: str = "perfkit dynamodb"
    ) -> None:
        self._command = command
        names = {_host_name(name) for name in (host, *allowed)}
        everywhere = {name for name in names if _is_everywhere(name)}
        self._names = names - everywhere
        # an address in `Host` is where the request went: no page can lead it elsewhere, as it
        # can a name. One in `Origin` says where the page is from, which may be anywhere
        self._any_address = bool(everywhere)

    def refusal(self, hosts: Iterable[str], origins: Iterable[str]) -> str | None:
        """Return why a request with these headers is not answered; None lets it in."""
        for host in hosts:
            name = _authority(host)
            if not (self._is_ours(name) or (self._any_address and _address(name))):
                return _refused_host(host, name, self._command)
        for origin in origins:
            if not self._is_ours(_origin_name(origin)):
                return _refused_page(origin, self._command)
        return None

    def _is_ours(self, name: str) -> bool:
        return name in self._names or is_loopback(name)


def _refused_host(host: str, name: str, command: str) -> str:
    what = f"this request is refused: it was sent to the host {_shown(host)}"
    if not (_NAME.fullmatch(name) or _address(name)):
        return f"{what}, which has no name that can be allowed"
    return (
        f"{what}; only if you gave this machine that name, start {command} with"
        f" --allow-host {name}: web pages of that name can then read and write all tables"
    )


def _refused_page(origin: str, command: str) -> str:
    # without the option spelled out: the name is what the page is called, whatever it is up to
    return (
        f"this request is refused: it is from a web page of {_shown(origin)}; pages of this"
        f" machine may ask, and those of hosts that {command} was started with --allow-host"
        " for, which can then read and write all tables"
    )


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _is_everywhere(name: str) -> bool:
    address = _address(name)
    return address is not None and address.is_unspecified


def _host_name(given: str) -> str:
    name = _plain(given)
    if _address(name) is None and not _NAME.fullmatch(name):
        msg = f"{given!r} is no name of a host; give it bare, without http:// and port"
        raise ConfigError(msg)
    return name


def _plain(name: str) -> str:
    return name.strip("[]").rstrip(".").lower()


def _authority(host: str) -> str:
    """Return the name in a Host header, without its port; empty if it is none."""
    match = _AUTHORITY.fullmatch(host.strip())
    return _plain(match[1]) if match else ""


def _origin_name(origin: str) -> str:
    """Return the name in an Origin header; empty for `null`, which sandboxed pages send."""
    try:
        parts = urlsplit(origin.strip())
    except ValueError:
        return ""
    return _authority(parts.netloc)


def _shown(text: str) -> str:
    return repr(text[:_SHOWN_CHARACTERS])


def serve(
    engine: Engine,
    listener: socket.socket,
    host: str,
    *,
    allowed: Iterable[str] = (),
    started: Callable[[], None] = lambda: None,
) -> None:
    """
    Answer requests until interrupted, then close socket and engine.

    Args:
        listener: A socket, bound.
        host: The name or address it was bound to.
        allowed: Names of hosts beside *host* and those of this machine, for `Doors`.
        started: Called once connections are accepted.

    Raises:
        ConfigError: A name is not one of a host.
    """
    try:
        with listener:
            doors = Doors(host, allowed)
            listener.listen(_BACKLOG)
            server = Server(
                listener,
                lambda request: _answer(engine, doors, request),
                _refuse,
                _writes,
                wait=engine.wait,
            )
            started()
            server.run()
    finally:
        engine.close()


def _answer(engine: Engine, doors: Doors, request: Request) -> Response:
    refusal = doors.refusal(request.headers.get("host", ()), request.headers.get("origin", ()))
    if refusal is not None:
        return _refuse(HTTPStatus.FORBIDDEN, refusal)
    return respond_to(engine, request)


def respond_to(engine: Engine, request: Request) -> Response:
    """Return the answer to a request that was let in."""
    if request.method == "POST":
        response = _carry_out(engine, request)
    elif request.method == "OPTIONS" and "access-control-request-method" in request.headers:
        response = Response(HTTPStatus.NO_CONTENT, b"", _preflight_headers(request))
    else:
        # what AWS answers to a health check
        healthy = b"healthy: perfkit embedded DynamoDB"
        response = _respond(HTTPStatus.OK, healthy, content_type="text/plain")
    if origin := request.header("origin"):
        # only pages whose origin was let in come here; the answer names no other
        response.headers["access-control-allow-origin"] = origin
        response.headers["access-control-expose-headers"] = "x-amzn-requestid, x-amz-crc32"
        response.headers["vary"] = "origin"
    return response


def _writes(request: Request) -> bool:
    return request.header("x-amz-target").rpartition(".")[2] in WRITES


def _carry_out(engine: Engine, request: Request) -> Response:
    target = request.header("x-amz-target")
    try:
        status, content = answer(engine, target, request.body)
        engine.check(content)
    except PerfkitError as error:
        _log.error("%s", error)
        status, content = 500, _failure(str(error))
    except Exception as error:  # noqa: BLE001 - one bad request must not end the server
        _log.exception("internal error in %s", target)
        status, content = 500, _failure(f"{type(error).__name__}: {error}")
    return _respond(status, content)


def _failure(message: str) -> bytes:
    kind = "com.amazonaws.dynamodb.v20120810#InternalServerError"
    return orjson.dumps({"__type": kind, "message": message})


_CODES = {
    HTTPStatus.FORBIDDEN: "AccessDeniedException",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "RequestEntityTooLargeException",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "RequestHeaderFieldsTooLargeException",
    HTTPStatus.REQUEST_TIMEOUT: "RequestTimeoutException",
}


def _refuse(status: HTTPStatus, message: str) -> Response:
    code = _CODES.get(status, "SerializationException")
    return _respond(status, orjson.dumps({"__type": f"{_CORAL}#{code}", "Message": message}))


def _respond(status: int, content: bytes, *, content_type: str = CONTENT_TYPE) -> Response:
    headers = {
        "server": "perfkit",
        "content-type": content_type,
        "x-amzn-requestid": uuid.uuid4().hex.upper(),
        "x-amz-crc32": checksum(content),
    }
    return Response(status, content, headers)


def _preflight_headers(request: Request) -> dict[str, str]:
    headers = {
        "access-control-allow-methods": "POST",
        "access-control-max-age": str(_PREFLIGHT_S),
    }
    # its names were checked by the parser, so there is no line break in them
    if wanted := request.header("access-control-request-headers"):
        headers["access-control-allow-headers"] = wanted
    return headers
