"""Today's forms on tables that perfkit did not make: what is measured, with counts worked out by hand."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from perfkit.analysis.budgets import judge_budgets
from perfkit.analysis.outcome import find_outcome
from perfkit.analysis.verdict import Ruling
from perfkit.commands.options import request_prices
from perfkit.cost.evidence import gather
from perfkit.dynamodb.permissions import needs
from perfkit.dynamodb.safety import Preview, describe
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.errors import TargetError
from perfkit.measure.rounds import Plan
from perfkit.runs import Run
from perfkit.scenarios.base import Context, Options
from perfkit.scenarios.reading import Scan, Steps
from perfkit.scenarios.registry import find
from perfkit.workloads.loader import load

HEAD = """
name = "orders"
description = "An order service"

[tables.Orders]
partition_key = { name = "order_id", type = "S" }

[tables.Orders.indexes]
ByStatus = { partition_key = { name = "status", type = "S" }, sort_key = "order_id", exists = true }
ByDay = { partition_key = { name = "placed", type = "S" } }

[tables.Customers]
partition_key = { name = "pk", type = "B" }

[tables.Lines]
partition_key = { name = "order_id", type = "S" }
sort_key = { name = "line", type = "N" }
"""

BY_STATUS = """
scan.filter = "#status = :status"
query.index = "ByStatus"
query.key_condition = "#status = :status"
"""

PATTERN = """
[patterns.asked]
description = "A question"
table = "Orders"
names = { status = "status" }
"""

CUSTOMERS = 'steps.then = { table = "Customers", get = { pk = "customer" } }\n'


def attributes(*named: str) -> list[dict[str, str]]:
    pairs = [each.split(":") for each in named]
    return [{"AttributeName": name, "AttributeType": kind} for name, kind in pairs]


def keys(*names: str) -> list[dict[str, str]]:
    kinds = ("HASH", "RANGE")
    return [
        {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, kinds, strict=False)
    ]


def fill(client: Any) -> None:
    """
    Make the tables as a service would that knows nothing of perfkit.

    40 orders of 1,000 bytes or a little less, O00 to O09 of them PENDING, of customers 0 to 3 in
    turn; O09 has none. Four customers of about 100 bytes, two lines for each pending order.
    """
    on_demand = {"BillingMode": "PAY_PER_REQUEST"}
    client.create_table(
        TableName="Orders",
        KeySchema=keys("order_id"),
        AttributeDefinitions=attributes("order_id:S", "status:S"),
        GlobalSecondaryIndexes=[
            {
                "IndexName": "ByStatus",
                "KeySchema": keys("status", "order_id"),
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        **on_demand,
    )
    client.create_table(
        TableName="Customers",
        KeySchema=keys("pk"),
        AttributeDefinitions=attributes("pk:B"),
        **on_demand,
    )
    client.create_table(
        TableName="Lines",
        KeySchema=keys("order_id", "line"),
        AttributeDefinitions=attributes("order_id:S", "line:N"),
        **on_demand,
    )
    for number in range(40):
        order: dict[str, Any] = {
            "order_id": {"S": f"O{number:02}"},
            "status": {"S": "PENDING" if number < 10 else "DONE"},
            "nr": {"N": str(number)},
            "tags": {"L": [{"S": "a"}, {"SS": ["x", "y"]}]},
            "text": {"S": "x" * 940},
        }
        if number != 9:
            order["customer"] = {"B": bytes([number % 4])}
        client.put_item(TableName="Orders", Item=order)
    for number in range(4):
        item = {"pk": {"B": bytes([number])}, "name": {"S": "x" * 90}}
        client.put_item(TableName="Customers", Item=item)
    for number in range(10):
        for line in range(2):
            item = {"order_id": {"S": f"O{number:02}"}, "line": {"N": str(line)}}
            client.put_item(TableName="Lines", Item=item)


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Target:
    made = Target(data=tmp_path_factory.mktemp("orders") / "data.sqlite3")
    client = made.client()
    fill(client)
    client.close()
    return made


@pytest.fixture
def measure(target: Target, tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """Return a function that measures a pattern of a workload that ends with this text."""
    client = target.client()

    def measure(
        text: str,
        *,
        client: Any = client,
        where: Target = target,
        consistent: bool = False,
        head: str = HEAD,
    ) -> Run:
        context = context_of(text, client, where, head)
        context = replace(context, options=replace(context.options, consistent=consistent))
        (scenario,) = find(context.workload, ["asked"])
        return scenario.measure(context)

    def context_of(text: str, client: Any, where: Target, head: str) -> Context:
        path = tmp_path / "orders.toml"
        path.write_text(head + PATTERN + text)
        return Context(
            workload=load(path),
            client=client,
            target=where.describe(),
            where=where.name,
            options=Options(plan=Plan(iterations=3)),
        )

    yield measure
    client.close()


def figures(run: Run) -> dict[str, tuple[float | None, int | None, int]]:
    """Return read units, items read and items returned of each variant."""
    return {
        each.name: (each.capacity_units, each.items_read, each.items_returned)
        for each in run.variants
    }


PENDING = 'parameters = { status = "PENDING" }\n'


def test_headlines_compare_with_the_filtered_scan_that_the_service_does(
    measure: Callable[..., Run],
) -> None:
    run = measure(f'today = "scan-filtered"\n{PENDING}{BY_STATUS}')

    # 40 orders of less than 1,000 bytes are 10 blocks of 4 KB, half a unit each; 10 are 3 blocks
    assert figures(run)["scan-filtered"] == (5.0, 40, 10)
    assert figures(run)["query"] == (1.5, 10, 10)
    assert "scan" not in figures(run)
    outcome = find_outcome(run)
    assert outcome is not None
    assert outcome.after is not None
    assert (outcome.before.name, outcome.after.name) == ("scan-filtered", "query")
    (pattern,) = gather([run]).patterns
    assert pattern.after is not None
    assert (pattern.before.variant, pattern.after.variant) == ("scan-filtered", "query")


def test_a_query_that_reads_too_much_is_held_against_a_better_one(
    measure: Callable[..., Run],
) -> None:
    text = """
today = "query"
parameters = { status = "PENDING", nr = 3, order = "O03" }
today_query = { index = "ByStatus", key_condition = "#status = :status", filter = "nr = :nr" }
"""
    by_key = measure(f'{text}get = {{ order_id = ":order" }}')
    missing = measure(f'{text}query = {{ index = "ByDay", key_condition = "placed = :order" }}')

    assert figures(by_key) == {"query": (1.5, 10, 1), "get": (0.5, 1, 1)}
    # the better index is proposed and not there: today's form alone, and what is missing
    assert figures(missing) == {"query-today": (1.5, 10, 1)}
    assert missing.next_steps == (
        (
            "`perfkit migrate preflight` finds the items that proposed indexes, which are not"
            " there, could not hold; `perfkit migrate plan` says what building them takes"
        ),
    )


@pytest.mark.parametrize(
    ("flag", "remedy"),
    [(", exists = true", "correct them"), ("", "give the one that is proposed another name")],
)
def test_an_index_with_other_keys_is_no_reason_to_change_somebodys_table(
    flag: str, remedy: str, measure: Callable[..., Run]
) -> None:
    there = ', sort_key = "order_id", exists = true'
    run = measure(f"{PENDING}{BY_STATUS}", head=HEAD.replace(there, flag))

    (step,) = run.next_steps
    assert step.startswith("index ByStatus of Orders has other keys than in the workload")
    assert step.endswith(f": {remedy}")
    assert "query" not in figures(run)


def test_todays_form_alone_says_what_would_be_next(measure: Callable[..., Run]) -> None:
    scan = measure(f'today = "scan-filtered"\n{PENDING}scan.filter = "#status = :status"')
    query = measure(f'{PENDING}query.index = "ByStatus"\nquery.key_condition = "#status = :status"')

    assert list(figures(scan)) == ["scan-filtered", "scan-parallel"]
    assert scan.next_steps == (
        (
            "asked has no better form in the workload, and an index of Orders by status would answer"
            " it: add it as query"
        ),
    )
    assert figures(query) == {"query": (1.5, 10, 10)}
    assert query.next_steps == ()


def test_no_index_is_advised_for_a_name_that_no_item_has(measure: Callable[..., Run]) -> None:
    run = measure(
        f'today = "scan-filtered"\n{PENDING}scan.filter = "stat = :status AND attribute_exists(#status)"'
    )

    assert run.next_steps == (
        (
            "no item answered asked: check the name stat in its scan.filter, and its parameters,"
            " before any index"
        ),
    )


def test_what_is_missing_of_its_cost_is_nothing_that_perfkit_refuses(
    measure: Callable[..., Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # where the file is found by its digest
    monkeypatch.setattr("perfkit.workloads.outline.WORKLOAD_FILE", tmp_path / "orders.toml")

    run = measure(f'today = "scan-filtered"\n{PENDING}scan.filter = "#status = :status"')

    commands = {each.command for each in gather([run]).missing()}
    assert not any("create-indexes" in each or "index-cost" in each for each in commands)


def test_n_plus_one_is_held_against_its_batch_and_a_better_first_step(
    measure: Callable[..., Run],
) -> None:
    run = measure(
        f'today = "steps"\n{PENDING}{BY_STATUS}steps.first = "scan-filtered"\n{CUSTOMERS}'
    )

    # 9 of the 10 orders found have a customer: 9 GetItem of half a unit, of 4 customers in all
    assert figures(run) == {
        "steps": (5.0 + 9 * 0.5, 40 + 9, 10 + 4),
        "batch": (5.0 + 4 * 0.5, 40 + 4, 10 + 4),
        "query-batch": (1.5 + 4 * 0.5, 10 + 4, 10 + 4),
    }
    assert [each.requests_per_call for each in run.variants] == [1 + 9, 1 + 1, 1 + 1]
    assert all(each.results_equal for each in run.comparisons)
    assert any("1 item found lacks what" in str(doubt) for doubt in run.doubts)


def test_what_cannot_be_priced_before_is_said_to_be_left_out(
    target: Target, tmp_path: Path
) -> None:
    tmp_path.joinpath("orders.toml").write_text(
        f'{HEAD}{PATTERN}today = "steps"\n{PENDING}{BY_STATUS}steps.first = "scan"\n{CUSTOMERS}'
        '[patterns.one]\ndescription = "One"\ntable = "Orders"\nparameters = { id = "O01" }\n'
        'today = "get"\nget = { order_id = ":id" }\n'
    )
    client = target.client()
    workload = load(tmp_path / "orders.toml")
    context = Context(workload=workload, client=client, target=target.describe(), where="here")

    effects = [each.effect(context) for each in find(workload, ["asked", "one"])]

    client.close()
    assert "then ask Customers" in effects[0].text
    (_, steps, one, left_out) = describe(
        Preview(title="Measure", effects=tuple(effects)), target, request_prices
    )
    assert "not known" not in steps + one
    assert "What queries and gets take is not known before" in left_out


@pytest.mark.parametrize(
    ("items", "known"), [(0, "it is described as empty"), (1501, "1,501 items, size not known")]
)
def test_what_a_target_describes_without_a_size_may_take_any_number_of_units(
    items: int, known: str, target: Target, tmp_path: Path
) -> None:
    """Dynalite counts nothing, AWS counts a new table hours later, and moto counts no bytes."""
    tmp_path.joinpath("orders.toml").write_text(
        f'{HEAD}{PATTERN}today = "scan"\n{PENDING}{BY_STATUS}'
    )
    client = target.client()
    client.meta.events.register(
        "after-call.dynamodb.DescribeTable",
        lambda parsed, **_: parsed["Table"].update(ItemCount=items, TableSizeBytes=0),
    )
    context = Context(
        workload=load(tmp_path / "orders.toml"),
        client=client,
        target=target.describe(),
        where="here",
    )

    (effect,) = [each.effect(context) for each in find(context.workload, ["asked"])]

    client.close()
    assert f"how much is not known ({known})" in effect.text
    assert effect.is_open


def test_queries_for_each_item_have_no_batch(measure: Callable[..., Run]) -> None:
    then = (
        'steps.then = { table = "Lines", query = { key_condition = "order_id = :order AND line <'
        ' :two" }, parameters = { order = "order_id" } }\n'
    )
    run = measure(
        'today = "steps"\nparameters = { status = "PENDING", two = 2 }\n'
        f'{BY_STATUS}steps.first = "scan"\n{then}'
    )

    assert figures(run) == {
        "steps": (5.0 + 10 * 0.5, 40 + 20, 10 + 20),
        "query-steps": (1.5 + 10 * 0.5, 10 + 20, 10 + 20),
    }
    assert "has no batch of queries" in run.next_steps[0]


def test_second_steps_are_as_strong_in_every_form_as_they_can_be(
    measure: Callable[..., Run],
) -> None:
    first = f'today = "steps"\n{BY_STATUS}steps.first = "scan-filtered"\n'
    gets = measure(f"{first}{PENDING}{CUSTOMERS}", consistent=True)
    by_index = measure(
        f'{first}parameters = {{ status = "PENDING" }}\nsteps.then = {{ table = "Orders", query ='
        ' { index = "ByStatus", key_condition = "#status = :status AND order_id = :order" },'
        ' parameters = { order = "order_id" } }\n',
        consistent=True,
    )

    # 10 blocks of 4 KB, strong; by index eventual at half; each customer strong
    assert {name: units for name, (units, *_) in figures(gets).items()} == {
        "steps": 10.0 + 9 * 1.0,
        "batch": 10.0 + 4 * 1.0,
        "query-batch": 1.5 + 4 * 1.0,
    }
    # a global index has no strong answer
    assert figures(by_index)["steps"][0] == 10.0 + 10 * 0.5


def test_figures_are_means_over_the_sets_of_parameters(
    measure: Callable[..., Run], tmp_path: Path
) -> None:
    lines = [{"status": "PENDING"}, {"status": {"S": "DONE"}}]
    tmp_path.joinpath("sets.jsonl").write_text("\n".join(map(json.dumps, lines)))
    stated = measure(f'parameters_from = "sets.jsonl"\n{BY_STATUS}')
    drawn = measure(f'parameters_from = "sample"\n{BY_STATUS}')

    # 30 orders are 8 blocks
    assert figures(stated)["query"] == ((1.5 + 4.0) / 2, 20, 20)
    assert stated.variant("query").capacity_units_by_set == (1.5, 4.0)  # type: ignore[union-attr]
    assert figures(stated)["scan"] == (5.0, 40, 20)
    assert stated.comparisons[-1].capacity_ratio == 5.0 / 2.75
    assert figures(drawn) == figures(stated)
    # a mean of 2.75 hides a call that takes 4
    within, beyond = judge_budgets([stated], {"asked": 4}), judge_budgets([stated], {"asked": 3})
    assert within is not None
    assert beyond is not None
    assert (within.ruling, beyond.ruling) == (Ruling.PASS, Ruling.FAIL)
    assert "query takes 4 RCU a call with one of 2 sets" in beyond.evidence


def test_values_of_somebodys_items_are_in_no_run(measure: Callable[..., Run]) -> None:
    stated = measure(f'parameters = {{ status = "A-PERSON" }}\n{BY_STATUS}')
    drawn = measure(
        'parameters = { day = "A-PERSON" }\nparameters_from = "sample"\n'
        'scan.filter = "#status = :status AND placed = :day"'
    )

    for run in (stated, drawn):
        assert not run.parameters
        assert any("no item answers this question" in str(doubt) for doubt in run.doubts)
        assert "A-PERSON" not in str(run)
        assert "PENDING" not in str(run)


def test_parameters_that_no_item_has_cannot_be_drawn(measure: Callable[..., Run]) -> None:
    with pytest.raises(TargetError, match="none of 40 items of Orders has status, unheard_of"):
        measure('parameters_from = "sample"\nscan.filter = "#status = :s AND unheard_of = :u"')


def test_keys_that_a_batch_leaves_unprocessed_are_asked_for_again(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    client = target.client()
    asked: list[int] = []

    class Reluctant:
        """Answers one key a call, as a table without capacity does."""

        scan = client.scan

        def batch_get_item(self, *, RequestItems: Any, **request: Any) -> Any:  # noqa: N803
            ((table, chunk),) = RequestItems.items()
            first, *rest = chunk["Keys"]
            asked.append(len(chunk["Keys"]))
            answer = client.batch_get_item(
                RequestItems={table: {**chunk, "Keys": [first]}}, **request
            )
            answer["UnprocessedKeys"] = {table: {**chunk, "Keys": rest}} if rest else {}
            return answer

    found = Steps(
        client=Reluctant(),
        first=Scan(
            client=client,
            request={"TableName": "Orders"},
            matches=lambda item: "customer" in item,
        ),
        ask=lambda item: {"TableName": "Customers", "Key": {"pk": item["customer"]}},
        operation="Scan, BatchGetItem",
        batched=True,
    ).call()

    assert asked == [4, 3, 2, 1]
    assert found.retries == 3
    assert sum("pk" in item for item in found.items) == 4
    client.close()


@pytest.mark.processes
def test_a_server_that_is_not_ours_is_only_read(
    empty_stand_in: Callable[[str], str],
    record: Callable[[str], Any],
    client_of: Callable[[str], Any],
    measure: Callable[..., Run],
) -> None:
    url = empty_stand_in("moto")
    fill(client_of(url))
    recorder = record(url)
    where = Target(kind=TargetKind.ENDPOINT, endpoint_url=recorder.url)

    run = measure(
        f'today = "steps"\n{PENDING}{BY_STATUS}steps.first = "scan-filtered"\n{CUSTOMERS}',
        client=client_of(recorder.url),
        where=where,
    )

    assert [each.items_returned for each in run.variants] == [14, 14, 14]
    assert all(each.results_equal for each in run.comparisons)
    reads = {"DescribeTable", "ListTagsOfResource", "Scan", "Query", "GetItem", "BatchGetItem"}
    assert set(recorder.operations) <= reads


LINES = """
steps.then = { table = "Lines", query = { key_condition = "order_id = :order" }, parameters = { order = "order_id" } }
"""


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"{PENDING}{BY_STATUS}", id="scan"),
        pytest.param(f'today = "scan-filtered"\n{PENDING}{BY_STATUS}', id="filtered scan"),
        pytest.param(f'{PENDING}query = {{ index = "ByStatus", key_condition = "#status = :status" }}', id="query"),
        pytest.param('today = "get"\nparameters = { order = "O03" }\nget = { order_id = ":order" }\nscan.filter = "order_id = :order AND attribute_exists(#status)"', id="get"),
        pytest.param(f'today = "steps"\n{PENDING}{BY_STATUS}steps.first = "scan"\n{CUSTOMERS}', id="steps"),
        pytest.param(f'today = "steps"\n{PENDING}query = {{ index = "ByStatus", key_condition = "#status = :status" }}\nsteps.first = "query"\n{LINES}', id="steps by query"),
    ],
)  # fmt: skip
def test_a_policy_for_bench_allows_what_each_form_asks(
    text: str, target: Target, measure: Callable[..., Run], tmp_path: Path
) -> None:
    asked = set()

    def note(params: dict[str, Any], model: Any, **_: Any) -> None:
        for table in params.get("RequestItems", {params.get("TableName"): None}):
            index = f"/index/{params['IndexName']}" if "IndexName" in params else ""
            if table is not None:
                asked.add((f"dynamodb:{model.name}", f"table/{table}{index}"))

    client = target.client()
    client.meta.events.register("provide-client-params.dynamodb", note)
    measure(text, client=client)
    client.close()

    wanted = needs("bench", load(tmp_path / "orders.toml"))
    allowed = {(action, name) for action, names in wanted.items() for name in names}
    # of a table by its ARN
    assert {pair for pair in allowed if "ListTags" not in pair[0]} == asked
