"""
AWS's price list read as price rows: which product each row is, and what its dimensions say.

Sources: AWS Price List Query API (`GetProducts`), and the service price list files, which hold the
same products; docs/cost.md has the addresses.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from perfkit.cost import names
from perfkit.cost.names import Engine
from perfkit.cost.price_file import read_price_file, write_price_file
from perfkit.cost.prices import Price, Tier
from perfkit.errors import PriceError
from perfkit.workloads.problems import nearest

__all__ = ["DYNAMODB", "Selector", "bulk_products", "read_price", "selectors"]

DYNAMODB = "AmazonDynamoDB"

# Usage types begin with a region's own code; in us-east-1 they have none.
# Source: "Understanding your AWS billing and usage reports" of the DynamoDB developer guide.
_PREFIXES = {
    "us-east-1": "",
    "us-east-2": "USE2-",
    "us-west-1": "USW1-",
    "us-west-2": "USW2-",
    "ca-central-1": "CAN1-",
    "sa-east-1": "SAE1-",
    "eu-west-1": "EU-",
    "eu-west-2": "EUW2-",
    "eu-west-3": "EUW3-",
    "eu-central-1": "EUC1-",
    "eu-north-1": "EUN1-",
    "ap-south-1": "APS3-",
    "ap-southeast-1": "APS1-",
    "ap-southeast-2": "APS2-",
    "ap-northeast-1": "APN1-",
    "ap-northeast-2": "APN2-",
    "ap-northeast-3": "APN3-",
}

_LINUX = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
}
_APPLICATION = {"productFamily": "Load Balancer-Application"}
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """
    Where in the price list a row is.

    Args:
        name: The row's name in a price book.
        unit: What one of it is.
        service: Service code of the price list.
        attributes: What the product must have; its usage type among them.
        per: For how many units the row has its price.
        free: Where the free allowance is, if the list has it as another product.
    """

    name: str
    unit: str
    service: str
    attributes: Mapping[str, str]
    per: int = 1
    free: "Selector | None" = None

    def __str__(self) -> str:
        return f"{self.name} ({self.service} {self.attributes['usagetype']})"


def selectors(region: str, wanted: Iterable[str]) -> tuple[Selector, ...]:
    """
    Return where the rows of a region's price book are in the price list.

    Args:
        region: An AWS region.
        wanted: Names of rows. Those that are not looked up in the price list are passed over.

    Raises:
        PriceError: How usage types of the region begin is not known.
    """
    if region not in _PREFIXES:
        msg = f"cannot look up prices of region '{region}'; {nearest(region, _PREFIXES)}"
        raise PriceError(msg)
    prefix = _PREFIXES[region]
    found = (_selector(name, prefix) for name in dict.fromkeys(wanted))
    return tuple(selector for selector in found if selector is not None)


def _selector(name: str, prefix: str) -> Selector | None:
    fixed = {
        names.read_capacity(): (DYNAMODB, "ReadCapacityUnit-Hrs", "RCU-hour", 1, {}),
        names.write_capacity(): (DYNAMODB, "WriteCapacityUnit-Hrs", "WCU-hour", 1, {}),
        names.read_request(): (DYNAMODB, "ReadRequestUnits", "read request unit", _MILLION, {}),
        names.write_request(): (DYNAMODB, "WriteRequestUnits", "write request unit", _MILLION, {}),
        names.storage(): (DYNAMODB, "TimedStorage-ByteHrs", "GB-month", 1, {}),
        names.LOAD_BALANCER: (
            "AWSELB",
            "LoadBalancerUsage",
            "load balancer hour",
            1,
            _APPLICATION,
        ),
        names.LOAD_BALANCER_UNIT: ("AWSELB", "LCUUsage", "LCU-hour", 1, _APPLICATION),
        names.PUBLIC_ADDRESS: ("AmazonVPC", "PublicIPv4:InUseAddress", "address hour", 1, {}),
        names.DATA_OUT: ("AWSDataTransfer", "DataTransfer-Out-Bytes", "GB", 1, {}),
    }
    if name in fixed:
        service, usage, unit, per, more = fixed[name]
    elif name.startswith("ec2-") and name.endswith("-hour"):
        kind = name.removeprefix("ec2-").removesuffix("-hour")
        service, usage, unit, per, more = (
            "AmazonEC2",
            f"BoxUsage:{kind}",
            "instance hour",
            1,
            _LINUX,
        )
    else:
        engine, _, node = name.removesuffix("-hour").partition("-")
        if engine not in {each.value for each in Engine} or not node.startswith("cache."):
            return None
        service, usage, unit, per, more = (
            "AmazonElastiCache",
            f"NodeUsage:{node}",
            "node hour",
            1,
            {"cacheEngine": engine.capitalize()},
        )
    free = None
    if name == names.DATA_OUT:
        free = Selector(
            name=f"free allowance of {name}",
            unit=unit,
            service=service,
            attributes={"usagetype": "Global-DataTransfer-Out-Bytes"},
        )
    return Selector(
        name=name,
        unit=unit,
        service=service,
        attributes={"usagetype": f"{prefix}{usage}", **more},
        per=per,
        free=free,
    )


def bulk_products(offer: Any) -> tuple[Mapping[str, Any], ...]:
    """
    Return the products of a service price list file in the shape of `GetProducts`.

    Raises:
        PriceError: It is no such file.
    """
    try:
        terms = offer["terms"]["OnDemand"]
        return tuple(
            {"product": product, "terms": {"OnDemand": terms.get(sku, {})}}
            for sku, product in offer["products"].items()
        )
    except (AttributeError, KeyError, TypeError) as error:
        msg = "what came is no price list file: it has no products and terms"
        raise PriceError(msg) from error


def read_price(
    products: Sequence[Mapping[str, Any]],
    selector: Selector,
    *,
    source: str,
    today: date,
    free_products: Sequence[Mapping[str, Any]] = (),
) -> Price:
    """
    Return a row out of the products that the price list has for it.

    Args:
        products: Products; those that the selector does not mean are passed over.
        selector: What the row is.
        source: What the row says where it was read.
        today: The day of reading.
        free_products: Where the selector has one for the free allowance: its products.

    Raises:
        PriceError: There is no such product, several differ, or its price is no price; the
            message names the selector.
    """
    # by where they begin: an end may be missing, so whole dimensions have no order
    dimensions = sorted(set(_dimensions(products, selector)), key=lambda each: each[0])
    paid = [each for each in dimensions if each[2] > 0]
    if not paid:
        msg = f"the price list has no price for {selector}"
        raise PriceError(msg)
    if paid[-1][1] is not None:
        msg = f"the price list has no price beyond {paid[-1][1]:,} for {selector}"
        raise PriceError(msg)
    begins = [begin for begin, _, _ in paid]
    if len(set(begins)) != len(begins):
        msg = f"the price list has several prices for {selector}, and they differ"
        raise PriceError(msg)
    # What is free without an end is something else, such as hours that a reservation covers.
    free = max(
        (end for _, end, usd in dimensions if usd == 0 and end is not None), default=Decimal(0)
    )
    if paid[0][0] not in {0, free}:
        msg = f"the price list has no price from 0 on for {selector}"
        raise PriceError(msg)
    if selector.free is not None:
        allowance = _dimensions(free_products, selector.free)
        free = max((end for _, end, usd in allowance if usd == 0 and end), default=free)
    price = Price(
        name=selector.name,
        unit=selector.unit,
        per=selector.per,
        tiers=tuple(
            Tier(
                start=begin if number else Decimal(0),
                end=end,
                price_usd=(usd * selector.per).normalize(),
            )
            for number, (begin, end, usd) in enumerate(paid)
        ),
        source=source,
        date=today,
        free=free,
    )
    # what is written must be read again, so a gap in the list is found now and not then
    text = write_price_file("checked", {price.name: price}, heading="")
    read_price_file(text.encode(), source=str(selector))
    return price


def _dimensions(
    products: Sequence[Mapping[str, Any]], selector: Selector
) -> Iterator[tuple[Decimal, Decimal | None, Decimal]]:
    """Yield from, to and price of each dimension of the products that a selector means."""
    try:
        for each in products:
            product = each["product"]
            held = {**product.get("attributes", {}), "productFamily": product.get("productFamily")}
            if any(held.get(key) != value for key, value in selector.attributes.items()):
                continue
            for term in each["terms"].get("OnDemand", {}).values():
                for dimension in term["priceDimensions"].values():
                    end = dimension["endRange"]
                    yield (
                        _finite(dimension["beginRange"]),
                        None if end == "Inf" else _finite(end),
                        _finite(dimension["pricePerUnit"]["USD"]),
                    )
    except (AttributeError, KeyError, TypeError, InvalidOperation) as error:
        msg = f"the price list's entry for {selector} cannot be understood: {error!r}"
        raise PriceError(msg) from error


def _finite(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise InvalidOperation(text)
    return number
