"""
AWS's price list read as price rows: which product each row is, and what its dimensions say.

Sources: AWS Price List Query API (`GetProducts`), and the service price list files, which hold the
same products; docs/cost.md has the addresses.
"""

import re
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

__all__ = [
    "DYNAMODB",
    "Selector",
    "bulk_products",
    "check_region",
    "has_product",
    "read_price",
    "selectors",
]

DYNAMODB = "AmazonDynamoDB"

# Usage types begin with a code of the region, `EUW2-`; in us-east-1 they have none. Which code is
# whose need not be known: products say their region. Tables of infrequent access have another
# code before the same words.
# Source: "Understanding your AWS billing and usage reports" of the DynamoDB developer guide.
_REGION_CODE = r"(?:(?!IA-)[A-Z0-9]+-)?"

_PARTITION = "aws"

_LINUX = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
}
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """
    Where in the price list a row is.

    Args:
        name: The row's name in a price book.
        service: Service code of the price list.
        usage: Usage type of the product, without the code of its region.
        attributes: What else the product must have, among it the region.
        per: For how many units the row has its price.
        free: Where the free allowance is, if the list has it as another product.
    """

    name: str
    service: str
    usage: str
    attributes: Mapping[str, str]
    per: int = 1
    free: "Selector | None" = None

    def __str__(self) -> str:
        return f"{self.name} ({self.service} {self.usage})"

    @property
    def unit(self) -> str:
        """Return what one of it is."""
        return names.unit_of(self.name) or ""

    def means(self, product: Mapping[str, Any]) -> bool:
        """Return whether a product of the list is the one; what it does not say, it may be."""
        held = {"productFamily": product.get("productFamily"), **product.get("attributes", {})}
        if re.fullmatch(_REGION_CODE + re.escape(self.usage), str(held.get("usagetype"))) is None:
            return False
        return all(held.get(key, value) == value for key, value in self.attributes.items())


def check_region(region: str) -> None:
    """
    Check that AWS has a commercial region of that name, or may have one that is newer than botocore.

    Raises:
        PriceError: It has none.
    """
    import botocore.session
    from botocore.exceptions import UnknownRegionError

    session = botocore.session.get_session()
    try:
        partition = session.get_partition_for_region(region)
    except UnknownRegionError as error:
        hint = nearest(region, session.get_available_regions("dynamodb"))
        msg = f"cannot look up prices of region '{region}'; {hint}"
        raise PriceError(msg) from error
    if partition != _PARTITION:
        msg = (
            f"cannot look up prices of region '{region}': those of {partition} are in another price"
            " list; write a price file and give it with --prices"
        )
        raise PriceError(msg)


def selectors(region: str, wanted: Iterable[str]) -> tuple[Selector, ...]:
    """
    Return where the rows of a region's price book are in the price list.

    Args:
        region: An AWS region.
        wanted: Names of rows. Those that are not looked up in the price list are passed over.
    """
    found = (_selector(name, region) for name in dict.fromkeys(wanted))
    return tuple(selector for selector in found if selector is not None)


_FIXED = {
    names.read_capacity(): (DYNAMODB, "ReadCapacityUnit-Hrs", 1),
    names.write_capacity(): (DYNAMODB, "WriteCapacityUnit-Hrs", 1),
    names.read_request(): (DYNAMODB, "ReadRequestUnits", _MILLION),
    names.write_request(): (DYNAMODB, "WriteRequestUnits", _MILLION),
    names.storage(): (DYNAMODB, "TimedStorage-ByteHrs", 1),
    names.PUBLIC_ADDRESS: ("AmazonVPC", "PublicIPv4:InUseAddress", 1),
}


def _selector(name: str, region: str) -> Selector | None:
    here = {"regionCode": region}
    if name in _FIXED:
        service, usage, per = _FIXED[name]
        return Selector(name=name, service=service, usage=usage, per=per, attributes=here)
    if name in {names.LOAD_BALANCER, names.LOAD_BALANCER_UNIT}:
        return Selector(
            name=name,
            service="AWSELB",
            usage="LoadBalancerUsage" if name == names.LOAD_BALANCER else "LCUUsage",
            attributes={**here, "productFamily": "Load Balancer-Application"},
        )
    if name == names.DATA_OUT:
        service = "AWSDataTransfer"
        return Selector(
            name=name,
            service=service,
            usage="DataTransfer-Out-Bytes",
            attributes={"fromRegionCode": region},
            free=Selector(
                name=f"free allowance of {name}",
                service=service,
                usage="Global-DataTransfer-Out-Bytes",
                attributes={"usagetype": "Global-DataTransfer-Out-Bytes"},
            ),
        )
    kind = name.removesuffix("-hour")
    if name.startswith("ec2-") and kind != name:
        kind = kind.removeprefix("ec2-")
        return Selector(
            name=name,
            service="AmazonEC2",
            usage=f"BoxUsage:{kind}",
            attributes={**here, "instanceType": kind, **_LINUX},
        )
    engine, _, node = kind.partition("-")
    if engine not in {each.value for each in Engine} or not node.startswith("cache."):
        return None
    return Selector(
        name=name,
        service="AmazonElastiCache",
        usage=f"NodeUsage:{node}",
        attributes={**here, "instanceType": node, "cacheEngine": engine.capitalize()},
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
        vcpus=_vcpus(products, selector),
    )
    # what is written must be read again, so a gap in the list is found now and not then
    text = write_price_file("checked", {price.name: price}, heading="")
    read_price_file(text.encode(), source=str(selector))
    return price


def has_product(products: Sequence[Mapping[str, Any]], selector: Selector) -> bool:
    """
    Return whether any of the products is the one that a selector means.

    Raises:
        PriceError: One of them cannot be understood.
    """
    return any(True for _ in _meant(products, selector))


def _meant(
    products: Sequence[Mapping[str, Any]], selector: Selector
) -> Iterator[Mapping[str, Any]]:
    try:
        yield from (each for each in products if selector.means(each["product"]))
    except (AttributeError, KeyError, TypeError) as error:
        raise _not_understood(selector, error) from error


def _not_understood(selector: Selector, error: Exception) -> PriceError:
    msg = f"the price list's entry for {selector} cannot be understood: {error!r}"
    return PriceError(msg)


def _dimensions(
    products: Sequence[Mapping[str, Any]], selector: Selector
) -> Iterator[tuple[Decimal, Decimal | None, Decimal]]:
    """Yield from, to and price of each dimension of the products that a selector means."""
    for each in _meant(products, selector):
        try:
            for term in each["terms"].get("OnDemand", {}).values():
                for dimension in term["priceDimensions"].values():
                    end = dimension["endRange"]
                    yield (
                        _finite(dimension["beginRange"]),
                        None if end == "Inf" else _finite(end),
                        _finite(dimension["pricePerUnit"]["USD"]),
                    )
        except (AttributeError, KeyError, TypeError, InvalidOperation) as error:
            raise _not_understood(selector, error) from error


def _vcpus(products: Sequence[Mapping[str, Any]], selector: Selector) -> int | None:
    """Return how many virtual processors an instance has; None of anything else."""
    if names.instance_of(selector.name) is None:
        return None
    texts = (str(each["product"]["attributes"].get("vcpu")) for each in _meant(products, selector))
    return next((int(text) for text in texts if text.isdecimal() and int(text)), None)


def _finite(text: str) -> Decimal:
    number = Decimal(text)
    if not number.is_finite():
        raise InvalidOperation(text)
    return number
