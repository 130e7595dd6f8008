"""
Answers of DynamoDB and failures of botocore, turned into errors with a way out.

Nothing else in perfkit looks at the classes of `botocore.exceptions`: a service's answer
becomes a `DynamoDBError` (its code decides what to do), everything that reaches a person
becomes a `PerfkitError`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from perfkit.embedded.errors import DynamoDBError
from perfkit.errors import ConfigError, PerfkitError, TargetError, ThrottledError

__all__ = [
    "BUSY",
    "CONNECTION_LOST",
    "THROTTLES",
    "answer_errors",
    "as_answer",
    "aws_errors",
    "explain",
    "is_transient",
]

THROTTLES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottlingException",
    }
)
"""Refused for lack of capacity: wait and send again."""

CONNECTION_LOST = "ConnectionLost"
"""Code given to a call whose answer never came; DynamoDB itself does not use it."""

BUSY = frozenset({"LimitExceededException", "ResourceInUseException"})
"""Another operation on the same table runs: wait for it."""

_NO_HOST = "no such host"

_FAILURES = frozenset({"InternalFailure", "InternalServerError", "ServiceUnavailable"})
_CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "RequestExpired"})
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "NotAuthorized"})


def is_transient(error: DynamoDBError) -> bool:
    """Tell whether the call failed on the way or inside the service, so that a repeat may work."""
    return error.code == CONNECTION_LOST or error.code in _FAILURES or error.status >= 500


def explain(error: DynamoDBError, *, doing: str, where: str) -> PerfkitError:
    """
    Return what an error answer means to a person, in one line.

    Args:
        error: The service's answer.
        doing: What was being done, as the start of a sentence: `creating table Courses`.
        where: The target, as it is called in messages.
    """
    code, text = error.code, error.message.rstrip(".") or "no further text"
    if code in THROTTLES:
        return ThrottledError(
            f"{doing}: {where} refused for lack of capacity ({code}: {text});"
            " run again later, or slower"
        )
    if code in _EXPIRED or (code in _CREDENTIALS and "expired" in text):
        return ConfigError(
            f"{doing}: the credentials for {where} have expired ({code}); sign in again, for"
            " example with `aws sso login` (if they are fresh, check this machine's clock)"
        )
    if code in _CREDENTIALS:
        return ConfigError(
            f"{doing}: {where} does not accept these credentials ({code}: {text});"
            " check --profile and the AWS_* environment variables"
        )
    if code in _DENIED:
        return TargetError(
            f"{doing}: not allowed on {where} ({text}); use credentials that may do this"
        )
    if code == CONNECTION_LOST and text == _NO_HOST and where.startswith("AWS"):
        return TargetError(
            f"{doing}: no answer from {where} ({text}): is the region spelt right, and the network"
            " up?"
        )
    if code == CONNECTION_LOST:
        return TargetError(f"{doing}: no answer from {where} ({text}): is it running?")
    if code == "ResourceNotFoundException":
        return TargetError(
            f"{doing}: {where} has no such table or index ({text}); `perfkit seed` creates the"
            " tables, `perfkit create-indexes` the indexes; where they should be there, check"
            " --target, --region and --profile"
        )
    if code in BUSY:
        return TargetError(f"{doing}: {where} is busy with that table ({text}); run again shortly")
    if code == "500":
        return TargetError(
            f"{doing}: {where} failed by itself (HTTP status {code}) and gave no reason; its log"
            " may say why"
        )
    if code.isdigit():
        return TargetError(
            f"{doing}: what answers at {where} is not DynamoDB (HTTP status {code}); check --target"
        )
    return TargetError(f"{doing}: {where} answered {code}: {text}")


@contextmanager
def answer_errors(doing: str, where: str) -> Iterator[None]:
    """Explain a `DynamoDBError` raised inside."""
    try:
        yield
    except DynamoDBError as error:
        raise explain(error, doing=doing, where=where) from error


@contextmanager
def aws_errors(doing: str, where: str) -> Iterator[None]:
    """
    Explain whatever boto3 raises inside; for code that calls a boto3 client itself.

    Raises:
        ConfigError: Credentials, region or profile are missing or refused.
        ThrottledError: Refused for lack of capacity.
        TargetError: Any other answer, or none.
    """
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    try:
        yield
    except (BotoCoreError, ClientError, ResponseParserError) as error:
        raise explain(as_answer(error, where=where), doing=doing, where=where) from error


_SIGN_IN = frozenset(
    {
        "CredentialRetrievalError",
        "LoginError",
        "RefreshWithMFAUnsupportedError",
        "SSOError",
        "TokenRetrievalError",
    }
)


def as_answer(error: Any, *, where: str) -> DynamoDBError:
    """
    Return a botocore exception as an error answer.

    A lost connection becomes the code `CONNECTION_LOST`.

    Args:
        error: What botocore raised.
        where: The target, as it is called in messages.

    Raises:
        ConfigError: Not an answer at all: credentials, region or profile are missing.
        TargetError: The request could not be sent or its answer not be read.
    """
    # by name, because the oldest boto3 we accept lacks some of these classes
    kinds = {kind.__name__ for kind in type(error).__mro__}
    if "ClientError" in kinds:
        details: dict[str, Any] = error.response.get("Error", {})
        return DynamoDBError(
            str(details.get("Code", "Unknown")),
            str(details.get("Message", "")),
            status=error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 400),
        )
    if "SSLError" not in kinds and kinds & {"HTTPClientError", "ConnectionError"}:
        return DynamoDBError(CONNECTION_LOST, _reason(error, kinds))
    raise _not_an_answer(error, kinds, where) from error


def _not_an_answer(error: Exception, kinds: set[str], where: str) -> PerfkitError:
    if kinds & {"NoCredentialsError", "PartialCredentialsError"}:
        return ConfigError(
            f"no complete credentials for {where}: set AWS_ACCESS_KEY_ID and"
            " AWS_SECRET_ACCESS_KEY, or run `aws configure`, or name a --profile"
        )
    if "NoRegionError" in kinds:
        return ConfigError(f"no region for {where}: give --region or set AWS_REGION")
    if "ProfileNotFound" in kinds:
        return ConfigError(f"{error}; `aws configure list-profiles` shows which profiles there are")
    if kinds & _SIGN_IN:
        return ConfigError(
            f"no credentials for {where} ({error}); sign in again, for example with `aws sso login`"
        )
    if "ResponseParserError" in kinds:
        return TargetError(f"what answers at {where} is not DynamoDB; check --target")
    if "SSLError" in kinds:
        return TargetError(f"no secure connection to {where} ({error}); is it http, not https?")
    return TargetError(f"{where}: {error}")


def _reason(error: Exception, kinds: set[str]) -> str:
    """Return why a connection failed, without the objects urllib3 names in its texts."""
    if kinds & {"ConnectTimeoutError", "ReadTimeoutError"}:
        return "timed out"
    cause = str(getattr(error, "kwargs", {}).get("error", "")).lower()
    if "refused" in cause:
        return "connection refused"
    if "resolve" in cause:
        return _NO_HOST
    return "could not connect" if "EndpointConnectionError" in kinds else "connection lost"
