"""Targets: where DynamoDB is, how to reach it, and what is known about its answers."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from perfkit.dynamodb.connection import (
    ClientConnection,
    Connection,
    EngineConnection,
    check_answer,
)
from perfkit.dynamodb.errors import aws_errors
from perfkit.dynamodb.limits import Limits, MeteredConnection, attach, meter_of
from perfkit.errors import ConfigError
from perfkit.hosts import is_loopback
from perfkit.settings import DATA_FILE

__all__ = ["Target", "TargetKind", "data_files", "parse_target"]

# names, IPv4 and IPv6; botocore refuses others with an error of its own
_HOST = re.compile(r"[a-z0-9._:-]+", re.IGNORECASE)

_STAND_IN_REGION = "us-east-1"
"""Region given to an endpoint when none is configured; DynamoDB Local accepts any."""

_STAND_IN_KEY = "perfkit"
"""Access key of an endpoint where none is configured; a stand-in checks only that there is one."""

_AWS_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws", ".amazonaws.eu")
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d+")


class TargetKind(StrEnum):
    """The three sorts of target."""

    EMBEDDED = "embedded"
    ENDPOINT = "endpoint"
    AWS = "aws"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """
    Where DynamoDB is.

    Args:
        kind: `embedded`, `endpoint` or `aws`.
        data: The embedded engine's file; only for `embedded`.
        endpoint_url: Address of the service; only for `endpoint`.
        region: AWS region; None takes what the environment says.
        profile: Named AWS profile; None takes what the environment says.
        redirected: Whether `aws` was asked for, and AWS's own settings lead to an endpoint.
        limits: What may be consumed here, by whichever process and client.
        enforce_throughput: Whether the embedded engine refuses what is beyond the throughput of
            its tables and indexes, by a model of AWS.
        latency: The profile by which the embedded engine's answers take as long as AWS's.
        index_delay_s: By how much the embedded engine's global indexes and eventually consistent
            reads lag at most; None leaves it as its file says.
    """

    kind: TargetKind = TargetKind.EMBEDDED
    data: Path = DATA_FILE
    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    redirected: bool = False
    # what a target is does not depend on it
    limits: Limits | None = field(default=None, repr=False, compare=False)
    enforce_throughput: bool = False
    latency: str | None = None
    index_delay_s: float | None = field(default=None, repr=False, compare=False)

    @property
    def is_aws(self) -> bool:
        """Whether real AWS answers, so that calls cost money: `aws`, or one of its addresses."""
        if self.kind is not TargetKind.ENDPOINT:
            return self.kind is TargetKind.AWS
        return _is_aws_host(self.endpoint_url or "")

    @property
    def is_guarded(self) -> bool:
        """Whether perfkit asks before it writes, scans or deletes: anything off this machine."""
        if self.kind is TargetKind.EMBEDDED:
            return False
        if self.kind is TargetKind.AWS:
            return True
        return not is_loopback(_parts(self.endpoint_url or "").hostname)

    @property
    def stand_in_url(self) -> str | None:
        """Address of what answers in place of AWS, without user and password; None if AWS does."""
        if self.endpoint_url is None or self.is_aws:
            return None
        return _without_user(self.endpoint_url)

    @property
    def may_exist(self) -> bool:
        """Whether there can be tables: False for an embedded engine whose file is not made yet."""
        return self.kind is not TargetKind.EMBEDDED or self.data in data_files(self.data)

    @property
    def name(self) -> str:
        """The target as it is called in messages."""
        if self.kind is TargetKind.EMBEDDED:
            return f"the embedded engine ({self.data})"
        if self.kind is TargetKind.ENDPOINT:
            return _without_user(self.endpoint_url or "")
        return f"AWS ({self.region or 'default region'})"

    def describe(self) -> dict[str, Any]:
        """
        Return what a run file says of this target: kind, endpoint and region, never a secret.

        Raises:
            ConfigError: `aws`, and no region is configured.
        """
        if self.kind is TargetKind.EMBEDDED:
            # part of what a target is: runs with and without are never held against one another
            return {"kind": str(self.kind)}
        described = {"kind": str(self.kind), "region": self.resolved_region()}
        if self.endpoint_url is not None:
            described["endpoint"] = _without_user(self.endpoint_url)
        return described

    def condition(self) -> dict[str, Any]:
        """
        Return what a run says of where it was measured: `describe`, and what is modelled there.

        Runs of which one was measured with modelled limits or delays of AWS, and the other
        without, are thereby of different targets, and never compared.

        Raises:
            ConfigError: `aws`, and no region is configured; or a profile that will not do.
        """
        modelled: dict[str, Any] = {}
        if self.enforce_throughput:
            # another throughput refuses other requests
            modelled["throughput"] = "; ".join(("enforced", *self._provisioned()))
        if self.latency is not None:
            from perfkit.embedded.latency import read_profile

            # the times and not the file's name: another profile under that name is another model
            modelled["latency"] = read_profile(self.latency).describe()
        if delay_s := self.delay_s():
            modelled["index delay"] = delay_s
        return {**self.describe(), **({"modelled": modelled} if modelled else {})}

    def _provisioned(self) -> Iterator[str]:
        """
        Yield the throughput of each of the embedded engine's tables that is not on demand.

        That of indexes is left out: what an index changes is what runs are compared for.
        """
        if not self.may_exist:
            return
        from perfkit.dynamodb.tables import table_names

        connection = replace(self, limits=None, enforce_throughput=False, latency=None).connect(
            read_only=True
        )
        try:
            for name in table_names(connection):
                table = connection.execute("DescribeTable", {"TableName": name})["Table"]
                units = table.get("ProvisionedThroughput", {})
                if units.get("ReadCapacityUnits"):
                    yield (
                        f"{name} {units['ReadCapacityUnits']} RCU,"
                        f" {units['WriteCapacityUnits']} WCU"
                    )
        finally:
            connection.close()

    def delay_s(self) -> float:
        """Return by how much reads of the embedded engine's indexes lag: its file keeps it."""
        if self.kind is not TargetKind.EMBEDDED or self.index_delay_s is not None:
            return self.index_delay_s or 0.0
        if not self.may_exist:
            return 0.0
        from perfkit.embedded import Engine

        engine = Engine(self.data, read_only=True)
        try:
            return engine.index_delay_s
        finally:
            engine.close()

    def resolved_region(self) -> str:
        """
        Return the region calls go to.

        Raises:
            ConfigError: `aws`, and no region is configured.
        """
        if self.kind is TargetKind.EMBEDDED:
            return _STAND_IN_REGION
        # boto3 itself reads only AWS_DEFAULT_REGION; everything else of AWS's reads both
        region: str | None = (
            self.region or os.environ.get("AWS_REGION") or self._session().region_name
        )
        if region is None and self.kind is TargetKind.ENDPOINT:
            return _STAND_IN_REGION
        if region is None:
            msg = "no region for AWS: give --region or set AWS_REGION"
            raise ConfigError(msg)
        return region

    def client(
        self,
        service: str = "dynamodb",
        *,
        max_attempts: int | None = None,
        pool_connections: int = 10,
        parameter_validation: bool = True,
        connect_timeout_s: float = 5.0,
        read_timeout_s: float = 60.0,
    ) -> Any:
        """
        Return a boto3 client for this target.

        Args:
            service: `dynamodb`; on `aws` any other service of the same account and region.
            max_attempts: Attempts in all for one call; None leaves it to boto3, 1 is no retries.
            pool_connections: Connections kept open; as many as threads share the client.
            parameter_validation: Whether boto3 checks requests before it sends them.
            connect_timeout_s: Seconds to wait for a connection.
            read_timeout_s: Seconds to wait for an answer.

        Raises:
            ConfigError: Region or profile are missing.
        """
        from botocore.config import Config

        retries: dict[str, Any] = {"mode": "standard"}
        if max_attempts is not None:
            retries["total_max_attempts"] = max_attempts
        config = Config(
            retries=retries,
            max_pool_connections=pool_connections,
            parameter_validation=parameter_validation,
            connect_timeout=connect_timeout_s,
            read_timeout=read_timeout_s,
        )
        if self.kind is TargetKind.EMBEDDED:
            from perfkit.dynamodb.client import embedded_client

            client = embedded_client(
                self.data,
                config=config,
                index_delay_s=self.index_delay_s,
                enforce_throughput=self.enforce_throughput,
                latency=self.latency,
            )
            return self._limited(service, client)
        options: dict[str, Any] = {"config": config, "region_name": self.resolved_region()}
        session = self._session()
        if self.kind is TargetKind.ENDPOINT:
            if service == "dynamodb":
                options["endpoint_url"] = self.endpoint_url
            if not self.is_aws:
                options |= _stand_in_credentials(session)
        with aws_errors(f"connecting to {self.name}", self.name):
            return self._limited(service, session.client(service, **options))

    def connect(self, *, read_only: bool = False) -> Connection:
        """
        Return the shortest way to this target, for perfkit's own data rather than for timing.

        The embedded engine is called directly; elsewhere a boto3 client without parameter
        validation and without retries, because perfkit retries by its own rules.

        Args:
            read_only: Write nothing into the embedded engine's folder, not even to look.

        Raises:
            ConfigError: Region, profile or data folder are missing or unusable.
        """
        if self.kind is TargetKind.EMBEDDED:
            from perfkit.embedded import Engine
            from perfkit.embedded.latency import Latency, read_profile
            from perfkit.embedded.throughput import Enforcement

            enforcement = latency = None
            if self.enforce_throughput:
                enforcement = Enforcement.beside(self.data, read_only=read_only)
            if self.latency is not None:
                latency = Latency(read_profile(self.latency))
            direct = EngineConnection(
                Engine(
                    self.data,
                    read_only=read_only,
                    index_delay_s=self.index_delay_s,
                    enforcement=enforcement,
                    latency=latency,
                )
            )
            if self.limits is None:
                return direct
            return MeteredConnection(direct, meter_of(self.limits))
        client = self.client(max_attempts=1, parameter_validation=False)
        return ClientConnection(client, where=self.name)

    def _limited(self, service: str, client: Any) -> Any:
        if self.limits is not None and service == "dynamodb":
            attach(client, self.limits)
        return client

    def account(self) -> str | None:
        """
        Return the AWS account number calls are made with, None where there is none to know.

        Raises:
            ConfigError: There are no usable credentials.
        """
        if not self.is_aws:
            return None
        self.credentials()
        caller = self.caller()
        return None if caller is None else caller[0]

    def caller(self) -> tuple[str, str] | None:
        """
        Return account number and ARN of whose credentials these are; None where STS is silent.

        Raises:
            ConfigError: There is no region, or no such profile.
        """
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError, ClientError

        # a private network may reach DynamoDB and not STS: this is information only
        config = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
        region = self.resolved_region()
        try:
            sts = self._session().client("sts", region_name=region, config=config)
            answer = sts.get_caller_identity()
        except (BotoCoreError, ClientError):
            return None
        return str(answer["Account"]), str(answer["Arn"])

    def credentials_source(self) -> str | None:
        """
        Return where the credentials come from, as botocore calls it; None if there are none.

        Raises:
            ConfigError: They cannot be read or fetched.
        """
        with aws_errors("looking for credentials", self.name):
            found = self._session().get_credentials()
            if found is None:
                return None
            # those of a role or a login are fetched here, or not to be had
            found.get_frozen_credentials()
        return str(found.method)

    def credentials(self) -> Any:
        """
        Return the credentials that calls are signed with; botocore's object, which renews them.

        Raises:
            ConfigError: There are none, or they cannot be read.
        """
        with aws_errors("looking for credentials", self.name):
            found = self._session().get_credentials()
        if found is None:
            raise _no_credentials(self.name)
        return found

    def access_key(self) -> str:
        """
        Return the beginning and the end of the access key id that calls are signed with.

        Enough for a person to tell which of theirs it is; "" where nothing is signed.
        """
        if self.kind is TargetKind.EMBEDDED:
            return ""
        with aws_errors("looking for credentials", self.name):
            found = self._session().get_credentials()
            key = None if found is None else found.get_frozen_credentials().access_key
        if not key:
            key = "" if self.is_aws else _STAND_IN_KEY
        return key if key == _STAND_IN_KEY else f"{key[:4]}…{key[-4:] if len(key) > 12 else ''}"

    def capacity_doubt(self) -> str | None:
        """
        Return why this target's capacity answers may be wrong, None if there is no reason.

        Costs one ListTables call on an endpoint that is not AWS.

        Raises:
            TargetError: The endpoint does not answer.
        """
        if self.kind is TargetKind.EMBEDDED or self.is_aws:
            return None
        client = self.client(max_attempts=1)
        with aws_errors("looking at the endpoint", self.name):
            answer = client.list_tables(Limit=1)
        check_answer("ListTables", answer, self.name)
        return self.doubt_of(answer["ResponseMetadata"]["HTTPHeaders"])

    def doubt_of(self, headers: Mapping[str, str]) -> str | None:
        """Return why capacity may be wrong where answers have these headers; None for no reason."""
        if self.kind is TargetKind.EMBEDDED or self.is_aws:
            return None
        return _doubt(self.name, headers)

    def _session(self) -> Any:
        import boto3
        import botocore.session

        with aws_errors("reading the AWS configuration", self.name):
            core = botocore.session.get_session()
            if self.profile is not None:
                core.set_config_variable("profile", self.profile)
            if self.kind is TargetKind.ENDPOINT and not self.is_aws:
                # asking a cloud machine for its role takes seconds where there is none, and
                # such credentials are of no use to a stand-in
                core.get_component("credential_provider").remove("iam-role")
            return boto3.Session(botocore_session=core, region_name=self.region)


def parse_target(
    text: str | None,
    data: Path | None = None,
    *,
    region: str | None = None,
    profile: str | None = None,
) -> Target:
    """
    Return the target that *text* names.

    Args:
        text: `embedded`, `aws` or the URL of an endpoint; None is `embedded`.
        data: The embedded engine's file; only with `embedded`.
        region: AWS region; not with `embedded`.
        profile: AWS profile; not with `embedded`.

    Raises:
        ConfigError: *text* is none of these, or an option does not go with it.
    """
    text = (text or TargetKind.EMBEDDED).strip()
    if text == TargetKind.EMBEDDED:
        for option, value in (("--region", region), ("--profile", profile)):
            if value is not None:
                msg = f"{option} {value} goes with --target aws or an endpoint, not with embedded"
                raise ConfigError(msg)
        if data is not None and str(data) == ":memory:":
            msg = "--data :memory: would be gone when the command ends; name a file"
            raise ConfigError(msg)
        return Target(data=data or DATA_FILE)
    if data is not None:
        msg = f"--data {data} goes with the embedded target only, not with --target {text}"
        raise ConfigError(msg)
    if text == TargetKind.AWS:
        return _followed(Target(kind=TargetKind.AWS, region=region, profile=profile))
    parts = _parts(text)
    if parts.scheme not in {"http", "https"} or not _HOST.fullmatch(parts.hostname or ""):
        msg = (
            f"no target {text!r}; use embedded, aws, or the URL of an endpoint such as"
            " http://localhost:8000"
        )
        raise ConfigError(msg)
    return Target(
        kind=TargetKind.ENDPOINT,
        endpoint_url=text.rstrip("/"),
        region=region or _region_of(parts.hostname or ""),
        profile=profile,
    )


def _followed(target: Target) -> Target:
    """
    Return where AWS's own settings send `aws`: itself, or an endpoint that is not AWS.

    AWS_ENDPOINT_URL_DYNAMODB, AWS_ENDPOINT_URL and the configuration file may name one,
    AWS_IGNORE_CONFIGURED_ENDPOINT_URLS takes that back; what follows from it all, a client knows.
    """
    session = target._session()  # noqa: SLF001 - its own module
    with aws_errors("reading the AWS configuration", target.name):
        # neither region nor credentials matter to the question, so that nothing looks for them
        client = session.client(
            "dynamodb",
            region_name=target.region or _STAND_IN_REGION,
            aws_access_key_id="-",
            aws_secret_access_key="-",  # noqa: S106 - none at all
        )
    url = str(client.meta.endpoint_url)
    client.close()
    if _is_aws_host(url):
        return target
    return replace(target, kind=TargetKind.ENDPOINT, endpoint_url=url.rstrip("/"), redirected=True)


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError as error:
        msg = f"target {url!r} is no address ({error}); use for example http://localhost:8000"
        raise ConfigError(msg) from error
    return parts


def _without_user(url: str) -> str:
    """Return a URL without the user name and password somebody may have put into it."""
    parts = _parts(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _is_aws_host(url: str) -> bool:
    return (_parts(url).hostname or "").endswith(_AWS_DOMAINS)


def _region_of(host: str) -> str | None:
    """Return the region in an address of AWS, e.g. dynamodb.eu-west-1.amazonaws.com."""
    labels = host.split(".") if host.endswith(_AWS_DOMAINS) else []
    return next((label for label in labels if _REGION.fullmatch(label)), None)


def _no_credentials(name: str) -> ConfigError:
    return ConfigError(
        f"no credentials for {name}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run"
        " `aws configure`, or name a --profile"
    )


def _stand_in_credentials(session: Any) -> dict[str, str]:
    """Return credentials for a stand-in if none are configured; it checks only that there are some."""
    if session.get_credentials() is not None:
        return {}
    return {"aws_access_key_id": _STAND_IN_KEY, "aws_secret_access_key": _STAND_IN_KEY}


def _doubt(name: str, headers: Mapping[str, str]) -> str | None:
    server = headers.get("server", "")
    if server.startswith("perfkit"):
        return None
    if "x-localstack" in headers:
        return f"{name} is LocalStack: its consumed capacity differs from AWS in many cases"
    if server == "amazon.com" or server.startswith("Werkzeug"):
        return f"{name} is moto: it answers constants in place of consumed capacity"
    if server.startswith("Jetty"):
        return (
            f"{name} is DynamoDB Local: consumed capacity of transactions, missing keys and"
            " some index writes differs from AWS"
        )
    return f"{name} is not AWS: its consumed capacity is what it says, and is unchecked"


def data_files(data: Path) -> list[Path]:
    """Return the embedded engine's file and those SQLite and the engine keep beside it."""
    names = [
        data,
        *(data.with_name(data.name + end) for end in ("-wal", "-shm", "-lock", "-throughput")),
    ]
    try:
        return [name for name in names if name.exists()]
    except OSError as error:
        msg = f"cannot use {data}: {error.strerror}; name another file with --data"
        raise ConfigError(msg) from error
