"""`perfkit prices`: the list prices that costs are worked out from."""

import contextlib
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from perfkit.commands.options import JsonOption, ProfileOption, VerboseOption
from perfkit.commands.output import (
    note,
    print_json,
    print_text,
    warn,
    wrap,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from perfkit.cost.prices import Price, PriceBook
    from perfkit.cost.refresh import Source
    from perfkit.report.model import Row, Table

__all__ = ["prices"]

prices = typer.Typer(no_args_is_help=True, help="Show and refresh list prices.")

_REGION = "us-east-1"

PriceRegionOption = Annotated[
    str, typer.Option("--region", metavar="NAME", help="AWS region of the prices.")
]


@prices.command()
def show(
    *,
    region: PriceRegionOption = _REGION,
    as_json: JsonOption = False,
    verbose: VerboseOption = False,
) -> None:
    """
    Show the list prices of a region.

    Those that most bills need; -v shows all there are, with tiers and sources.

    Example: perfkit prices show --region eu-west-1
    """
    from perfkit.cost.names import USUAL
    from perfkit.cost.price_file import load_book
    from perfkit.cost.prices import age_warnings

    book = load_book(region)
    warnings = age_warnings(book.prices.values(), today=None, region=region)
    for warning in warnings:
        warn(warning)
    if as_json:
        print_json(_document(book, warnings))
        return
    from perfkit.report import terminal

    usual = () if verbose else tuple(name for name in USUAL if name in book.prices)
    terminal.print_blocks((_usual(book, usual) if usual else _table(book),))
    if usual:
        named = "" if region == _REGION else f" --region {region}"
        print_text(f"\nMore: perfkit prices show{named} -v")


@prices.command()
def refresh(
    *,
    region: PriceRegionOption = _REGION,
    profile: ProfileOption = None,
    add: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PRICE",
            help="Fetch a further instance or cache node too, e.g. ec2-m7g.large-hour.",
        ),
    ] = None,
    offers: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Use DynamoDB's price list file, from AWS's address or a mirror's, without credentials.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """
    Fetch today's prices from AWS into your own price file.

    With AWS credentials it fetches all prices that the Price List API has; without, or with
    --offers, only those of DynamoDB, from a public file. Other prices keep their value and date.
    If anything cannot be fetched, the file stays as it was.

    Example: perfkit prices refresh --region eu-west-1
    """
    from perfkit.cost import refresh as fetching
    from perfkit.cost.prices import local_day

    source = _source(region, profile, offers)
    with contextlib.closing(source):
        done = fetching.refresh(source, region, today=local_day(), more=add or ())
    if as_json:
        print_json(
            {
                "file": str(done.file),
                "region": done.region,
                "source": source.name,
                "fetched": [_row(price) for price in done.fetched],
                "left": [_row(price) for price in done.left],
                "not_offered": list(done.not_offered),
            }
        )
        return
    wrote = f"Wrote {done.file}: {len(done.fetched)} prices from the {source.name}"
    print_text(wrap(wrote, sys.stdout))
    if done.left:
        names = ", ".join(sorted(price.name for price in done.left))
        note(f"Not in that source, so as before: {names}.")
    if done.not_offered:
        note(f"Not offered in {region}: {', '.join(done.not_offered)}.")


def _source(region: str, profile: str | None, offers: str | None) -> "Source":
    """Return the price list that can be asked: the API with credentials, else the public file."""
    from perfkit.cost.refresh import BULK_URL, BulkFile, PriceList
    from perfkit.errors import ConfigError

    if offers is not None:
        if profile is not None:
            msg = "--offers needs no credentials, so --profile has no meaning; give one of them"
            raise ConfigError(msg)
        return BulkFile(region, offers)

    from perfkit.dynamodb.errors import aws_errors

    with aws_errors("looking for credentials", "the Price List API"):
        import boto3
        from botocore.config import Config

        session = boto3.Session(profile_name=profile)
        if profile is None and session.get_credentials() is None:
            note("No AWS credentials: fetching DynamoDB's prices only, from the public file.")
            return BulkFile(region, BULK_URL)
        # the API answers in few regions, about all of them
        client = session.client(
            "pricing",
            region_name="us-east-1",
            config=Config(
                connect_timeout=5, read_timeout=20, retries={"mode": "standard", "max_attempts": 3}
            ),
        )
    return PriceList(client)


def _row(price: "Price") -> dict[str, Any]:
    return {
        "name": price.name,
        "unit": price.unit,
        "per": price.per,
        "tiers": [
            {
                "from": float(tier.start),
                "to": None if tier.end is None else float(tier.end),
                "price": float(tier.price_usd),
            }
            for tier in price.tiers
        ],
        "free": float(price.free),
        "vcpus": price.vcpus,
        "source": price.source,
        "date": None if price.date is None else price.date.isoformat(),
        "second_hand": price.second_hand,
    }


def _document(book: "PriceBook", warnings: tuple[str, ...]) -> dict[str, Any]:
    return {
        "region": book.region,
        "currency": "USD",
        "files": list(book.sources),
        "warnings": list(warnings),
        "prices": [_row(price) for price in book.prices.values()],
    }


_SECOND_HAND = "second-hand: not from AWS or a copy of its price list"
_FREE = (
    "The free tier is a month's, in the same unit; costs leave it in unless --free-tier is given."
)


def _usual(book: "PriceBook", usual: "Sequence[str]") -> "Table":
    """Return what most bills need, a line each."""
    from perfkit.report.model import Column, Marked, Table
    from perfkit.units import format_quantity

    rows: list[Row] = []
    for price in (book.prices[name] for name in usual):
        first = price.tiers[0]
        notes = [_SECOND_HAND] if price.second_hand else []
        if first.end is not None:
            notes.append(f"the first {format_quantity(first.end)}; -v shows the tiers above")
        rows.append(
            {
                "name": price.name,
                "usd": Marked(value=price.written(first), note="; ".join(notes) or None),
                "unit": price.unit,
                "free": format_quantity(price.free) if price.free else "",
                "date": _day(price),
            }
        )
    return Table(
        name="prices",
        title=f"List prices of {book.region} in US dollars: {len(rows)} of"
        f" {len(book.prices)}, which most bills need",
        columns=(
            Column(key="name", title="price", label=True),
            Column(key="usd", title="US dollars"),
            Column(key="unit", title="unit"),
            Column(key="free", title="free tier"),
            Column(key="date", title="date"),
        ),
        rows=tuple(rows),
        notes=(f"Prices from {', then '.join(book.sources)}.", _FREE),
    )


def _table(book: "PriceBook") -> "Table":
    from perfkit.report.model import Column, Marked, Table
    from perfkit.units import format_quantity

    rows: list[Row] = []
    for price in book.prices.values():
        note = _SECOND_HAND if price.second_hand else None
        for number, tier in enumerate(price.tiers):
            reach = ""
            if len(price.tiers) > 1:
                end = "∞" if tier.end is None else format_quantity(tier.end)
                reach = f"{format_quantity(tier.start)} to {end}"
            first = number == 0
            rows.append(
                {
                    "name": price.name if first else "",
                    "usd": Marked(value=price.written(tier), note=note),
                    "unit": price.unit if first else "",
                    "tier": reach,
                    "free": format_quantity(price.free) if first and price.free else "",
                    "source": price.source if first else "",
                    "date": _day(price) if first else "",
                }
            )
    return Table(
        name="prices",
        title=f"List prices of {book.region} in US dollars",
        columns=(
            Column(key="name", title="price", label=True),
            Column(key="usd", title="US dollars"),
            Column(key="unit", title="unit"),
            Column(key="tier", title="tier"),
            Column(key="free", title="free tier"),
            Column(key="date", title="date"),
            Column(key="source", title="source"),
        ),
        rows=tuple(rows),
        notes=(
            f"Prices from {', then '.join(book.sources)}.",
            _FREE,
        ),
    )


def _day(price: "Price") -> str:
    return "undated" if price.date is None else price.date.isoformat()
