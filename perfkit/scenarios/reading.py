"""Ways to read from DynamoDB through an ordinary boto3 client: scans, queries, point reads."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from threading import Event
from typing import Any, Protocol, Self

from perfkit.capacity import Consistency, Item
from perfkit.dynamodb.connection import consumed_units
from perfkit.dynamodb.limits import waiting_by
from perfkit.errors import ThrottledError
from perfkit.measure.measurement import add_known

__all__ = [
    "Answer",
    "FilteredScan",
    "Get",
    "ParallelScan",
    "Query",
    "Read",
    "Request",
    "Scan",
    "Steps",
]

Parameters = dict[str, Any]
"""Of a request, as boto3 takes them."""


@dataclass(slots=True)
class Answer:
    """
    What one call found, and the capacity the target reported for it.

    Counters are None where the target does not say. `page` holds the items of the first page as
    they came, `page_units` what that page was charged: together they show whether the target
    counts capacity as DynamoDB does. `skipped` counts items found that a second step could not
    ask for, because they lack what it asks with; `scanned` says that the whole table was read.
    """

    items: list[Item] = field(default_factory=list)
    requests: int = 0
    retries: int = 0
    items_read: int | None = 0
    items_received: int = 0
    capacity_units: float | None = 0.0
    page: list[Item] = field(default_factory=list)
    page_units: float | None = None
    skipped: int = 0
    scanned: bool = False

    def count(self, response: Mapping[str, Any], received: list[Item], read: int | None) -> None:
        """Add one response: the items that came with it, and how many were read for it."""
        units = consumed_units(response)
        if self.requests == 0:
            self.page, self.page_units = received, units
        self.requests += 1
        self.retries += response.get("ResponseMetadata", {}).get("RetryAttempts", 0)
        self.items_received += len(received)
        self.items_read = add_known(self.items_read, read)
        self.capacity_units = add_known(self.capacity_units, units)

    def add_page(self, page: Mapping[str, Any]) -> None:
        """Add a page whose items are all in the answer."""
        self.count(page, page["Items"], page.get("ScannedCount"))
        self.items += page["Items"]

    def merge(self, other: "Answer") -> None:
        """Add what another part of the same call found; its first page is dropped."""
        self.items += other.items
        if self.requests == 0:
            self.page, self.page_units = other.page, other.page_units
        self.requests += other.requests
        self.retries += other.retries
        self.items_received += other.items_received
        self.skipped += other.skipped
        self.scanned |= other.scanned
        self.items_read = add_known(self.items_read, other.items_read)
        self.capacity_units = add_known(self.capacity_units, other.capacity_units)


class Read(Protocol):
    """One way to read the answer to a question; measured, it becomes a variant of the run."""

    @property
    def name(self) -> str:
        """What the variant is called: `scan`, `query`, …"""

    @property
    def operation(self) -> str:
        """The DynamoDB operation behind it."""

    @property
    def table(self) -> str:
        """The table it reads."""

    @property
    def index(self) -> str | None:
        """The index it reads, if it does."""

    @property
    def consistency(self) -> Consistency:
        """How it reads."""

    @property
    def concurrency(self) -> int:
        """Requests under way at once."""

    @property
    def filtered(self) -> bool:
        """Whether the target leaves out items it has read."""

    def call(self) -> Answer:
        """Answer the question once; this is what is timed."""

    def count_strong(self) -> float | None:
        """Return the units of one strongly consistent call, None if it cannot be done."""

    def through(self, client: Any, /) -> Self:
        """Return the same read by another client; close it, too."""

    def close(self) -> None:
        """Stop what was started."""


def _pages(call: Callable[..., Any], request: Parameters) -> Iterator[Any]:
    """Yield every page of a scan or query."""
    page = call(**request)
    yield page
    while start := page.get("LastEvaluatedKey"):
        page = call(**request, ExclusiveStartKey=start)
        yield page


def _metered(request: Parameters, consistency: Consistency) -> Parameters:
    """Return a request that asks what it consumed; strongly consistent if it is to be."""
    metered = {**request, "ReturnConsumedCapacity": "TOTAL"}
    if consistency is Consistency.STRONG:
        metered["ConsistentRead"] = True
    return metered


def _count_units(call: Callable[..., Any], request: Parameters) -> float | None:
    """
    Return the read units of a strongly consistent scan or query.

    `Select=COUNT` leaves the items out of the answer and nothing out of the bill.
    """
    answer = Answer()
    for page in _pages(call, {**_metered(request, Consistency.STRONG), "Select": "COUNT"}):
        answer.count(page, [], page.get("ScannedCount"))
    return answer.capacity_units


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """
    What ways to read have in common that are one kind of request to one table.

    Args:
        client: Of boto3.
        request: Its parameters, of the first page where there are several.
        consistency: How to read.
    """

    client: Any
    request: Parameters
    consistency: Consistency = Consistency.EVENTUAL

    @property
    def table(self) -> str:
        return str(self.request["TableName"])

    def through(self, client: Any, /) -> Self:
        return replace(self, client=client)

    def close(self) -> None:
        """Nothing was started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan(Request):
    """Read the whole table page by page and filter in the service."""

    matches: Callable[[Item], bool]
    name: str = "scan"
    operation: str = "Scan"
    index: str | None = None
    concurrency: int = 1
    filtered: bool = False

    def call(self) -> Answer:
        answer, matches = Answer(scanned=True), self.matches
        for page in _pages(self.client.scan, _metered(self.request, self.consistency)):
            items = page["Items"]
            answer.count(page, items, page.get("ScannedCount"))
            answer.items += [item for item in items if matches(item)]
        return answer

    def count_strong(self) -> float | None:
        return _count_units(self.client.scan, self.request)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilteredScan(Request):
    """Read the whole table, and let DynamoDB leave out what does not match."""

    name: str = "scan-filtered"
    operation: str = "Scan"
    index: str | None = None
    concurrency: int = 1
    filtered: bool = True

    def call(self) -> Answer:
        answer = Answer(scanned=True)
        for page in _pages(self.client.scan, _metered(self.request, self.consistency)):
            answer.add_page(page)
        return answer

    def count_strong(self) -> float | None:
        return _count_units(self.client.scan, self.request)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParallelScan(Request):
    """The filtered scan in segments, each read by a thread of its own."""

    segments: int
    name: str = "scan-parallel"
    operation: str = "Scan"
    index: str | None = None
    filtered: bool = True
    _pool: ThreadPoolExecutor = field(init=False)
    _closing: Event = field(init=False, default_factory=Event)

    def __post_init__(self) -> None:
        # a service keeps its threads, so starting them is not timed
        pool = ThreadPoolExecutor(self.segments, thread_name_prefix="segment")
        object.__setattr__(self, "_pool", pool)

    @property
    def concurrency(self) -> int:
        return self.segments

    def call(self) -> Answer:
        answer = Answer()
        for part in self._pool.map(self._read_segment, range(self.segments)):
            answer.merge(part)
        return answer

    def _segment_request(self, number: int) -> Parameters:
        return {**self.request, "Segment": number, "TotalSegments": self.segments}

    def _read_segment(self, number: int) -> Answer:
        part = Answer(scanned=True)
        request = _metered(self._segment_request(number), self.consistency)
        with waiting_by(self._pause):
            for page in _pages(self.client.scan, request):
                part.add_page(page)
                # an interrupt reaches the main thread only: do not read on for nobody
                if self._closing.is_set():
                    break
        return part

    def _pause(self, seconds: float) -> None:
        if self._closing.wait(seconds):
            msg = "what the call is for is being ended"
            raise InterruptedError(msg)

    def count_strong(self) -> float | None:
        units = [
            _count_units(self.client.scan, self._segment_request(number))
            for number in range(self.segments)
        ]
        known = [each for each in units if each is not None]
        return sum(known) if len(known) == len(units) else None

    def close(self) -> None:
        self._closing.set()
        self._pool.shutdown(cancel_futures=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query(Request):
    """
    Read one range of an index, or of the table by its own key.

    `strong_possible` is False for a global index, which only answers eventually consistent.
    """

    strong_possible: bool = False
    name: str = "query"
    operation: str = "Query"
    concurrency: int = 1

    @property
    def index(self) -> str | None:
        return self.request.get("IndexName")

    @property
    def filtered(self) -> bool:
        return "FilterExpression" in self.request

    def call(self) -> Answer:
        answer = Answer()
        for page in _pages(self.client.query, _metered(self.request, self.consistency)):
            answer.add_page(page)
        return answer

    def count_strong(self) -> float | None:
        return _count_units(self.client.query, self.request) if self.strong_possible else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Get(Request):
    """Read one item by its primary key."""

    name: str = "get"
    operation: str = "GetItem"
    index: str | None = None
    concurrency: int = 1
    filtered: bool = False

    def call(self) -> Answer:
        return self._get(self.consistency)

    def count_strong(self) -> float | None:
        return self._get(Consistency.STRONG).capacity_units

    def _get(self, consistency: Consistency) -> Answer:
        answer = Answer()
        response = self.client.get_item(**_metered(self.request, consistency))
        found = [response["Item"]] if response.get("Item") else []
        answer.count(response, found, len(found))
        answer.items = found
        return answer


_BATCH_KEYS = 100
"""Keys that BatchGetItem takes at most."""

_BATCH_TRIES = 10
_BATCH_PAUSE_S = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """
    Find items, then ask for each of them: one by one, or where it is GetItem in batches.

    The answer holds what was found and what was asked for it, each item once: what is read again
    for the next item found is waste.

    Args:
        client: Of boto3.
        first: Finds items.
        ask: Returns the request for an item found, None for one that lacks what is asked with.
        operation: What the variant does, for reports.
        name: What it is called.
        gets: The second step is GetItem, else it is Query.
        batched: Get in batches.
        then_consistency: How the second step reads: by key it can be stronger than the first, by
            a global index it cannot.
    """

    client: Any
    first: Read
    ask: Callable[[Item], Parameters | None]
    operation: str
    name: str = "steps"
    gets: bool = True
    batched: bool = False
    then_consistency: Consistency = Consistency.EVENTUAL
    concurrency: int = 1
    filtered: bool = True

    @property
    def table(self) -> str:
        return self.first.table

    @property
    def index(self) -> str | None:
        return self.first.index

    @property
    def consistency(self) -> Consistency:
        return self.first.consistency

    def call(self) -> Answer:
        answer = Answer()
        answer.merge(self.first.call())
        requests = [self.ask(item) for item in answer.items]
        wanted = [request for request in requests if request is not None]
        answer.skipped = len(requests) - len(wanted)
        if self.batched:
            self._batch(answer, wanted)
        else:
            self._one_by_one(answer, wanted)
        return answer

    def _one_by_one(self, answer: Answer, requests: Sequence[Parameters]) -> None:
        fetched: dict[str, list[Item]] = {}
        for request in requests:
            metered = _metered(request, self.then_consistency)
            found: list[Item] = []
            if self.gets:
                response = self.client.get_item(**metered)
                found = [response["Item"]] if response.get("Item") else []
                answer.count(response, found, len(found))
            else:
                for page in _pages(self.client.query, metered):
                    answer.count(page, page["Items"], page.get("ScannedCount"))
                    found += page["Items"]
            fetched[repr(request)] = found
        answer.items = [*answer.items, *(item for items in fetched.values() for item in items)]

    def _batch(self, answer: Answer, requests: Sequence[Parameters]) -> None:
        # BatchGetItem refuses a key that is there twice
        keys = list({repr(request): request["Key"] for request in requests}.values())
        fetched: list[Item] = []
        for start in range(0, len(keys), _BATCH_KEYS):
            table = requests[0]["TableName"]
            chunk: Parameters = {"Keys": keys[start : start + _BATCH_KEYS]}
            if self.then_consistency is Consistency.STRONG:
                chunk["ConsistentRead"] = True
            fetched += self._get_all({table: chunk}, answer)
        answer.items = [*answer.items, *fetched]

    def _get_all(self, wanted: Parameters, answer: Answer) -> list[Item]:
        """Return the items of one batch, what is left unprocessed asked for again."""
        fetched: list[Item] = []
        for number in range(_BATCH_TRIES):
            if number:
                answer.retries += 1
                time.sleep(_BATCH_PAUSE_S * 2**number)
            response = self.client.batch_get_item(
                RequestItems=wanted, ReturnConsumedCapacity="TOTAL"
            )
            found = [item for items in response["Responses"].values() for item in items]
            answer.count(_summed(response), found, len(found))
            fetched += found
            wanted = response.get("UnprocessedKeys") or {}
            if not wanted:
                return fetched
        left = sum(len(chunk["Keys"]) for chunk in wanted.values())
        msg = f"{self.name}: {left} keys stayed unprocessed for lack of capacity; run again later"
        raise ThrottledError(msg)

    def count_strong(self) -> float | None:
        """Return None: steps are measured in one consistency only."""
        return None

    def through(self, client: Any, /) -> Self:
        return replace(self, client=client, first=self.first.through(client))

    def close(self) -> None:
        self.first.close()


def _summed(response: Mapping[str, Any]) -> dict[str, Any]:
    """Return a batch's answer as that of one table: its consumed capacity is a list."""
    consumed = response.get("ConsumedCapacity") or []
    one = {"CapacityUnits": sum(each["CapacityUnits"] for each in consumed)} if consumed else {}
    return {"ConsumedCapacity": one, "ResponseMetadata": response.get("ResponseMetadata", {})}
