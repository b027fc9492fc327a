"""Noise is recovered from simulated history whose truth is known, whatever happens in some of its pieces."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

import msgspec
import numpy as np
import pytest

from analysis.comparison_spec import FailureModelRef
from analysis.errors import InvalidSpec
from analysis.evidence.metric_parts import prior
from analysis.evidence.table import ArmTable, Table
from analysis.failure_model_spec import FailureModelSpec, ModelMetric
from analysis.model.learn.metrics import learn
from analysis.model.noise import noises_of
from analysis.rules import CountsRule, GaugeRule, HistogramRule, MetricRule, RunRules
from analysis.simulation.catalogue import ENVIRONMENTS
from analysis.simulation.generate import history

RULES = (
    MetricRule("errors", 30.0, CountsRule(), harm=0.1, budget_weight=25),
    MetricRule("latency", 30.0, HistogramRule(), harm=0.03, budget_weight=35),
    MetricRule("cpu", 30.0, GaugeRule("Usage"), harm=0.05),
    MetricRule("memory", 30.0, GaugeRule("Level"), harm=0.05),
    MetricRule("growth", 30.0, GaugeRule("Growth"), harm=0.04),
    MetricRule("restarts", 30.0, CountsRule(pod_seconds=True), harm=1.0),
)
DIGESTS = {rule.name: f"sha256:{index:064x}" for index, rule in enumerate(RULES)}

Pieces = Sequence[Mapping[str, Table]]


@cache
def _history(environment: str, segments: int = 100) -> Pieces:
    pieces = []
    for seed in range(segments):
        rollout = history(7_000 + seed, ENVIRONMENTS[environment])
        pieces.append({**rollout.tables, "growth": rollout.tables_after(900.0)["memory"]})
    return pieces


@cache
def _learned(environment: str, segments: int = 100) -> Mapping[str, ModelMetric]:
    return {metric.name: metric for metric in learn(_history(environment, segments), RULES, DIGESTS)}


def _figures(metric: ModelMetric) -> tuple[float, float, float, float]:
    noise = metric.noise
    texts = noise.omega_squared, noise.omega_squared_upper, noise.tau_squared, noise.tau_squared_upper
    return tuple(float(text) for text in texts)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("environment", "metric", "omega2", "tau2"),
    [
        # An error rate's factor is lognormal with sd 0.4 and correlation 0.5: the sum of autocovariances is 0.50.
        ("base", "errors", 0.50, 0.0025),
        ("base", "latency", 0.0027, 0.0004),
        ("base", "cpu", 0.0036, 0.0004),
        ("pod10", "errors", 0.50, 0.09),
        ("pod10", "latency", 0.0027, 0.01),
        ("pod10", "cpu", 0.0036, 0.01),
        ("inc", "errors", 0.50, 0.0025),
        ("clean", "errors", 0.50, 0.0025),
    ],
)
def test_the_noise_of_a_known_world_is_recovered(environment: str, metric: str, omega2: float, tau2: float) -> None:
    found, found_upper, lasting, lasting_upper = _figures(_learned(environment)[metric])
    assert found == pytest.approx(omega2, rel=0.2)
    assert lasting == pytest.approx(tau2, rel=0.25, abs=0.003 if metric == "errors" else 0.0)
    assert found <= found_upper <= 2 * found
    assert lasting <= lasting_upper


@pytest.mark.parametrize("metric", ["errors", "latency", "cpu", "memory"])
def test_noise_that_lasts_for_minutes_makes_long_means_less_certain(metric: str) -> None:
    # In ar9 one window varies as in base, but the next ten are like it.
    def of_forty_minutes(environment: str) -> float:
        omega2, _, tau2, _ = _figures(_learned(environment)[metric])
        return omega2 / 80 + tau2

    assert of_forty_minutes("ar9") > 1.04 * of_forty_minutes("base")
    if metric != "memory":
        assert _figures(_learned("ar9")[metric])[0] > 2 * _figures(_learned("base")[metric])[0]


def test_what_an_idle_pod_and_a_request_cost_is_recovered() -> None:
    usage = _learned("base")["cpu"].usage
    assert usage is not None
    assert float(usage.per_pod_second) == pytest.approx(0.02, rel=0.1)
    assert float(usage.per_load_unit) == pytest.approx(0.004, rel=0.02)


def test_latency_under_load_is_recovered_with_its_doubt() -> None:
    load = _learned("base")["latency"].load_elasticity
    assert load is not None
    assert abs(float(load.value) - 0.05) < 3 * float(load.standard_error)
    assert 0.005 < float(load.standard_error) < 0.05


def test_load_is_no_cause_of_errors_where_it_is_none() -> None:
    for environment in ("base", "low"):
        load = _learned(environment)["errors"].load_elasticity
        assert load is not None
        assert abs(float(load.value)) < 3 * float(load.standard_error)


def test_a_load_that_never_changes_tells_nothing_about_it() -> None:
    flat = [{"cpu": _with_load(piece["cpu"], 10.0)} for piece in _history("base", 20)]
    (cpu,) = learn(flat, RULES, DIGESTS)
    assert cpu.usage is None


def _with_load(table: Table, requests_per_second: float) -> Table:
    amounts = table.stable.amounts.copy()
    amounts[:, :, 1] = requests_per_second * table.stable.seconds
    return replace(table, stable=ArmTable(table.stable.pods, table.stable.seconds, amounts))


def test_tails_are_the_bounds_that_few_requests_pass() -> None:
    # Median 80 ms and sigma 0.7: 5.2 % of requests take longer than 250 ms, 0.44 % than 500 ms.
    metric = _learned("base")["latency"]
    assert metric.tails == ("250ms", "500ms")
    assert len(metric.tail_noise) == 2
    assert 0.01 < float(metric.tail_noise[0].omega_squared) < 0.06


def test_tails_that_the_metric_names_are_kept() -> None:
    rule = replace(RULES[1], family=HistogramRule(tails_seconds=(0.1,)))
    (metric,) = learn(_history("base", 10), (rule,), DIGESTS)
    assert metric.tails == ("100ms",)


def test_a_few_bad_pieces_of_history_change_little() -> None:
    def spoiled(piece: Mapping[str, Table]) -> Mapping[str, Table]:
        table = piece["latency"]
        amounts = table.stable.amounts.copy()
        # One pod answers everything in the slowest bucket for the whole piece.
        amounts[0, :, -1], amounts[0, :, :-1] = amounts[0].sum(axis=1), 0.0
        return {"latency": replace(table, stable=replace(table.stable, amounts=amounts))}

    pieces = _history("base")
    poisoned = [spoiled(piece) for piece in pieces[:5]] + [{"latency": piece["latency"]} for piece in pieces[5:]]
    (metric,) = learn(poisoned, RULES, DIGESTS)
    clean = _figures(_learned("base")["latency"])
    for found, truth in zip(_figures(metric), clean, strict=True):
        assert found == pytest.approx(truth, rel=0.5)


def test_a_poisoned_history_cannot_blind_the_judge() -> None:
    random = np.random.Generator(np.random.PCG64(1))

    def wild(table: Table) -> Table:
        factor = np.exp(3.0 * random.standard_normal(table.stable.amounts.shape[:2]))[:, :, None]
        return replace(table, stable=replace(table.stable, amounts=table.stable.amounts * factor))

    (metric,) = learn([{"memory": wild(piece["memory"])} for piece in _history("base", 20)], RULES, DIGESTS)
    largest = 10 * prior(RULES[3]).main.omega2
    assert _figures(metric)[1] == pytest.approx(largest)


def test_metrics_of_which_history_knows_little_keep_the_prior() -> None:
    # Twenty restarts in three days of ten pods say nothing about how much their rate varies.
    unknown = prior(RULES[5]).main
    found, found_upper, lasting, _ = _figures(_learned("base")["restarts"])
    assert found == pytest.approx(unknown.omega2, rel=0.2)
    assert found_upper >= found
    assert lasting == pytest.approx(unknown.tau2, rel=0.2)


def test_one_pod_alone_teaches_nothing() -> None:
    def alone(table: Table) -> Table:
        stable = table.stable
        return replace(table, stable=ArmTable(stable.pods[:1], stable.seconds[:1], stable.amounts[:1]))

    pieces = [{name: alone(table) for name, table in piece.items()} for piece in _history("base", 20)]
    for metric in learn(pieces, RULES[:4], DIGESTS):
        rule = next(rule for rule in RULES if rule.name == metric.name)
        assert _figures(metric)[0] == pytest.approx(prior(rule).main.omega2, rel=1e-4)


def test_the_order_of_pods_does_not_matter_and_the_same_history_gives_the_same_model() -> None:
    def turned(table: Table) -> Table:
        stable = table.stable
        return replace(table, stable=ArmTable(stable.pods[::-1], stable.seconds[::-1], stable.amounts[::-1]))

    pieces = _history("base", 12)
    again = [{name: turned(table) for name, table in piece.items()} for piece in pieces]
    assert learn(pieces, RULES, DIGESTS) == learn(pieces, RULES, DIGESTS)
    for one, other in zip(learn(pieces, RULES, DIGESTS), learn(again, RULES, DIGESTS), strict=True):
        assert _figures(one) == pytest.approx(_figures(other), rel=1e-4)


def test_growth_learns_how_much_slopes_differ() -> None:
    growth = _learned("base")["growth"]
    found, _, lasting, _ = _figures(growth)
    # The level's correlation lasts ten windows, so over half an hour its slope varies less than the long run says.
    assert 0.001 < found < 0.005
    assert lasting < 0.001


def test_no_history_is_an_error() -> None:
    with pytest.raises(InvalidSpec, match="empty"):
        learn([], RULES, DIGESTS)


def _model(environment: str, window: str = "30s") -> FailureModelSpec:
    return FailureModelSpec(
        rollout_ref=FailureModelRef(name="shop"), window=window, metrics=tuple(_learned(environment).values())
    )


def _run(*rules: MetricRule) -> RunRules:
    return RunRules(0.01, 180.0, 4, rules)


def test_a_model_applies_to_the_metrics_it_was_learned_from() -> None:
    noises = noises_of(_model("base"), _run(*RULES), DIGESTS, "sha256:abc")
    assert noises["latency"].main.omega2 == pytest.approx(0.003, rel=0.2)
    assert noises["latency"].main.source == "sha256:abc"
    assert set(noises["latency"].tails) == {0.25, 0.5}
    assert all(tail.certified for tail in noises["latency"].tails.values())
    assert noises["cpu"].main.usage == pytest.approx((0.02, 0.004), rel=0.1)
    assert all(noise.main.certified for noise in noises.values())


@pytest.mark.parametrize(
    ("window", "digests"),
    [("60s", DIGESTS), ("30s", dict.fromkeys(DIGESTS, "sha256:other")), ("30s", {})],
    ids=["another window", "another query", "no query"],
)
def test_a_model_of_another_window_or_query_leaves_the_priors(window: str, digests: Mapping[str, str]) -> None:
    noises = noises_of(_model("base", window), _run(*RULES), digests, "sha256:abc")
    assert noises == {rule.name: prior(rule) for rule in RULES}
    assert not any(noise.main.certified for noise in noises.values())


def test_a_metric_that_the_model_does_not_know_gets_the_prior() -> None:
    other = replace(RULES[0], name="declines")
    noises = noises_of(_model("base"), _run(other, RULES[1]), {**DIGESTS, "declines": DIGESTS["errors"]}, "sha256:abc")
    assert noises["declines"] == prior(other)
    assert noises["latency"].main.certified


@pytest.mark.parametrize(("text", "seconds"), [("", None), ("5m", 300.0), ("100h", 1800.0)])
def test_a_learned_warm_up_is_used_and_bounded(text: str, seconds: float | None) -> None:
    model = _model("base")
    late = tuple(msgspec.structs.replace(metric, warm_up=text) for metric in model.metrics)
    noises = noises_of(msgspec.structs.replace(model, metrics=late), _run(*RULES), DIGESTS, "sha256:abc")
    assert {noise.warm_up_seconds for noise in noises.values()} == {seconds}


def test_a_manifest_cannot_make_the_judge_blind_nor_hasty() -> None:
    honest = _learned("base")["errors"]
    for text, bound in (("99", 5.5), ("0", 0.0055)):
        noise = msgspec.structs.replace(honest.noise, omega_squared=text, omega_squared_upper=text)
        spec = msgspec.structs.replace(_model("base"), metrics=(msgspec.structs.replace(honest, noise=noise),))
        found = noises_of(spec, _run(RULES[0]), DIGESTS, "sha256:abc")["errors"].main.omega2
        assert found == pytest.approx(bound)
