"""Requests to AWS are signed again; checked by AWS's published algorithm, written down once more."""

import asyncio
import hashlib
import hmac
import re

import pytest
from multidict import CIMultiDict

from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.errors import ConfigError
from perfkit.traffic.upstream import open_upstream, passed_on

BODY = b'{"TableName":"things"}'
SECRET = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
AWS = Target(kind=TargetKind.AWS, region="eu-west-1")


def signature(headers: CIMultiDict[str], host: str) -> tuple[str, str]:
    """Return the signature in a request and the one it should have (Signature Version 4)."""
    found = re.search(
        r"Credential=(\S+?)/(\d{8})/(\S+?), SignedHeaders=(\S+?), Signature=(\w+)",
        headers["Authorization"],
    )
    assert found is not None
    _, day, scope, names, given = found.groups()
    values = {"host": host} | {name.lower(): value for name, value in headers.items()}
    canonical = "\n".join(
        [
            "POST",
            "/",
            "",
            *(f"{name}:{values[name]}" for name in names.split(";")),
            "",
            names,
            hashlib.sha256(BODY).hexdigest(),
        ]
    )
    text = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            values["x-amz-date"],
            f"{day}/{scope}",
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = f"AWS4{SECRET}".encode()
    for part in (day, *scope.split("/")):
        key = hmac.digest(key, part.encode(), "sha256")
    return given, hmac.digest(key, text.encode(), "sha256").hex()


@pytest.mark.processes
def test_a_request_is_signed_with_the_callers_credentials(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    sent = {
        "Host": "127.0.0.1:8001",
        "X-Amz-Target": "DynamoDB_20120810.DescribeTable",
        "X-Amz-Date": "20200101T000000Z",
        "X-Amz-Security-Token": "the application's",
        "Authorization": "AWS4-HMAC-SHA256 Credential=APPLICATION/…",
        "amz-sdk-request": "attempt=1",
    }

    async def sign() -> tuple[CIMultiDict[str], str]:
        upstream = await open_upstream(AWS)
        try:
            headers = passed_on(sent)
            url = upstream._root  # type: ignore[attr-defined]
            await upstream._sign("POST", url, headers, BODY)  # type: ignore[attr-defined]
            return headers, str(url.host)
        finally:
            await upstream.close()

    headers, host = asyncio.run(sign())

    given, right = signature(headers, host)
    assert given == right
    assert host == "dynamodb.eu-west-1.amazonaws.com"
    assert "AKIDEXAMPLE" in headers["Authorization"]
    assert "/eu-west-1/dynamodb/aws4_request" in headers["Authorization"]
    assert "X-Amz-Security-Token" not in headers
    assert headers["amz-sdk-request"] == "attempt=1"


@pytest.mark.processes
def test_without_credentials_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")

    with pytest.raises(ConfigError, match="no credentials for AWS"):
        asyncio.run(open_upstream(AWS))
