"""How requests reach the engine: from a botocore client in the same process, and as HTTP bodies."""

import uuid
import zlib
from typing import Any

import orjson

from perfkit.embedded.engine import Engine
from perfkit.embedded.errors import DynamoDBError, unknown_operation

__all__ = ["CONTENT_TYPE", "answer", "attach", "checksum"]

CONTENT_TYPE = "application/x-amz-json-1.0"

_NAMESPACES = {
    "ThrottlingException": "com.amazon.coral.availability",
    "ValidationException": "com.amazon.coral.validate",
    "SerializationException": "com.amazon.coral.service",
    "UnknownOperationException": "com.amazon.coral.service",
    "AccessDeniedException": "com.amazon.coral.service",
}
_DYNAMODB = "com.amazonaws.dynamodb.v20120810"


def answer(engine: Engine, target: str, body: bytes) -> tuple[int, bytes]:
    """
    Return HTTP status and body of one request.

    Args:
        target: The `X-Amz-Target` header, e.g. `DynamoDB_20120810.PutItem`.
        body: JSON.
    """
    service, _, operation = target.rpartition(".")
    if service != "DynamoDB_20120810":
        return _refusal(unknown_operation(target))
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError:
        request = None
    if not isinstance(request, dict):
        return _refusal(DynamoDBError("SerializationException", ""))
    try:
        return 200, engine.execute(operation, request)
    except DynamoDBError as error:
        return _refusal(error)


def _refusal(error: DynamoDBError) -> tuple[int, bytes]:
    namespace = _NAMESPACES.get(error.code, _DYNAMODB)
    # AWS's front spells the member with a capital
    member = "Message" if namespace.endswith("service") else "message"
    content = {"__type": f"{namespace}#{error.code}", member: error.message, **error.extra}
    return error.status, orjson.dumps(content)


def attach(client: Any, engine: Engine) -> None:
    """
    Let a botocore or boto3 DynamoDB client reach *engine* instead of the network.

    Uses botocore's `before-send` event: what the handler returns takes the place of the
    HTTP exchange; serialising, retrying and parsing stay botocore's own.

    Args:
        client: A client of the service `dynamodb`; only this client is changed.
    """
    from botocore.awsrequest import AWSResponse

    def send(request: Any, **_: Any) -> Any:
        target = request.headers["X-Amz-Target"]
        if isinstance(target, bytes):
            target = target.decode()
        body = request.body
        status, content = answer(engine, target, body if body is not None else b"{}")
        engine.wait()
        try:
            # botocore decodes before it parses, and ends with an error of its own
            content.decode()
        except UnicodeDecodeError as error:
            raise engine.explain(error) from error
        headers = {
            "Content-Type": CONTENT_TYPE,
            "Content-Length": str(len(content)),
            "x-amzn-RequestId": str(uuid.uuid4()),
        }
        response = AWSResponse(request.url, status, headers, None)
        # botocore would read this from the socket
        response._content = content  # noqa: SLF001
        return response

    def check(http_response: Any, parsed: dict[str, Any], **_: Any) -> None:
        # botocore takes a body that is no JSON for an empty one
        if parsed.keys() <= {"ResponseMetadata"}:
            engine.check(http_response.content)

    client.meta.events.register("before-send.dynamodb", send)
    client.meta.events.register("after-call.dynamodb", check)


def checksum(content: bytes) -> str:
    """Return the `x-amz-crc32` header, which some SDKs verify."""
    return str(zlib.crc32(content))
