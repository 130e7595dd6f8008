"""Ordinary boto3 clients on the embedded engine, for perfkit and for anybody's own tests."""

from pathlib import Path
from typing import Any

__all__ = ["embedded_client", "embedded_resource"]

# never looked up: the engine answers before anything is sent
_ENDPOINT = "http://embedded.perfkit.invalid"
_REGION = "us-east-1"


def _options(config: Any) -> dict[str, Any]:
    from botocore import UNSIGNED
    from botocore.config import Config

    unsigned = Config(signature_version=UNSIGNED)
    return {
        "region_name": _REGION,
        "endpoint_url": _ENDPOINT,
        # given so that nothing looks for credentials; nothing is signed with them
        "aws_access_key_id": "embedded",
        "aws_secret_access_key": "embedded",
        "config": unsigned if config is None else config.merge(unsigned),
    }


def embedded_client(
    path: str | Path = ".perfkit/dynamodb.sqlite3",
    *,
    config: Any = None,
    session: Any = None,
    enforce_throughput: bool = False,
    latency: str | None = None,
    index_delay_s: float | None = None,
) -> Any:
    """
    Return a boto3 DynamoDB client on the embedded engine: no server, no socket, no credentials.

        from perfkit.dynamodb.client import embedded_client

        client = embedded_client(":memory:")
        client.create_table(...)

    Args:
        path: Data file, made if missing, shared with any other process that opens it;
            `:memory:` gives each client an empty database of its own.
        config: A `botocore.config.Config` for the client, e.g. with its retry mode.
        session: A `boto3.Session` to make the client from; a new one otherwise.
        enforce_throughput: Refuse what is beyond the throughput of tables, indexes and
            partitions, by a model of AWS; what there is is shared with all that do so.
        latency: Let answers take as long as AWS's: `aws`, or the path of a profile.
        index_delay_s: Let global indexes and eventually consistent reads of the file lag by up to
            so long, in all processes; 0 ends it, None leaves it as it is.

    Raises:
        DataFileError: The file is no data file of perfkit's, or from a newer version.
        ConfigError: The file cannot be written, or the profile will not do.
    """
    import boto3

    from perfkit.embedded import Engine
    from perfkit.embedded.latency import Latency, read_profile
    from perfkit.embedded.throughput import Enforcement
    from perfkit.embedded.transport import attach

    engine = Engine(
        path,
        index_delay_s=index_delay_s,
        enforcement=Enforcement.beside(path) if enforce_throughput else None,
        latency=None if latency is None else Latency(read_profile(latency)),
    )
    client = (session or boto3.Session()).client("dynamodb", **_options(config))
    attach(client, engine)
    return client


def embedded_resource(
    path: str | Path = ".perfkit/dynamodb.sqlite3", *, config: Any = None, session: Any = None
) -> Any:
    """Return a boto3 DynamoDB resource on the embedded engine; see `embedded_client`."""
    import boto3

    from perfkit.embedded import Engine
    from perfkit.embedded.transport import attach

    engine = Engine(path)
    resource = (session or boto3.Session()).resource("dynamodb", **_options(config))
    attach(resource.meta.client, engine)
    return resource
