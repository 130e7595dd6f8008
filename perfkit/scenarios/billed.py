"""What DynamoDB bills for reads of a target whose own answer cannot be relied on."""

import re
from collections.abc import Callable, Mapping
from typing import Any

from perfkit.capacity import Consistency, Item, item_size, read_units

__all__ = ["BilledClient"]

_PLACEHOLDER = re.compile(r"[#:][A-Za-z0-9_]+")

Request = Mapping[str, Any]


class BilledClient:
    """
    A boto3 client whose answers say what DynamoDB bills for them, by the sizes of the items read.

    What a filter leaves out is read, too: such a page is asked for once more without its filter, so
    this is no client to time. An index answers with entries as large as what it projects; what a
    local index fetches from its table besides is not known.

    Args:
        client: Of boto3.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._known: dict[str, float] = {}

    def scan(self, **request: Any) -> dict[str, Any]:
        return self._page(self._client.scan, request)

    def query(self, **request: Any) -> dict[str, Any]:
        return self._page(self._client.query, request)

    def get_item(self, **request: Any) -> dict[str, Any]:
        answer = self._client.get_item(**request)
        return _charged(answer, _units([answer.get("Item") or {}], request))

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        answer = self._client.batch_get_item(**request)
        charges = []
        for table, asked in request["RequestItems"].items():
            found = answer["Responses"].get(table, [])
            left = (answer.get("UnprocessedKeys") or {}).get(table, {}).get("Keys", ())
            missing = len(asked["Keys"]) - len(left) - len(found)
            units = sum(_units([item], asked) for item in (*found, *({} for _ in range(missing))))
            charges.append({"TableName": table, "CapacityUnits": units})
        return {**answer, "ConsumedCapacity": charges}

    def _page(self, call: Callable[..., Any], request: Request) -> dict[str, Any]:
        page = call(**request)
        if "FilterExpression" not in request:
            return _charged(page, _units(page["Items"], request))
        plain = _without_filter(request)
        name = repr((call.__name__, page.get("ScannedCount"), plain))
        if name not in self._known:
            self._known[name] = _units(_read(call, plain, page.get("ScannedCount")), request)
        return _charged(page, self._known[name])


def _read(call: Callable[..., Any], request: Request, scanned: int | None) -> list[Item]:
    """Return the items that were read for a page; without their number, those of the first page."""
    found: list[Item] = []
    while scanned is None or len(found) < scanned:
        limit = {} if scanned is None else {"Limit": scanned - len(found)}
        page = call(**{**request, **limit})
        found += page["Items"]
        if scanned is None or "LastEvaluatedKey" not in page:
            break
        request = {**request, "ExclusiveStartKey": page["LastEvaluatedKey"]}
    return found


def _without_filter(request: Request) -> Request:
    plain = {name: value for name, value in request.items() if name != "FilterExpression"}
    # a placeholder that nothing uses is refused
    used = set(_PLACEHOLDER.findall(plain.get("KeyConditionExpression", "")))
    for part in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
        kept = {name: value for name, value in plain.pop(part, {}).items() if name in used}
        if kept:
            plain[part] = kept
    return plain


def _units(items: list[Item], request: Request) -> float:
    strong = request.get("ConsistentRead", False)
    consistency = Consistency.STRONG if strong else Consistency.EVENTUAL
    return read_units(sum(map(item_size, items)), consistency)


def _charged(answer: dict[str, Any], units: float) -> dict[str, Any]:
    return {**answer, "ConsumedCapacity": {"CapacityUnits": units}}
