"""Traffic in virtual time: what must hold for any traffic, and the hour of the reference document."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perfkit.cache.settings import CacheSettings
from perfkit.cache.virtual_hour import (
    _BOUNDS,
    Traffic,
    arrivals,
    expected_hit_rate,
    read_changes,
    simulate,
)
from perfkit.errors import ConfigError
from perfkit.scenarios.cache_hour import _TTLS_S, _hour_of
from perfkit.workloads.loader import load

STEADY = CacheSettings(jitter=0.0)


def traffic(**changed: float) -> Traffic:
    values = {"rate_hz": 10.0, "duration_s": 60.0, "keys": 5, "skew": 0.8, "ttl_s": 10.0}
    return Traffic(**{**values, **changed})  # type: ignore[arg-type]


@settings(max_examples=40, deadline=None)
@given(
    st.floats(0.1, 30),
    st.integers(1, 50),
    st.floats(0, 2),
    st.floats(0.01, 200),
    st.floats(0, 2),
    st.floats(0, 1),
    st.floats(0, 5),
)
def test_every_request_goes_one_way(
    rate_hz: float,
    keys: int,
    skew: float,
    ttl_s: float,
    writes_hz: float,
    error_share: float,
    fill_s: float,
) -> None:
    asked = traffic(
        rate_hz=rate_hz,
        keys=keys,
        skew=skew,
        ttl_s=ttl_s,
        writes_hz=writes_hz,
        error_share=error_share,
        fill_s=fill_s,
    )
    came = list(arrivals(asked))

    events = simulate(asked, CacheSettings())

    assert events.requests == sum(not is_write for _, _, is_write in came)
    assert events.invalidations == sum(is_write for _, _, is_write in came)
    # who waits for another's query makes none
    assert events.errors <= events.fills <= events.misses + events.errors
    assert events.peak_fills <= events.fills


def test_arrivals_come_in_order_at_their_rate_and_the_first_key_most_often() -> None:
    asked = traffic(rate_hz=100, duration_s=200, keys=4, skew=1.0)

    moments, keys, _ = zip(*arrivals(asked), strict=True)

    assert list(moments) == sorted(moments)
    # 20,000 expected, and 5 standard deviations
    assert abs(len(moments) - 20_000) < 5 * math.sqrt(20_000)
    # 1 : 1/2 : 1/3 : 1/4
    assert keys.count(0) / keys.count(1) == pytest.approx(2.0, rel=0.1)
    assert keys.count(0) / keys.count(3) == pytest.approx(4.0, rel=0.15)


def test_the_hit_rate_of_one_key_is_what_renewal_theory_says() -> None:
    """Each miss is followed by a Poisson number of hits, rate x TTL on average."""
    asked = traffic(rate_hz=2.0, duration_s=50_000, keys=1, ttl_s=5.0)

    events = simulate(asked, STEADY)

    assert events.hits / events.misses == pytest.approx(10.0, rel=0.03)


def test_a_write_makes_the_next_request_miss() -> None:
    quiet = simulate(traffic(keys=1, ttl_s=1e6), STEADY)
    written = simulate(traffic(keys=1, ttl_s=1e6, writes_hz=2.0), STEADY)

    assert quiet.misses == 1
    assert 1 < written.misses <= written.invalidations + 1


def test_a_dead_cache_has_only_errors_and_a_query_for_each() -> None:
    events = simulate(traffic(error_share=1.0), STEADY)

    assert events.hits == events.misses == 0
    assert events.fills == events.errors == events.requests


def test_requests_during_a_query_wait_for_it() -> None:
    events = simulate(traffic(keys=1, ttl_s=1e6, fill_s=3.0), STEADY)

    assert events.fills == 1
    assert events.misses > 10


def test_a_longer_time_to_live_never_asks_more() -> None:
    hour = _hour_of(load("courses").pattern("courses"))
    fills = [
        simulate(traffic(rate_hz=5.0, keys=hour.keys, ttl_s=ttl_s), STEADY).fills
        for ttl_s in _TTLS_S
    ]

    assert fills == sorted(fills, reverse=True)


def test_the_hour_of_the_reference_document_has_99_percent_hits_and_2_5_ms() -> None:
    events = simulate(_hour_of(load("courses").pattern("courses")), CacheSettings())

    assert abs(events.requests - 100_000) < 1_000
    assert round(events.hits / events.requests, 2) == 0.99
    mean_s = (events.hits * 0.002 + events.misses * 0.052 + events.errors * 0.05) / events.requests
    assert round(mean_s, 4) == 0.0025


@pytest.mark.parametrize(
    ("name", "value"),
    [("rate_hz", 0.0), ("keys", 0), ("ttl_s", -1.0), ("skew", -0.1), ("error_share", 1.1)],
)
def test_traffic_that_cannot_be_is_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"{name} of the traffic"):
        traffic(**{name: value})


def test_traffic_is_changed_by_name() -> None:
    changes = read_changes(["rate=50", "keys=200", "writes=360", "errors=0.01"])

    assert changes == {"rate_hz": 50.0, "keys": 200, "writes_hz": 0.1, "error_share": 0.01}


@pytest.mark.parametrize("text", ["rate", "rate=", "rate=fast", "rate=nan", "speed=1", "=1"])
def test_what_is_no_traffic_is_refused_with_the_names(text: str) -> None:
    with pytest.raises(ConfigError, match="write NAME=NUMBER with one of rate, keys, skew"):
        read_changes([text])


@pytest.mark.parametrize(
    "text",
    ["rate=0", "rate=1e12", "keys=-1", "keys=0.5", "keys=1.5", "keys=1e9", "skew=1e9", "errors=2"],
)
def test_traffic_that_cannot_be_is_refused_before_anything_is_measured(text: str) -> None:
    name = text.partition("=")[0]
    with pytest.raises(ConfigError, match=f"--hour {name} must be"):
        read_changes([text])


@pytest.mark.parametrize("name", ["rate", "keys", "skew", "ttl", "writes", "errors"])
def test_an_hour_of_the_most_that_may_be_asked_for_is_worked_out(name: str) -> None:
    """At both bounds nothing overflows; the duration is short, so that the test is."""
    for bound in _BOUNDS[name]:
        events = simulate(
            traffic(**{**read_changes([f"{name}={bound}"]), "duration_s": 1.0}), CacheSettings()
        )

        assert events.hits + events.misses + events.errors == events.requests


def test_jitter_is_decided_by_the_code_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CacheSettings, "kept_ms", lambda *_: 1)

    events = simulate(traffic(keys=1, ttl_s=1e6), CacheSettings())

    assert events.misses > events.hits


@pytest.mark.parametrize(
    ("rate_hz", "ttl_s", "writes_hz"),
    [
        pytest.param(5.0, 60.0, 0.0, id="nothing is written"),
        pytest.param(5.0, 60.0, 0.5, id="writes forget keys"),
        pytest.param(0.5, 300.0, 0.01, id="little traffic"),
        pytest.param(20.0, 5.0, 0.1, id="short lives"),
    ],
)
def test_the_expected_hit_rate_is_what_hours_tend_to(
    rate_hz: float, ttl_s: float, writes_hz: float
) -> None:
    traffic = Traffic(
        rate_hz=rate_hz, duration_s=40_000 / rate_hz, keys=50, skew=0.8, ttl_s=ttl_s,
        writes_hz=writes_hz,
    )  # fmt: skip

    events = simulate(traffic, STEADY)

    assert expected_hit_rate(traffic) == pytest.approx(events.hits / events.requests, abs=0.01)


@pytest.mark.parametrize("skew", [0.0, 0.8, 2.0])
@pytest.mark.parametrize("rate_hz", [0.1, 20.0, 1e5])
def test_the_expected_hit_rate_of_many_keys_is_the_sum_over_all_of_them(
    skew: float, rate_hz: float
) -> None:
    """Each key by itself, which nobody waits for where there are millions."""
    keys, ttl_s, writes_hz = 30_000, 300, 2.0
    weights = [rank**-skew for rank in range(1, keys + 1)]
    hits, total = 0.0, sum(weights)
    for share in (weight / total for weight in weights):
        stays_s = -math.expm1(-writes_hz * share * ttl_s) / (writes_hz * share)
        hits += share * (1 - 1 / (1 + rate_hz * share * stays_s))

    traffic = Traffic(
        rate_hz=rate_hz, duration_s=1, keys=keys, skew=skew, ttl_s=ttl_s, writes_hz=writes_hz
    )

    assert expected_hit_rate(traffic) == pytest.approx(hits, rel=1e-6)
