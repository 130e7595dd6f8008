"""Safety: what is shown, priced, asked and refused before an account is touched."""

from pathlib import Path
from typing import Any

import pytest
from inline_snapshot import snapshot

from perfkit.commands.options import request_prices
from perfkit.dynamodb.safety import Effect, Permission, Preview, approve
from perfkit.dynamodb.targets import Target, TargetKind
from perfkit.errors import ConfigError

EMBEDDED = Target()
LOCAL = Target(kind=TargetKind.ENDPOINT, endpoint_url="http://localhost:8000")
REMOTE = Target(kind=TargetKind.ENDPOINT, endpoint_url="http://db.example:8000")
AWS = Target(kind=TargetKind.AWS, region="eu-west-1")

PREVIEW = Preview(
    title="Seed workload courses",
    effects=(
        Effect(text="create table Courses"),
        Effect(text="write up to 10,000 items", write_units=1e6, read_units=2e6),
    ),
)


@pytest.fixture(autouse=True)
def _account(monkeypatch: pytest.MonkeyPatch) -> None:
    number = {TargetKind.AWS: "123456789012"}
    monkeypatch.setattr(Target, "account", lambda target: number.get(target.kind))


def decide(
    target: Target, permission: Permission, preview: Preview = PREVIEW
) -> tuple[bool, list[str]]:
    shown: list[str] = []
    return approve(preview, target, permission, show=shown.append), shown


def permitted(**allowed: Any) -> Permission:
    return Permission(prices=request_prices, **allowed)


def yes_sayer(_: str) -> bool:
    return True


def no_sayer(_: str) -> bool:
    return False


def test_the_place_the_effects_and_the_price_are_shown() -> None:
    _, shown = decide(AWS, permitted(yes=True))

    assert "\n".join(shown) == snapshot("""\
Seed workload courses in AWS account 123456789012, region eu-west-1:
  - create table Courses
  - write up to 10,000 items
Roughly $0.99 on demand: about 1,000,000 write and 2,000,000 read units (AWS Price List bulk API, as in clont 0.3.0, 2026-09-29, eu-west-1).\
""")


def test_prices_of_ones_own_are_those_of_the_preview(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million write units and two million read units, at $1 and $2 a million."""
    monkeypatch.setenv("PERFKIT_PRICES", str(tmp_path))
    rows = "".join(
        f"[prices.dynamodb-{what}-request]\nprice = {usd}\nper = 1_000_000\n"
        f'unit = "{what} request unit"\nsource = "our contract"\ndate = 2026-10-01\n'
        for what, usd in (("read", 2), ("write", 1))
    )
    (tmp_path / "sa-east-1.toml").write_text(f'region = "sa-east-1"\n{rows}')

    _, shown = decide(Target(kind=TargetKind.AWS, region="sa-east-1"), permitted(yes=True))

    assert "Roughly $5.00 on demand" in shown[-1]
    assert shown[-1].endswith("(our contract, 2026-10-01, sa-east-1).")


def test_an_unknown_region_is_priced_by_a_named_stand_in() -> None:
    target = Target(kind=TargetKind.AWS, region="sa-east-1")

    _, shown = decide(target, permitted(yes=True))

    assert shown[-1] == snapshot(
        "Roughly $0.88 on demand: about 1,000,000 write and 2,000,000 read units. The prices of"
        " sa-east-1 are not known here; us-east-1 stands in (AWS Price List bulk API, as in clont 0.3.0, 2026-09-29); `perfkit prices refresh --region sa-east-1` fetches them."
    )


@pytest.mark.parametrize(
    ("units", "words"),
    [(0, "$0 "), (1, "less than $0.0001"), (65_000, "$0.046"), (1e7, "$7.05"), (1e10, "$7,050.00")],
)
def test_prices_are_rough_and_readable(units: float, words: str) -> None:
    preview = Preview(title="Write", effects=(Effect(text="items", write_units=units),))

    _, shown = decide(AWS, permitted(yes=True), preview)

    assert f"Roughly {words}" in shown[-1]


@pytest.mark.parametrize("target", [EMBEDDED, LOCAL])
def test_nothing_is_asked_on_this_machine(target: Target) -> None:
    assert decide(target, permitted()) == (True, [])


def test_what_must_always_be_asked_is_asked_on_this_machine_too() -> None:
    preview = Preview(title="Remove", effects=(Effect(text="everything"),), always_ask=True)

    assert decide(EMBEDDED, permitted(ask=no_sayer), preview)[0] is False


def test_an_endpoint_elsewhere_is_asked_about_and_not_priced() -> None:
    going_on, shown = decide(REMOTE, permitted(ask=yes_sayer))

    assert going_on
    assert shown[0] == "Seed workload courses in http://db.example:8000:"
    assert not any("$" in line for line in shown)


@pytest.mark.parametrize("answer", [True, False])
def test_the_person_at_the_terminal_decides(answer: bool) -> None:
    assert decide(AWS, permitted(ask=lambda _: answer))[0] is answer


def test_without_a_person_or_yes_it_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"add --yes to go ahead\. Nothing was done"):
        decide(AWS, permitted())


@pytest.mark.parametrize("agreed", [{"yes": True}, {"ask": yes_sayer}])
def test_more_than_the_limit_is_refused_whoever_agrees(agreed: dict[str, Any]) -> None:
    limited = permitted(**agreed, max_cost_usd=0.00001)

    with pytest.raises(ConfigError, match=r"roughly \$0.99, more than --max-cost 0.00001; noth"):
        decide(AWS, limited)


def test_up_to_the_limit_is_allowed() -> None:
    assert decide(AWS, permitted(yes=True, max_cost_usd=1.0))[0]


def test_nothing_to_do_needs_no_permission() -> None:
    assert decide(AWS, permitted(), Preview(title="Seed", effects=())) == (True, [])
