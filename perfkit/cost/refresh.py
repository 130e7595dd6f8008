"""Today's prices: fetched from AWS, checked as a whole, and only then put into the user's own file."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from perfkit.cost.names import USUAL, is_of_a_type
from perfkit.cost.price_file import load_book, own_file, read_price_file, write_price_file
from perfkit.cost.price_list import (
    DYNAMODB,
    Selector,
    bulk_products,
    check_region,
    has_product,
    read_price,
    selectors,
)
from perfkit.cost.prices import Price
from perfkit.errors import (
    ConfigError,
    PriceError,
    TargetError,
    cannot_write,
)
from perfkit.files import replace_file

__all__ = ["BULK_URL", "BulkFile", "PriceList", "Refreshed", "Source", "refresh"]

BULK_URL = "https://pricing.us-east-1.amazonaws.com"
"""Where AWS's price list files are, for everybody and without credentials."""

_LARGEST_BYTES = 64 * 1024 * 1024
_TIMEOUT_S = 20.0


class Source(Protocol):
    """Where products come from."""

    name: str
    services: tuple[str, ...] | None
    """Service codes it has; None for all."""

    def products(self, selector: Selector) -> Sequence[Mapping[str, Any]]:
        """Return what the price list has for a selector."""

    def close(self) -> None:
        """Give back sockets."""


class PriceList:
    """The Price List API, asked with the user's credentials; rows that it tells apart alike, once."""

    name = "AWS Price List API"
    services: tuple[str, ...] | None = None

    def __init__(self, client: Any) -> None:
        self._client = client
        self._found: dict[tuple[str, frozenset[tuple[str, str]]], Sequence[Mapping[str, Any]]] = {}

    def products(self, selector: Selector) -> Sequence[Mapping[str, Any]]:
        question = (selector.service, frozenset(selector.attributes.items()))
        if question not in self._found:
            self._found[question] = self._ask(selector)
        return self._found[question]

    def _ask(self, selector: Selector) -> Sequence[Mapping[str, Any]]:
        from perfkit.dynamodb.errors import aws_errors

        filters = [
            {"Type": "TERM_MATCH", "Field": field, "Value": value}
            for field, value in selector.attributes.items()
        ]
        pages = self._client.get_paginator("get_products").paginate(
            ServiceCode=selector.service, Filters=filters, FormatVersion="aws_v1"
        )
        with aws_errors(f"looking up {selector}", f"the {self.name}"):
            entries = [entry for page in pages for entry in page["PriceList"]]
        try:
            return [json.loads(entry) for entry in entries]
        except ValueError as error:
            msg = f"looking up {selector}: what the {self.name} answers is no JSON ({error})"
            raise TargetError(msg) from error

    def close(self) -> None:
        self._client.close()


class BulkFile:
    """DynamoDB's price list file of a region: small, and there without credentials."""

    services: tuple[str, ...] | None = (DYNAMODB,)

    def __init__(self, region: str, base: str = BULK_URL) -> None:
        self.name = "AWS price list file of DynamoDB"
        self._url = f"{base.rstrip('/')}/offers/v1.0/aws/{DYNAMODB}/current/{region}/index.json"
        self._products: Sequence[Mapping[str, Any]] | None = None

    def products(self, selector: Selector) -> Sequence[Mapping[str, Any]]:
        del selector  # the file is one for all of them
        if self._products is None:
            self._products = bulk_products(self._fetch())
        return self._products

    def close(self) -> None:
        """Do nothing: the file was read in one go."""

    def _fetch(self) -> Any:
        from http.client import HTTPException
        from urllib.error import HTTPError
        from urllib.request import urlopen

        if urlsplit(self._url).scheme not in {"http", "https"}:
            msg = f"{self._url} is no web address; give --offers one such as {BULK_URL}"
            raise ConfigError(msg)
        try:
            with urlopen(self._url, timeout=_TIMEOUT_S) as answer:  # noqa: S310  # see above
                content = answer.read(_LARGEST_BYTES + 1)
        except (OSError, HTTPException, ValueError) as error:
            if isinstance(error, HTTPError):
                error.close()
            msg = f"cannot fetch {self._url} ({error}); nothing was changed"
            raise TargetError(msg) from error
        if len(content) > _LARGEST_BYTES:
            msg = f"{self._url} is larger than {_LARGEST_BYTES:,} bytes, so it is not DynamoDB's"
            raise TargetError(msg)
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            msg = f"what {self._url} answers is no JSON ({error}); nothing was changed"
            raise TargetError(msg) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Refreshed:
    """
    What a refresh did.

    Args:
        file: The file it wrote.
        region: Whose prices.
        fetched: Rows it fetched.
        left: Rows that the source does not have, which stay as they are.
        not_offered: Usual types of instances and nodes that the region has not.
    """

    file: Path
    region: str
    fetched: tuple[Price, ...]
    left: tuple[Price, ...]
    not_offered: tuple[str, ...]


def refresh(source: Source, region: str, *, today: date, more: Iterable[str] = ()) -> Refreshed:
    """
    Fetch the prices of a region and write them to the user's own file, all or none.

    Rows of the file that the source does not have stay as they are.

    Args:
        source: Where products come from.
        region: An AWS region.
        today: What the rows are dated.
        more: Further rows to fetch, such as `ec2-m7g.large-hour`.

    Raises:
        PriceError: The source lacks a price, or has one that cannot be understood.
        TargetError: It does not answer.
        ConfigError: The file cannot be written.
    """
    check_region(region)
    path = own_file(region)
    try:
        known = load_book(region).prices
    except PriceError:
        if path.exists():
            raise
        known = {}
    more = tuple(more)
    wanted = selectors(region, (*USUAL, *known, *more))
    unknown = set(more) - {selector.name for selector in wanted}
    if unknown:
        msg = (
            f"cannot look up {', '.join(sorted(unknown))}; --add takes instances and cache nodes,"
            " such as ec2-m7g.large-hour or valkey-cache.r7g.large-hour"
        )
        raise ConfigError(msg)
    if source.services is not None:
        wanted = tuple(each for each in wanted if each.service in source.services)
    # a region need not offer what is merely usual elsewhere
    optional = {name for name in USUAL if is_of_a_type(name)} - {*known, *more}
    fetched: dict[str, Price] = {}
    not_offered = []
    try:
        for each in wanted:
            products = source.products(each)
            if each.name in optional and not has_product(products, each):
                not_offered.append(each.name)
                continue
            free = () if each.free is None else source.products(each.free)
            fetched[each.name] = read_price(
                products, each, source=source.name, today=today, free_products=free
            )
    except PriceError as error:
        msg = f"{error}; nothing was changed"
        raise PriceError(msg) from error
    own = read_price_file(path.read_bytes(), source=str(path)).prices if path.exists() else {}
    heading = (
        f"Prices of {region}, written by `perfkit prices refresh` on {today.isoformat()}.\n"
        "It replaces the rows it fetches and keeps the others."
    )
    _write(path, write_price_file(region, {**own, **fetched}, heading=heading))
    return Refreshed(
        file=path,
        region=region,
        fetched=tuple(fetched.values()),
        left=tuple(price for name, price in known.items() if name not in fetched),
        not_offered=tuple(not_offered),
    )


def _write(path: Path, text: str) -> None:
    """
    Write a file in one step: readers see the old one or the whole new one.

    Raises:
        StorageFullError: The disk or the quota is full; nothing is left behind.
        ConfigError: The place cannot be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, text.encode())
    except OSError as error:
        raise cannot_write(
            error,
            full=f"no space left to write {path}; the old prices are still there",
            otherwise=f"cannot write {path} ({error.strerror or error}); make it writable or name"
            " another folder in PERFKIT_PRICES",
        ) from error
