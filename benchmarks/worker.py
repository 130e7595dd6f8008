"""What runs in a process of its own for each engine: one boto3 client, one load, timed calls."""

import time
from dataclasses import dataclass
from typing import Any

from benchmarks.operations import Answer, Requests, create_tables, fill_tables
from benchmarks.peers import Contender, Reach
from perfkit.embedded import Engine
from perfkit.embedded.transport import CONTENT_TYPE, answer, attach
from perfkit.errors import TargetError
from perfkit.workloads.generator import ItemGenerator
from perfkit.workloads.loader import load

__all__ = ["CLIENT_SETTINGS", "fill", "open_client", "take_turn", "warm_up"]

CLIENT_SETTINGS = (
    "boto3's defaults (requests validated, signed with made-up credentials), one attempt a call,"
    " ReturnConsumedCapacity=TOTAL"
)
_ANSWERS_WITHIN_S = 30.0


@dataclass(slots=True)
class _State:
    """The one client of this process."""

    client: Any
    generator: ItemGenerator
    requests: Requests


_state: _State | None = None


def _opened() -> _State:
    if _state is None:
        msg = "open_client comes first"
        raise TargetError(msg)
    return _state


def open_client(contender: Contender, scale: float) -> None:
    """Make the client, and wait until its engine answers."""
    global _state  # noqa: PLW0603 - one process, one engine
    import boto3
    from botocore.config import Config
    from botocore.exceptions import EndpointConnectionError

    if contender.reach is Reach.MOTO:
        from moto import mock_aws

        mock_aws().start()
    client = boto3.client(
        "dynamodb",
        region_name="us-east-1",
        endpoint_url=_endpoint(contender),
        # DynamoDB Local takes letters and figures only
        aws_access_key_id="AKIDBENCHMARK",
        aws_secret_access_key="made-up",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=300),
    )
    if contender.reach is Reach.EMBEDDED:
        attach(client, Engine(contender.place))
    elif contender.reach is Reach.CANNED:
        _attach_recorder(client, Engine(contender.place))
    generator = ItemGenerator(load("courses"), scale=scale)
    _state = _State(client, generator, Requests(client, generator, contender.prefix))
    deadline_s = time.monotonic() + _ANSWERS_WITHIN_S
    while True:
        try:
            client.list_tables()
        except EndpointConnectionError as error:
            if time.monotonic() > deadline_s:
                msg = f"{contender.name} does not answer: {error}"
                raise TargetError(msg) from None
            time.sleep(0.1)
        else:
            return


def _endpoint(contender: Contender) -> str | None:
    match contender.reach:
        case Reach.HTTP:
            return contender.place
        case Reach.MOTO:
            # it knows AWS by its address
            return None
        case _:
            # never looked up: what is attached to the client answers
            return "http://embedded.perfkit.invalid"


def _attach_recorder(client: Any, engine: Engine) -> None:
    """Answer each request from memory once it has been seen: what is left is boto3's own cost."""
    from botocore.awsrequest import AWSResponse

    recorded: dict[bytes, bytes] = {}

    def send(request: Any, **_: Any) -> Any:
        target: bytes = request.headers["X-Amz-Target"]
        # written items are always new ones, and all their answers alike
        seen = target if b"Write" in target or b"Put" in target else request.body
        content = recorded.get(seen)
        if content is None:
            content = answer(engine, target.decode(), request.body)[1]
            recorded[seen] = content
        headers = {"Content-Type": CONTENT_TYPE, "Content-Length": str(len(content))}
        response = AWSResponse(request.url, 200, headers, None)
        response._content = content  # noqa: SLF001 - botocore would read it from the socket
        return response

    client.meta.events.register("before-send.dynamodb", send)


def fill() -> float:
    """Create and fill the tables; return the seconds it took."""
    state = _opened()
    start_s = time.perf_counter()
    _checked(lambda: create_tables(state.client))
    _checked(lambda: fill_tables(state.client, state.generator))
    return time.perf_counter() - start_s


def warm_up(operation: str, calls: int) -> tuple[Answer, float]:
    """Make *calls* calls; return the last one's answer and seconds."""
    requests = _opened().requests
    for _ in range(calls):
        call = requests.ready(operation)
        start_s = time.perf_counter()
        found = _checked(call)
    return found, time.perf_counter() - start_s


def take_turn(operation: str, calls: int) -> list[float]:
    """Return the seconds of each of *calls* calls."""
    requests = _opened().requests
    seconds = []
    for call in [requests.ready(operation) for _ in range(calls)]:
        start_s = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start_s)
    return seconds


def _checked(call: Any) -> Any:
    """Turn botocore's exceptions, which cannot go to another process, into one that can."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        return call()
    except (BotoCoreError, ClientError, ValueError) as error:
        raise TargetError(str(error)) from None
