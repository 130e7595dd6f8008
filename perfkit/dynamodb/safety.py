"""
What happens before perfkit touches an account: show it, price it, ask.

Prices are on-demand request prices in USD, for orders of magnitude: they leave out the free
tier, discounts, provisioned capacity and taxes.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal

from perfkit.dynamodb.limits import Limits, meter_of
from perfkit.dynamodb.ownership import not_ours
from perfkit.dynamodb.targets import Target
from perfkit.errors import ConfigError
from perfkit.units import format_quantity

__all__ = [
    "Effect",
    "Permission",
    "Preview",
    "Prices",
    "RequestPrices",
    "approve",
    "consumption",
    "limited",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestPrices:
    """
    What a unit costs on demand.

    Args:
        region: Whose prices they are.
        read_unit_usd: A read unit's.
        write_unit_usd: A write unit's.
        source: Where they were read and when, for people.
    """

    region: str
    read_unit_usd: float
    write_unit_usd: float
    source: str


Prices = Callable[[str], RequestPrices]
"""Returns the prices of a region, or another one's that stand in for them."""


def limited(
    target: Target,
    prices: Prices,
    *,
    max_rcu: float | None = None,
    max_wcu: float | None = None,
    max_cost_usd: float | None = None,
) -> Target:
    """
    Return a target that holds everything that is done there to limits, in all processes.

    Units cost what they cost on AWS, on whichever target.

    Args:
        target: The target.
        prices: What units cost.
        max_rcu: Read units a second; None for no limit.
        max_wcu: Write units a second; None for no limit.
        max_cost_usd: What all units together may cost; None for no limit.

    Raises:
        ConfigError: A limit is out of range, or there is no region.
    """
    if max_rcu is None and max_wcu is None and max_cost_usd is None:
        return target
    of_region = prices(target.resolved_region())
    return replace(
        target,
        limits=Limits.start(
            max_rcu=max_rcu,
            max_wcu=max_wcu,
            max_cost_usd=max_cost_usd,
            read_unit_usd=of_region.read_unit_usd,
            write_unit_usd=of_region.write_unit_usd,
            price=f"AWS in {of_region.region}, on demand",
        ),
    )


def consumption(target: Target) -> str | None:
    """Return what a command consumed of its limits, as one line; None if it had none."""
    if target.limits is None:
        return None
    meter = meter_of(target.limits)
    used = meter.consumed
    line = (
        f"Consumed {used.read_units:,.1f} read and {used.write_units:,.1f} write units,"
        f" {_dollars(used.cost_usd)} at the prices of {target.limits.price}"
    )
    if target.limits.rates:
        line += f", held below {target.limits.rates}"
    return f"{line}; {used.throttled:,} calls throttled and {used.failed:,} failed were sent again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """
    One thing that will happen.

    Args:
        text: What and to which table, as one line.
        read_units: Read units it takes, roughly.
        write_units: Write units it takes, roughly.
        is_open: It also queries and gets, which takes read units that are not known before.
    """

    text: str
    read_units: float = 0.0
    write_units: float = 0.0
    is_open: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """
    What a command is about to do.

    Args:
        title: The command's intent, e.g. `Seed workload courses`.
        effects: What will happen, in order.
        always_ask: Whether to ask on this machine's own targets too.
        foreign: Tables it would change and must not, because they carry no mark of perfkit's.
    """

    title: str
    effects: tuple[Effect, ...]
    always_ask: bool = False
    foreign: tuple[str, ...] = ()

    @property
    def read_units(self) -> float:
        """Read units of all effects together."""
        return sum(effect.read_units for effect in self.effects)

    @property
    def write_units(self) -> float:
        """Write units of all effects together."""
        return sum(effect.write_units for effect in self.effects)

    def cost_usd(self, prices: RequestPrices) -> float:
        """Return the rough price of the units."""
        return self.read_units * prices.read_unit_usd + self.write_units * prices.write_unit_usd


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """
    What the caller allows beforehand.

    Args:
        prices: What units cost, by region.
        yes: Go ahead without asking.
        max_cost_usd: Refuse what costs more, whatever else is allowed.
        ask: Puts a question to a person and returns the answer; None where there is nobody.
    """

    prices: Prices
    yes: bool = False
    max_cost_usd: float | None = None
    ask: Callable[[str], bool] | None = None


def approve(
    preview: Preview, target: Target, permission: Permission, *, show: Callable[[str], None]
) -> bool:
    """
    Show what will happen where it matters, and return whether to go on.

    On the embedded engine and on this machine's own endpoints nothing is asked, unless the
    preview says so. What would change somebody else's table is refused on every target, whatever
    is allowed.

    Args:
        preview: What will happen.
        target: Where.
        permission: What is allowed beforehand.
        show: Prints one line for a person.

    Returns:
        True to go on; False if the person said no.

    Raises:
        ConfigError: A table is somebody else's, it costs more than allowed, or nobody is there
            to ask and `--yes` was not given.
    """
    if preview.foreign:
        for line in describe(preview, target, permission.prices):
            show(line)
        raise not_ours(preview.foreign, target.name)
    if not preview.effects or not (target.is_guarded or preview.always_ask):
        return True
    for line in describe(preview, target, permission.prices):
        show(line)
    if target.is_aws and permission.max_cost_usd is not None:
        cost_usd = preview.cost_usd(permission.prices(target.resolved_region()))
        if cost_usd > permission.max_cost_usd:
            msg = (
                f"this costs roughly {_dollars(cost_usd)}, more than --max-cost"
                f" {format_quantity(Decimal(str(permission.max_cost_usd)))}; nothing was done"
            )
            raise ConfigError(msg)
    if permission.yes:
        return True
    if permission.ask is None:
        msg = "nobody is at the terminal to confirm this; add --yes to go ahead. Nothing was done"
        raise ConfigError(msg)
    return permission.ask("Go ahead?")


def describe(preview: Preview, target: Target, prices: Prices) -> list[str]:
    """
    Return the lines that say what will happen, where, and what it costs.

    Raises:
        ConfigError: There are no usable credentials or no region.
    """
    lines = [f"{preview.title} in {_place(target)}:"]
    lines += [f"  - {effect.text}" for effect in preview.effects]
    if any(effect.is_open for effect in preview.effects):
        lines.append(
            "What queries and gets take is not known before and not counted here; --max-rcu and"
            " --max-cost hold it."
        )
    if not target.is_aws:
        return lines
    region = target.resolved_region()
    used = prices(region)
    cost = (
        f"Roughly {_dollars(preview.cost_usd(used))} on demand: about"
        f" {preview.write_units:,.0f} write and {preview.read_units:,.0f} read units"
    )
    if used.region == region:
        lines.append(f"{cost} ({used.source}, {region}).")
    else:
        lines.append(
            f"{cost}. The prices of {region} are not known here; {used.region} stands in"
            f" ({used.source}); `perfkit prices refresh --region {region}` fetches them."
        )
    return lines


def _place(target: Target) -> str:
    if not target.is_aws:
        return target.name
    account = target.account()
    return f"AWS account {account or '(number unknown)'}, region {target.resolved_region()}"


def _dollars(amount_usd: float) -> str:
    """Return an amount with two digits that matter, and cents from one dollar on."""
    if amount_usd >= 1:
        return f"${amount_usd:,.2f}"
    if amount_usd >= 1e-4:
        return f"${amount_usd:.2g}"
    return "$0" if amount_usd == 0 else "less than $0.0001"
