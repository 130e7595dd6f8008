"""Run files: what is saved comes back, and what is no run is refused with a reason."""

import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perfkit.errors import ConfigError, RunFileError, StorageFullError
from perfkit.measure.histogram import Histogram
from perfkit.runs import (
    FORMAT,
    CacheFigures,
    Check,
    Comparison,
    Doubt,
    DoubtKind,
    Hour,
    HourTraffic,
    HttpFigures,
    InstanceSample,
    LatencySummary,
    LoadModel,
    LoadSecond,
    LoadSettings,
    LoadTest,
    MachineLoad,
    Run,
    RunKind,
    RunStore,
    ServiceFigures,
    Variant,
    WriteCost,
    now_utc,
)
from perfkit.runs.codec import decode
from perfkit.runs.store import _new_id

LATENCY = LatencySummary(count=3, mean=0.2, p50=0.1, p90=0.3, p95=0.3, p99=0.3, max=0.3, min=0.1)


def make_variant(name: str = "scan", **changes: Any) -> Variant:
    variant = Variant(
        name=name,
        operation="Scan",
        calls=3,
        requests=30,
        errors=0,
        items_read=10_000,
        items_returned=50,
        bytes_read=10_240_000,
        capacity_units=1250.0,
        capacity_source="embedded",
        latency_s=LATENCY,
        histogram="",
        rounds_s=(0.1, 0.2),
    )
    return replace(variant, **changes)


def make_run(**changes: Any) -> Run:
    run = Run(
        kind=RunKind.SCENARIO,
        scenario="courses",
        workload="courses",
        target={"kind": "embedded"},
        started_at="2026-01-01T00:00:00Z",
        machine={"cpu": "Testing CPU", "cores": 2},
        settings={"iterations": 3},
        variants=(make_variant(), make_variant("query", capacity_units=None, items_read=None)),
        comparisons=(
            Comparison(
                baseline="scan",
                candidate="query",
                latency_ratio=96.0,
                latency_ratio_ci95=(90.5, 101.25),
                capacity_ratio=None,
                results_equal=True,
                significant=True,
                rounds=2,
            ),
        ),
        doubts=(Doubt(DoubtKind.MACHINE, "the machine was busy", "measure again"),),
        parameters={":semester": {"S": "1"}},
    )
    return replace(run, **changes)


def read(data: object, source: str) -> Run:
    return decode(json.dumps(data), source)


def as_json(run: Run) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(json.dumps(run.to_dict()))
    return data


def test_a_saved_run_comes_back_as_it_was(tmp_path: Path) -> None:
    store = RunStore(tmp_path / "deep" / "runs")
    run = make_run()

    path = store.save(run)

    assert path.parent == tmp_path / "deep" / "runs"
    assert store.load(path) == replace(run, id=path.stem)


def test_a_run_is_found_by_its_id(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    path = store.save(make_run())

    assert store.load(path.stem).id == path.stem


def test_a_file_leads_with_its_format_and_has_every_promised_key(tmp_path: Path) -> None:
    path = RunStore(tmp_path).save(make_run())

    data = json.loads(path.read_text(encoding="utf-8"))

    assert list(data)[:2] == ["format", "perfkit"]
    assert data["format"] == FORMAT
    assert data.keys() >= {
        "kind", "scenario", "workload", "target", "started_at", "machine", "settings",
        "variants", "comparisons",
    }  # fmt: skip
    assert data["variants"][0].keys() >= {
        "name", "operation", "calls", "requests", "errors", "items_read", "items_returned",
        "bytes_read", "capacity_units", "capacity_source", "latency_s", "histogram",
    }  # fmt: skip
    assert data["variants"][0]["latency_s"].keys() >= {
        "count", "mean", "p50", "p90", "p95", "p99", "max",
    }  # fmt: skip
    assert data["comparisons"][0].keys() >= {
        "baseline", "candidate", "latency_ratio", "latency_ratio_ci95", "capacity_ratio",
        "results_equal",
    }  # fmt: skip


@given(st.floats(0, 1e15), st.text(), st.integers(1, 10**15))
def test_any_values_survive_json(number: float, text: str, count: int) -> None:
    run = make_run(
        description=text,
        target={text: number},
        variants=(make_variant(text, capacity_units=number, calls=count),),
    )

    assert read(as_json(run), "test") == run


def test_keys_of_a_newer_perfkit_are_ignored() -> None:
    data = as_json(make_run())
    data["colour"] = "blue"
    data["variants"][0]["smell"] = {"strength": 3}

    assert read(data, "test") == make_run()


def test_keys_an_older_perfkit_did_not_write_get_their_defaults() -> None:
    data = as_json(make_run())
    for key in ("doubts", "parameters", "id", "next_steps", "quoted", "duration_s"):
        del data[key]
    for key in ("rounds_s", "client_cpu_s", "retries", "consistency", "concurrency"):
        del data["variants"][0][key]
    del data["variants"][0]["latency_s"]["min"]

    run = read(data, "test")

    assert run.doubts == ()
    assert run.variants[0].consistency == "eventual"
    assert run.variants[0].rounds_s == ()
    assert run.variants[0].latency_s.min is None


def test_a_run_of_format_1_has_its_load_and_its_traffic_in_their_places() -> None:
    data = as_json(replace(FULL, load=MachineLoad(), traffic=None))
    del data["load"], data["traffic"], data["doubts"]
    data["format"] = 1
    data |= {"warnings": ["nothing was found; seed"], "cautions": ["only 3 calls"]}
    data["settings"] = {
        "random_seed": -1,
        "others_cpu_share": 0.25,
        "stolen_cpu_share": None,
        "traffic_rate_hz": 20.0,
        "traffic_keys": 78,
        "traffic_skew": 0.8,
        "traffic_ttl_s": 300.0,
        "traffic_jitter_share": 0.1,
        "traffic_writes_an_hour": 60.0,
        "traffic_error_share": 0.0001,
    }

    found = read(data, "the file")

    assert [str(each) for each in found.warnings] == ["nothing was found; seed"]
    assert [str(each) for each in found.cautions] == ["only 3 calls"]
    assert replace(found, doubts=FULL.doubts) == FULL


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"warnings": 5}, r"run.doubts\[0\].reason should be text, found 5"),
        ({"settings": []}, "run.settings should be an object"),
        ({"settings": {"others_cpu_share": 2}}, "run.load.others_share should be at most 1"),
        ({"settings": {"traffic_rate_hz": -20}}, "run.traffic.rate_hz should be at least 0"),
    ],
)
def test_damage_in_a_run_of_format_1_is_named(changes: dict[str, Any], named: str) -> None:
    with pytest.raises(RunFileError, match=f"the file is damaged: {named}"):
        read({**as_json(make_run()), "format": 1, **changes}, "the file")


def test_a_kind_that_is_not_known_is_named() -> None:
    data = {**as_json(make_run()), "kind": "storm"}

    with pytest.raises(RunFileError, match="the file holds a run of kind 'storm', which perfkit"):
        read(data, "the file")


def test_a_newer_format_is_refused_by_number(tmp_path: Path) -> None:
    path = tmp_path / "new.json"
    path.write_text(json.dumps({**as_json(make_run()), "format": FORMAT + 1}))

    with pytest.raises(RunFileError, match=r"new\.json has run format 3.*upgrade perfkit"):
        RunStore(tmp_path).load(path)


@pytest.mark.parametrize("cut", [0, 1, 20, 400, -3])
def test_a_file_cut_short_is_refused_by_name(tmp_path: Path, cut: int) -> None:
    path = RunStore(tmp_path).save(make_run())
    path.write_bytes(path.read_bytes()[:cut])

    with pytest.raises(RunFileError, match=path.stem):
        RunStore(tmp_path).load(path)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"[]", id="list"),
        pytest.param(b"null", id="null"),
        pytest.param(b'{"a": 1}', id="other object"),
        pytest.param(b'{"format": "1"}', id="format as text"),
        pytest.param(b'{"format": true}', id="format as flag"),
        pytest.param(b'{"format": 0}', id="format zero"),
        pytest.param(b'{"format": 1}', id="nothing else"),
        pytest.param(b"\xff\xfe\x00", id="not UTF-8"),
        pytest.param(b"[" * 100_000, id="deeply nested"),
    ],
)
def test_what_is_no_run_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign.json"
    path.write_bytes(content)

    with pytest.raises(RunFileError, match=r"foreign\.json"):
        RunStore(tmp_path).load(path)


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        pytest.param(("scenario",), 5, "run.scenario should be text, found 5", id="text"),
        pytest.param(("variants",), {}, "run.variants should be a list", id="list"),
        pytest.param(("variants", 0), [], r"run.variants\[0\] should be an object", id="object"),
        pytest.param(("variants", 0, "calls"), 1.5, "calls should be a whole number", id="int"),
        pytest.param(("variants", 0, "calls"), True, "calls should be a whole number", id="bool"),
        pytest.param(
            ("variants", 0, "latency_s", "p50"), "fast", "p50 should be a number", id="float"
        ),
        pytest.param(
            ("comparisons", 0, "latency_ratio_ci95"), [1.0], "should be a list of 2", id="pair"
        ),
        pytest.param(("comparisons", 0, "results_equal"), 1, "should be true or false", id="flag"),
        pytest.param(("started_at",), "yesterday", "started_at should be a moment", id="moment"),
        pytest.param(
            ("started_at",), "0001-01-01T00:00:00", "started_at should be a moment", id="first day"
        ),
        pytest.param(
            ("started_at",), "9999-12-31T23:59:59Z", "started_at should be a moment", id="last day"
        ),
        pytest.param(
            ("variants", 0, "calls"), 10**400, r"calls should be at most 1e\+15", id="huge int"
        ),
        pytest.param(
            ("variants", 0, "latency_s", "p50"), 10**400, r"p50 should be at most 1e\+09", id="huge"
        ),
        pytest.param(("target",), "embedded", "run.target should be an object", id="dict"),
    ],
)
def test_a_wrong_type_is_refused_by_key(place: tuple[Any, ...], value: Any, named: str) -> None:
    with pytest.raises(RunFileError, match=named):
        read(with_value(make_run(), place, value), "the file")


def with_value(run: Run, place: tuple[Any, ...], value: Any) -> dict[str, Any]:
    data = as_json(run)
    inner: Any = data
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    return data


FULL = make_run(
    variants=(
        make_variant(
            histogram=Histogram([0.1, 0.2, 0.3]).encode(),
            cache=CacheFigures(hits=2, misses=1, errors=0),
            service=ServiceFigures(
                switches={},
                requests_per_s=20.0,
                read_units_per_s=None,
                failed_share=0.0,
                healthy=1,
                instances=1,
                cpu_s=0.01,
                # two cores of a service that has several processes
                cpu_share=2.0,
                stages_s={"db": 0.2},
            ),
            http=HttpFigures(
                requests_per_s=20.0,
                statuses={"200": 2},
                errors_by_kind={"timeout": 1},
                service_s=LATENCY,
                service_histogram=Histogram([0.1, 0.2, 0.3]).encode(),
                write_units=None,
            ),
        ),
    ),
    checks=(
        # it became twice as slow: it fell by -100%
        Check(
            name="phase 1", question="", figure="latency", promised=0.8,
            measured=-1.0, interval=(-1.5, -0.5), verdict="fail",
        ),
    ),
    hours=(
        Hour(
            name="an hour", provenance="modelled", latencies="measured", duration_s=3600.0,
            ttl_s=300.0, cache=CacheFigures(hits=0, misses=0, errors=0),
        ),
    ),
    write_costs=(
        WriteCost(table="courses", index=None, units={"insert": 1.0}, entry_bytes=900.0, items=5),
    ),
    settings={"random_seed": -1},
    load=MachineLoad(others_share=0.25, stolen_share=None),
    traffic=HourTraffic(
        rate_hz=20.0, keys=78, skew=0.8, ttl_s=300.0, jitter_share=0.1,
        writes_an_hour=60.0, error_share=0.0001,
    ),
    load_test=LoadTest(
        settings=LoadSettings(
            model=LoadModel.OPEN, users=200, duration_s=600.0, rate_hz=800.0,
            urls=("http://127.0.0.1:8080",), phase=0, switches={"cache": False},
        ),
        invalid=("users ran out",),
        interrupted=True,
        due=3,
        seconds=(LoadSecond(at_s=1.0, users=0, requests=0, errors=0),),
        instances=(InstanceSample(at_s=1.0, instance="a", healthy=False, cpu_share=1.5),),
    ),
)  # fmt: skip


def test_figures_at_the_edge_of_what_can_be_measured_are_read() -> None:
    assert read(as_json(FULL), "the file") == FULL
    slight = with_value(FULL, ("comparisons", 0, "latency_ratio"), 1e-300)
    assert read(slight, "the file").comparisons[0].latency_ratio == 1e-300


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (("variants", 0, "capacity_units"), -5, r"variants\[0\]\.capacity_units .* found -5"),
        (("variants", 0, "capacity_units"), 1e300, r"capacity_units should be at most 1e\+15"),
        (("variants", 0, "calls"), 0, "calls should be at least 1,"),
        (("variants", 0, "items_read"), -1, "items_read should be at least 0,"),
        (("variants", 0, "latency_s", "p50"), -0.1, "latency_s.p50 should be at least 0,"),
        (("variants", 0, "rounds_s", 1), -0.1, r"rounds_s\[1\] should be at least 0,"),
        (("variants", 0, "service", "cpu_s"), 1e30, r"service.cpu_s should be at most 1e\+09"),
        (("variants", 0, "service", "failed_share"), 1.5, "failed_share should be at most 1,"),
        (("variants", 0, "service", "stages_s", "db"), -1, "stages_s.db should be at least 0,"),
        (("variants", 0, "service", "stages_s", "db"), "1", "stages_s.db should be a number"),
        (("variants", 0, "cache", "hits"), -1, "cache.hits should be at least 0,"),
        (("comparisons", 0, "latency_ratio"), 0, "latency_ratio should be above 0"),
        (("comparisons", 0, "latency_ratio_ci95", 0), -1, "should be above 0"),
        (("checks", 0, "measured"), 1.5, "measured should be at most 1,"),
        (("hours", 0, "duration_s"), 1e300, r"duration_s should be at most 1e\+09"),
        (("write_costs", 0, "units", "insert"), -1, "units.insert should be at least 0,"),
        (("write_costs", 0, "entries_share"), 1.1, "entries_share should be at most 1,"),
        (("load", "others_share"), 1.5, "load.others_share should be at most 1,"),
        (("traffic", "rate_hz"), -20, "traffic.rate_hz should be at least 0,"),
    ],
)
def test_a_figure_that_nothing_measures_is_damage(
    place: tuple[Any, ...], value: Any, named: str
) -> None:
    """No clock and no counter goes below zero, no share above one, and no second lasts 1e30 s."""
    with pytest.raises(RunFileError, match=f"the file is damaged: run.*{named}"):
        read(with_value(FULL, place, value), "the file")


@pytest.mark.parametrize("position", [0, 8, 20, -5])
def test_a_histogram_with_one_wrong_character_is_damage(position: int) -> None:
    text = list(FULL.variants[0].histogram)
    text[position] = "B" if text[position] != "B" else "C"

    with pytest.raises(RunFileError, match=r"damaged: run.variants\[0\].histogram should be"):
        read(with_value(FULL, ("variants", 0, "histogram"), "".join(text)), "the file")


@pytest.mark.parametrize("text", ["AAAA", "no base64 at all!", "HISTFAAAACh4nJNpmSzM", "ü"])
def test_text_that_is_no_histogram_is_damage(text: str) -> None:
    with pytest.raises(RunFileError, match=r"histogram should be a histogram"):
        read(with_value(FULL, ("variants", 0, "histogram"), text), "the file")


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_a_figure_that_is_no_number_is_refused(tmp_path: Path, word: str) -> None:
    path = RunStore(tmp_path).save(make_run())
    path.write_text(path.read_text().replace("96.0", word))

    with pytest.raises(RunFileError, match=word):
        RunStore(tmp_path).load(path)


def test_a_missing_run_names_the_command_that_lists_them(tmp_path: Path) -> None:
    with pytest.raises(RunFileError, match="perfkit status"):
        RunStore(tmp_path).load("20260101-nothing")


def test_listing_is_newest_first_whatever_the_time_zone(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    for moment in ("2026-01-01T10:00:00Z", "2026-01-01T12:30:00+02:00", "2026-01-01T10:15:00Z"):
        store.save(make_run(started_at=moment))

    runs, problems = store.list()

    assert [run.started_at[11:16] for run in runs] == ["12:30", "10:15", "10:00"]
    assert problems == []


def test_listing_skips_bad_files_and_reports_them(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    good = store.save(make_run())
    (tmp_path / "bad.json").write_text('{"format": 1, "kind"')
    (tmp_path / "folder.json").mkdir()
    (tmp_path / ".courses.12.tmp").write_text("half")
    (tmp_path / "notes.txt").write_text("not a run")

    runs, problems = store.list()

    assert [run.id for run in runs] == [good.stem]
    assert ["bad.json" in str(problem) for problem in problems] == [True, False]
    assert "folder.json" in str(problems[1])


def test_listing_where_nothing_was_saved_is_empty(tmp_path: Path) -> None:
    assert RunStore(tmp_path / "none").list() == ([], [])


def test_two_runs_of_one_moment_are_two_files(tmp_path: Path) -> None:
    store = RunStore(tmp_path)

    assert store.save(make_run()) != store.save(make_run())
    assert len(store.list().runs) == 2


@pytest.mark.parametrize("scenario", ["../../etc/passwd", "a b/c", "<script>", "", "x" * 300, "ü"])
def test_any_scenario_name_makes_a_file_in_the_folder(tmp_path: Path, scenario: str) -> None:
    path = RunStore(tmp_path).save(make_run(scenario=scenario))

    assert path.parent == tmp_path
    assert RunStore(tmp_path).load(path).scenario == scenario


def test_a_name_sorts_by_time() -> None:
    early = _new_id("z", "2026-01-01T00:00:00Z")
    late = _new_id("a", "2026-01-01T00:00:01Z")

    assert early < late


def test_the_present_moment_is_utc_with_a_z() -> None:
    assert now_utc().endswith("Z")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def no_space(_: int) -> None:
        raise OSError(number, os.strerror(number))

    store = RunStore(tmp_path)
    earlier = store.save(make_run())
    monkeypatch.setattr(os, "fsync", no_space)

    with pytest.raises(StorageFullError, match="free some"):
        store.save(make_run())

    assert list(tmp_path.iterdir()) == [earlier]


def test_an_interrupted_save_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)

    with pytest.raises(KeyboardInterrupt):
        RunStore(tmp_path).save(make_run())

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_wrong_request(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(ConfigError, match="cannot save runs"):
        RunStore(tmp_path / "file" / "runs").save(make_run())


def test_a_folder_that_cannot_be_written_to_is_noticed_before_measuring(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(ConfigError, match="cannot save runs"):
        RunStore(tmp_path / "file" / "runs").prepare()

    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(ConfigError, match="Permission denied"):
        RunStore(tmp_path / "runs").prepare()


def test_wasted_items_are_those_read_and_not_returned() -> None:
    variant = make_variant(items_read=10_000, items_returned=50)

    assert variant.items_wasted == 9_950
    assert variant.wasted_share == 0.995
    assert make_variant(items_read=None).wasted_share is None
    assert make_variant(items_read=0, items_returned=0).wasted_share == 0.0


def test_a_variant_is_found_by_name() -> None:
    run = make_run()

    assert run.variant("query") is run.variants[1]
    assert run.variant("nope") is None
