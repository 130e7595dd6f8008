"""Which calls in Python source are scans of DynamoDB, and which only look like it."""

import os
from pathlib import Path
from textwrap import dedent

import pytest

from perfkit.errors import ConfigError
from perfkit.gates.source import find_scans


def lines(*files: str) -> list[tuple[int, str]]:
    """Return line and call of what is found in files of such contents, of all of them."""
    folder = Path("src")
    folder.mkdir()
    for number, text in enumerate(files):
        (folder / f"module{number}.py").write_text(dedent(text).lstrip("\n"))
    source = find_scans(folder)
    assert source.unread == ()
    return [(scan.line, scan.call) for scan in source.scans]


@pytest.mark.parametrize(
    ("text", "line", "call"),
    [
        pytest.param(
            """
            import boto3
            store = boto3.client("dynamodb", region_name="eu-west-1")
            store.scan(**request)
            """,
            3,
            "store.scan",
            id="client",
        ),
        pytest.param(
            """
            import boto3
            class Repository:
                def __init__(self):
                    self._orders = boto3.resource("dynamodb").Table("Orders")
                def all(self):
                    return (
                        self._orders
                        .scan()["Items"]
                    )
            """,
            8,
            "self._orders.scan",
            id="resource",
        ),
        pytest.param(
            """
            def pages(client):
                return client.get_paginator("scan").paginate(TableName="Orders")
            """,
            2,
            "client.get_paginator('scan')",
            id="paginator",
        ),
        pytest.param(
            """
            OPERATION = "scan"
            def pages(client):
                return client.get_paginator(operation_name=OPERATION)
            """,
            3,
            "client.get_paginator('scan')",
            id="paginator by a constant",
        ),
        pytest.param(
            """
            async def read(session):
                async with session.resource("dynamodb") as dynamo:
                    orders = await dynamo.Table("Orders")
                    return await orders.scan(**later)
            """,
            4,
            "orders.scan",
            id="aioboto3 resource",
        ),
        pytest.param(
            """
            async def read(session):
                async with session.create_client("dynamodb") as it:
                    return await it.scan(TableName="Orders")
            """,
            3,
            "it.scan",
            id="aiobotocore client",
        ),
        pytest.param(
            """
            async def read(session, stack):
                it = await stack.enter_async_context(session.client(service_name="dynamodb"))
                return await it.scan(**request)
            """,
            3,
            "it.scan",
            id="client of a stack",
        ),
        pytest.param(
            """
            from pynamodb.models import Model as Base
            class Thread(Base):
                pass
            class Hot(Thread):
                @classmethod
                def all(cls):
                    return list(Hot.scan(Hot.views > 5))
            """,
            7,
            "Hot.scan",
            id="PynamoDB model",
        ),
        pytest.param(
            """
            import pynamodb.models
            class Thread(pynamodb.models.Model):
                view_index = ViewIndex()
            def all():
                return Thread.view_index.scan(Thread.views > 5)
            """,
            5,
            "Thread.view_index.scan",
            id="PynamoDB index",
        ),
        pytest.param(
            """
            from pynamodb.models import Model
            class Thread(Model):
                @classmethod
                def all(cls):
                    return cls.scan(limit=10)
            """,
            5,
            "cls.scan",
            id="PynamoDB model, in itself",
        ),
        pytest.param(
            """
            def all(session):
                return session.pages("scan", TableName="Orders")
            """,
            2,
            "session.pages('scan')",
            id="named as a text",
        ),
        pytest.param(
            """
            def all(anything):
                return anything.scan(TableName="Orders", Limit=10)
            """,
            2,
            "anything.scan",
            id="by its arguments",
        ),
        pytest.param(
            """
            import boto3
            def all(orders_table):
                return orders_table.scan()
            """,
            3,
            "orders_table.scan",
            id="by its name",
        ),
        pytest.param(
            """
            from mypy_boto3_dynamodb.service_resource import Table
            def all(orders: "Table | None"):
                return orders.scan()
            """,
            3,
            "orders.scan",
            id="by its type",
        ),
        pytest.param(
            """
            import boto3
            def make():
                return boto3.resource("dynamodb").Table("Orders")
            def all():
                return make().scan()
            """,
            5,
            "make().scan",
            id="by what a function returns",
        ),
        pytest.param(
            """
            import asyncio, boto3
            orders = boto3.resource("dynamodb").Table("Orders")
            async def all():
                return await asyncio.to_thread(orders.scan, Limit=10)
            """,
            4,
            "orders.scan",
            id="handed on",
        ),
        pytest.param(
            """
            async def all(asyncio, self):
                return await asyncio.to_thread(self.store.scan, TableName="Orders")
            """,
            2,
            "self.store.scan",
            id="handed on, by its arguments",
        ),
        pytest.param(
            """
            import boto3
            resource = boto3.resource("dynamodb")
            resource.meta.client.scan(**request)
            """,
            3,
            "resource.meta.client.scan",
            id="client of a resource",
        ),
        pytest.param(
            """
            def all(client, name):
                return client.execute_statement(Statement=f'SELECT * FROM "{name}"')
            """,
            2,
            "client.execute_statement(Statement='SELECT * FROM \"?\"')",
            id="PartiQL without a key",
        ),
        pytest.param(
            """
            import boto3
            table = boto3.resource("dynamodb").Table("Orders")
            answer = getattr(table, "scan")()
            """,
            3,
            "getattr(table, 'scan')",
            id="getattr",
        ),
    ],
)
def test_a_scan_is_found(text: str, line: int, call: str) -> None:
    assert lines(text) == [(line, call)]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("import redis\nredis.Redis().scan(0, match='a*')", id="redis"),
        pytest.param(
            "import redis, boto3\ntable = redis.Redis()\ntable.scan()", id="redis, oddly named"
        ),
        pytest.param(
            "async def f(redis):\n    return [k async for k in redis.scan_iter()]", id="iter"
        ),
        pytest.param("import re\nre.Scanner([]).scan('text')", id="re.Scanner"),
        pytest.param("import boto3\nscanner.scan()\nbarcode.scan(image)", id="a scanner"),
        pytest.param("import boto3\ntable.query(KeyConditionExpression=key)", id="query"),
        pytest.param(
            "import boto3\nboto3.client('ecr').get_paginator('scan')\n"
            "boto3.client('inspector').scan(**{})",
            id="another service",
        ),
        pytest.param("client.get_paginator('query')", id="paginator of queries"),
        pytest.param("from pyiceberg import table\nimport boto3\ntable.scan()", id="iceberg"),
        pytest.param("import happybase\ntable.scan(row_prefix=b'a')", id="HBase"),
        pytest.param(
            "client.execute_statement(Statement=\"SELECT * FROM T WHERE pk = 'a'\")", id="by key"
        ),
        pytest.param(
            "client.execute_statement(Statement=f'SELECT * FROM T {where}')", id="unknown"
        ),
        pytest.param("rds.execute_statement(sql='SELECT * FROM T')", id="another database"),
        pytest.param("# table.scan(TableName='T')\ntext = 'table.scan()'", id="comment and text"),
        pytest.param("class Table:\n    def scan(self): ...\n", id="a definition"),
    ],
)
def test_what_only_looks_like_a_scan_is_left_alone(text: str) -> None:
    assert lines(text) == []


def test_names_are_followed_from_file_to_file() -> None:
    found = lines(
        "import boto3\norders = boto3.resource('dynamodb').Table('Orders')\n",
        "from .module0 import orders as them\nthem.scan(**request)\n",
        "from pynamodb.models import Model\nclass Thread(Model): ...\n",
        "from .module2 import Thread\nThread.scan(limit=10)\n",
    )

    assert found == [(2, "them.scan"), (2, "Thread.scan")]


def test_a_comment_allows_a_scan_and_needs_a_reason() -> None:
    Path("jobs.py").write_text(
        dedent("""\
        client.scan(
            TableName="Orders",  # perfkit: allow-scan nightly export
        )
        # perfkit: allow-scan: a table of ten items
        client.scan(TableName="Settings")
        client.scan(TableName="Users")  # perfkit: allow-scan
        text = "# perfkit: allow-scan no comment"; client.scan(TableName="Logs")
        """)
    )

    source = find_scans(Path())

    assert [(scan.line, scan.allowed) for scan in source.allowed] == [
        (1, "nightly export"),
        (5, "a table of ten items"),
    ]
    assert [scan.line for scan in source.scans] == [6, 7]


def test_what_is_no_source_is_left_out_and_what_cannot_be_read_is_named() -> None:
    scan = "client.scan(TableName='T')\n"
    for name in (".venv/lib", "env", "node_modules/x", "app", ".hidden"):
        Path(name).mkdir(parents=True)
        Path(name, "module.py").write_text(scan)
    Path("env/pyvenv.cfg").touch()
    Path("app/link").symlink_to("..")
    Path("app/again.py").symlink_to("module.py")
    Path("app/gone.py").symlink_to("nothing.py")
    os.mkfifo("app/pipe.py")
    Path("app/latin.py").write_bytes(
        "# coding: latin-1\nname = 'é'\n".encode("latin-1") + scan.encode()
    )
    Path("app/old.py").write_text("print table.scan()\n")
    Path("app/bytes.py").write_bytes(b"name = 'scan \xff'\n")
    Path("app/nul.py").write_bytes(b"scan = 1\0")
    Path("app/broken.py").write_text("nothing of interest is read :-)\n")
    Path("app/escape.py").write_text('pattern = "\\d"\n')
    Path("app/deep.py").write_text(f"scan = {'(' * 3000}1{')' * 3000}\n")
    Path("app/empty.py").touch()

    source = find_scans(Path())

    assert [(each.file, each.line) for each in source.scans] == [
        ("app/again.py", 1),
        ("app/latin.py", 3),
    ]
    assert [each.file for each in source.unread] == [
        "app/bytes.py",
        "app/deep.py",
        "app/nul.py",
        "app/old.py",
    ]
    assert "line 1" in source.unread[-1].reason
    assert source.changed_s >= Path("app/old.py").stat().st_mtime


def test_a_folder_without_python_is_a_slip() -> None:
    Path("docs").mkdir()

    with pytest.raises(ConfigError, match="no Python file in 'docs'"):
        find_scans(Path("docs"))
    with pytest.raises(ConfigError, match="no folder 'scr'"):
        find_scans(Path("scr"))


def test_the_reference_service_scans_where_its_switch_says_so() -> None:
    """Phase 0 scans on purpose, in one place."""
    import perfkit.service

    source = find_scans(Path(perfkit.service.__file__).parent)

    assert source.unread == ()
    assert source.scans == ()
    assert [(Path(each.file).name, each.call) for each in source.allowed] == [
        ("store.py", "session.pages('scan')")
    ]
