"""What a twin predicts of an index, against the same index then really created, on random tables."""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import fmean

from benchmarks.section import Aim, Section, Table
from perfkit.capacity import Item
from perfkit.dynamodb.client import embedded_client
from perfkit.dynamodb.retries import Backoff, RetryingConnection
from perfkit.dynamodb.sample import SampleLimits, Sampling
from perfkit.dynamodb.tables import Keys, describe
from perfkit.dynamodb.twin import Twin
from perfkit.dynamodb.twin_figures import QueryFigures, TableTwin
from perfkit.scenarios.bounded_scan import BoundedScan, extrapolate
from perfkit.units import format_count
from perfkit.workloads.model import Index, Key, Projection
from perfkit.workloads.model import Table as WorkloadTable
from perfkit.workloads.profile import Estimate

__all__ = ["Case", "compare", "predict", "random_case"]

_TABLES = 10
_ITEMS, _ITEMS_QUICK = 20_000, 3_000
_SAMPLE, _SAMPLE_QUICK = 1_000, 300
_VALUES = 20
_SEED = 20
_PAGES = 3

NAME = "things"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """
    A random table.

    Args:
        what: How it was made, in words.
        table: With the index to create.
        items: All of them.
        values: Values of the index's partition key that are asked for.
    """

    what: str
    table: WorkloadTable
    items: list[Item]
    values: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    value: str
    predicted: QueryFigures
    units: float
    items: int

    @property
    def holds(self) -> bool:
        return self.predicted.read_units.low <= self.units <= self.predicted.read_units.high


def compare(*, quick: bool) -> Section:
    """Predict and create an index on ten tables; a quick run on small ones."""
    items, sample = (_ITEMS_QUICK, _SAMPLE_QUICK) if quick else (_ITEMS, _SAMPLE)
    rows, scans, first, every = [], [], [], []
    for number in range(_TABLES):
        case = random_case(_SEED + number, items)
        asked, read_units = predict(case, sample, seed=number)
        scans.append(_scan(case, seed=number))
        first.append(asked[0])
        every += asked
        rows.append(_row(case, asked, read_units))
    inside, covered = sum(each.holds for each in first), fmean(each.holds for each in every)
    return Section(
        title="A twin's figures against the index",
        method=(
            f"{_TABLES} random tables of {format_count(items)} items: sizes, keys and projections"
            f" mixed, {format_count(sample)} items sampled.\n"
            "A twin of the sample predicts the units of a query; then the index is made on the whole"
            f" table and asked.\nThe value asked for is that of an item taken by chance; {_VALUES - 1}"
            " more values of each table, some of which no item has, say how often intervals hold.\n"
            f"Then {_PAGES} pages of the table say what scanning all of it takes."
        ),
        tables=[
            Table(
                [
                    "table",
                    "sample, RCU",
                    "predicted RCU (95%)",
                    "RCU by the index",
                    "inside",
                    "inside, all values",
                ],
                rows,
            ),
            Table(
                ["table", "pages read", "of a scan, RCU (95%)", "RCU by the scan", "inside"],
                [[row[0], *scan.row] for row, scan in zip(rows, scans, strict=True)],
            ),
        ],
        aims=[
            Aim.at_least("tables of ten where the interval holds the units", inside, 9, ""),
            Aim.at_least(
                "tables of ten where the interval of the bounded scan holds the units",
                sum(each.holds for each in scans),
                9,
                "",
            ),
            Aim.at_least(
                f"of {len(every)} values, the share whose interval holds", 100 * covered, 93, "%"
            ),
        ],
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scanned:
    pages: int
    units: Estimate
    real: float

    @property
    def holds(self) -> bool:
        return self.units.low <= self.real <= self.units.high

    @property
    def row(self) -> list[str]:
        units = f"{self.units.value:,.1f} ({self.units.low:,.1f} to {self.units.high:,.1f})"
        return [str(self.pages), units, f"{self.real:,.1f}", "yes" if self.holds else "no"]


def _scan(case: Case, *, seed: int) -> _Scanned:
    """Return what three pages of a table say of scanning it, and what that takes."""
    with Twin() as live:
        live.make_table(NAME, Keys.of(case.table))
        live.load(NAME, case.items)
        described = live.connection.execute("DescribeTable", {"TableName": NAME})["Table"]
        read = BoundedScan(
            client=embedded_client(live.path),
            request={"TableName": NAME},
            size_bytes=described["TableSizeBytes"],
            name="scan",
            seed=seed,
            pages=_PAGES,
        )
        answer = read.call()
        found = extrapolate(read, table_items=described["ItemCount"])
        assert found is not None
        pages = live.pages("Scan", {"TableName": NAME})
        real = sum(page["ConsumedCapacity"]["CapacityUnits"] for page in pages)
    return _Scanned(pages=answer.requests, units=found.read_units, real=real)


def _row(case: Case, asked: list[_Asked], read_units: float) -> list[str]:
    one = asked[0]
    units = one.predicted.read_units
    return [
        case.what,
        f"{read_units:,.1f}",
        f"{units.value:,.1f} ({units.low:,.1f} to {units.high:,.1f})",
        f"{one.units:,.1f}",
        "yes" if one.holds else "no",
        f"{sum(each.holds for each in asked)} of {len(asked)}",
    ]


def predict(case: Case, sample_items: int, *, seed: int = 0) -> tuple[list[_Asked], float]:
    """Return what a twin of a sample predicts and what the index takes; and the sample's units."""
    index = case.table.indexes[0]
    with ExitStack() as stack:
        live = stack.enter_context(Twin())
        live.make_table(NAME, Keys.of(case.table))
        live.load(NAME, case.items)
        connection = RetryingConnection(live.connection, backoff=Backoff())
        state = describe(connection, NAME)
        assert state is not None
        sampling = Sampling(
            connection,
            state,
            limits=SampleLimits(items=sample_items, read_units=1e6),
            seed=seed,
            whole_segments=True,
        )
        twin = TableTwin(stack.enter_context(Twin()), case.table, state.keys)
        twin.fill(sampling)
        facts = sampling.facts()
        twin.scale(facts)
        twin.index()
        predicted = {each: twin.ask(_request(index, each)) for each in case.values}
        live.add_index(NAME, index)
        asked = []
        for value in case.values:
            pages = list(live.pages("Query", _request(index, value)))
            asked.append(
                _Asked(
                    value=value,
                    predicted=predicted[value],
                    units=sum(page["ConsumedCapacity"]["CapacityUnits"] for page in pages),
                    items=sum(page["Count"] for page in pages),
                )
            )
    return asked, facts.read_units or 0.0


def _request(index: Index, value: str) -> dict[str, object]:
    return {
        "TableName": NAME,
        "IndexName": index.name,
        "KeyConditionExpression": "#key = :value",
        "ExpressionAttributeNames": {"#key": index.partition_keys[0].name},
        "ExpressionAttributeValues": {":value": {"S": value}},
    }


def random_case(seed: int, items: int) -> Case:
    """Return a table whose keys, sizes, index and projection the seed decides."""
    chance = random.Random(seed)
    sorted_keys = chance.random() < 0.6
    partitions = chance.choice([items // 3, items // 20, items // 100]) if sorted_keys else items
    key_skew, skew = chance.choice([0.0, 0.5, 0.8]), chance.choice([0.0, 0.7, 1.1])
    kinds = chance.choice([8, 60, items // 20])
    bound = sorted_keys and chance.random() < 0.4
    lacking = chance.choice([0.0, 0.3])
    sizes = chance.choice(["alike", "lognormal", "few large"])
    projection = chance.choice(list(Projection))
    keys = _skewed(chance, partitions, key_skew)
    values = _skewed(chance, kinds, skew)
    made = [
        _item(
            chance,
            number,
            key=next(keys) if sorted_keys else number,
            values=values,
            kinds=kinds,
            bound=bound,
            lacking=lacking,
            sizes=sizes,
        )
        for number in range(items)
    ]
    having = [item["kind"]["S"] for item in made if "kind" in item]
    asked = [chance.choice(having) for _ in range(_VALUES // 2)]
    asked += [f"kind-{chance.randrange(kinds + 2)}" for _ in range(_VALUES - len(asked))]
    what = (
        f"{f'{partitions:,} partition keys' if sorted_keys else 'no sort key'}"
        f"{f', skew {key_skew:g}' if sorted_keys and key_skew else ''}; {kinds:,} values"
        f"{' by partition key' if bound else f', skew {skew:g}' if skew else ''}"
        f"{', 30% lack it' if lacking else ''}; sizes {sizes}; {projection}"
    )
    sort = Key(name="sk", type="S") if sorted_keys else None
    index = Index(
        name="by-kind",
        partition_keys=(Key(name="kind", type="S"),),
        sort_keys=(),
        projection=projection,
        non_key_attributes=("text",) if projection is Projection.INCLUDE else (),
    )
    table = WorkloadTable(
        name=NAME,
        partition_key=Key(name="pk", type="S"),
        sort_key=sort,
        indexes=(index,),
        entities=(),
    )
    return Case(what=what, table=table, items=made, values=asked)


def _item(
    chance: random.Random,
    number: int,
    *,
    key: int,
    values: Iterator[int],
    kinds: int,
    bound: bool,
    lacking: float,
    sizes: str,
) -> Item:
    match sizes:
        case "alike":
            size = chance.randint(150, 250)
        case "lognormal":
            size = min(20_000, int(chance.lognormvariate(5.5, 1.0)))
        case _:
            size = 6_000 if chance.random() < 0.05 else 120
    item: Item = {
        "pk": {"S": f"key-{key}"},
        "sk": {"S": f"{number:08}"},
        "text": {"S": "x" * (size // 2)},
        "more": {"S": "y" * (size - size // 2)},
    }
    if chance.random() >= lacking:
        # all of a partition key have one value, as those of a customer have his country
        value = random.Random(key).randrange(kinds) if bound else next(values)
        item["kind"] = {"S": f"kind-{value}"}
    return item


def _skewed(chance: random.Random, values: int, skew: float) -> Iterator[int]:
    """Yield numbers below *values*, the n-th as often as 1/n^skew."""
    weights = [1 / (number + 1) ** skew for number in range(values)]
    while True:
        yield from chance.choices(range(values), weights, k=1000)
