"""`coalmine analysis plan FILE`: how soon a rollout would see harm, and what to change. No cluster is needed."""

import argparse
import math
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.durations import parse_duration
from analysis.percent import parse_percent
from rollout.cli.arguments import UsageError, Verbs, add_file_verb, seconds
from rollout.cli.target import show, tell
from rollout.cli.template_flags import add_template_flags, integers, positive, positive_int
from rollout.errors import CoalmineError

if TYPE_CHECKING:
    from analysis.authoring.filled import Filled
    from analysis.authoring.plan import Planner
    from analysis.authoring.service import PlannedStep, Service
    from analysis.evidence.metric_parts import MetricNoise
    from rollout.api.rollout import Rollout
    from rollout.cli.template_files import Chosen, Document

_MORE = """\
FILE has AnalysisTemplates, or is the name of a preset. With a Rollout in one of the files, its steps, replicas,
arguments and budget are planned. The engine itself is played on the median release, so the answer knows the budget's
shares, the noise, the pods' differences and the warm-up. In brackets stands when nine of ten releases are that far;
simulated rollouts were.
`never` means: the usual differences between so few pods would explain the harm, however long one waits.
Exit codes: 0 planned, 1 an error in a file, 3 wrong usage."""

_DEFAULT_WEIGHTS = (5, 25, 50)
_DEFAULT_SECONDS = 600.0
_DEFAULT_PODS = 10
_DEFAULT_LATENCY_SECONDS, _DEFAULT_SIGMA = 0.08, 0.7


def add(verbs: Verbs) -> None:
    """Add the verb."""
    parser = add_file_verb(
        verbs, "plan", run, words="say how soon each step would see harm, and propose better steps", more=_MORE,
        example="coalmine analysis plan template.yaml --rps 100 --error-rate 0.5%\n"
        "coalmine analysis plan template.yaml rollout.yaml --rps 40 --error-rate 1% --error-rate declines=4%\n"
        "coalmine analysis plan coalmine-istio-http --rps 900 --error-rate 0.1% --weights 1,5,25 --pods 30",
    )  # fmt: skip
    parser.add_argument("files", nargs="+", metavar="FILE", help="templates and a Rollout, or a preset's name")
    parser.add_argument("--rps", type=positive, required=True, metavar="N", help="requests a second of the service")
    parser.add_argument(
        "--error-rate", action="append", required=True, type=error_rate, metavar="P",
        help="share of requests that are events, such as 0.5%%, or METRIC=2%% for one metric; repeatable",
    )  # fmt: skip
    flags: tuple[tuple[str, Callable[[str], object], str, str], ...] = (
        ("--latency", seconds, "DURATION", "median latency; default: 80ms"),
        ("--latency-sigma", positive, "S", "standard deviation of its logarithm; default: 0.7"),
        ("--pods", positive_int, "N", "stable pods; default: the Rollout's, or 10"),
        ("--weights", integers, "W,...", "percent; default: the Rollout's, or 5,25,50"),
        ("--canary-pods", integers, "N,...", "pods of each step; default: the weight's share of the stable pods"),
        ("--duration", seconds, "DURATION", "of each step; default: the Rollout's, or 10m"),
        ("--budget", str, "P", "false-rollback budget; default: the Rollout's, or 1%%"),
        ("--warm-up", str, "DURATION", "default: the Rollout's, or 3m"),
    )
    for flag, kind, metavar, words in flags:
        parser.add_argument(flag, type=kind, metavar=metavar, help=words)
    parser.add_argument("--model", type=Path, metavar="FILE", help="a FailureModel, whose noise is taken")
    parser.add_argument("--output", type=Path, metavar="FILE.svg", help="also draw it (needs matplotlib)")
    parser.add_argument("--template", metavar="NAME", help="the template that is meant, where the files have several")
    add_template_flags(parser)


def run(arguments: argparse.Namespace) -> int:
    """Plan, and say it."""
    from analysis.authoring.proposal import first_weight, propose
    from rollout.cli import plan_words
    from rollout.cli.screen import make_screen
    from rollout.cli.template_files import choose, read_documents

    if arguments.output and arguments.output.suffix not in {".svg", ".png", ".pdf"}:
        raise UsageError("--output must end in .svg, .png or .pdf")
    documents = read_documents(arguments.files)
    chosen = choose(documents, arguments.template)
    steps = _steps(arguments, chosen.rollout)
    planner = _planner(arguments, documents, chosen, len(steps))
    plan = planner.plan(steps)
    screen = make_screen()
    show(plan_words.words(plan, chosen.title, screen))
    show(plan_words.bars(plan, screen))
    target = steps[0].seconds
    show(plan_words.advice(plan, propose(planner, plan), first_weight(planner, target), target))
    if arguments.output:
        from rollout.cli.plan_picture import draw

        draw(planner, steps, arguments.output)
        tell(f"drawn to {arguments.output}")
    return 0


def _planner(
    arguments: argparse.Namespace, documents: "tuple[Document, ...]", chosen: "Chosen", increases: int
) -> "Planner":
    from analysis.authoring.plan import Planner
    from rollout.cli.template_files import filled, settings_of

    service = _service(arguments, chosen.rollout)
    settings = settings_of(chosen, arguments.budget, arguments.warm_up)
    template = filled(documents, chosen, dict(arguments.arg), settings, weight_increases=increases)
    if not template.rules.rules:
        raise CoalmineError(f"{chosen.title} has no comparison, so there is nothing to plan")
    noises = _noises(arguments.model, template)
    return Planner(template.rules, noises, service, _progress)


def _progress(words: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{words} ", end="\r", file=sys.stderr, flush=True)


def _noises(model: Path | None, template: "Filled") -> "Mapping[str, MetricNoise]":
    from analysis.evidence.metric_parts import prior
    from rollout.cli.template_files import noises_of_model

    if model is None:
        return {rule.name: prior(rule) for rule in template.rules.rules}
    noises, unknown = noises_of_model(model, template)
    if unknown:
        tell(f"note: {model} says nothing of {', '.join(unknown)} (another query or interval), so priors hold for them")
    return noises


def _service(arguments: argparse.Namespace, rollout: "Rollout | None") -> "Service":
    from analysis.authoring.service import Service

    general = [rate for metric, rate in arguments.error_rate if not metric]
    if len(general) != 1:
        raise UsageError("write one --error-rate without a metric's name")
    return Service(
        requests_per_second=arguments.rps,
        error_rate=general[0],
        error_rates={metric: rate for metric, rate in arguments.error_rate if metric},
        latency_seconds=arguments.latency or _DEFAULT_LATENCY_SECONDS,
        latency_sigma=arguments.latency_sigma or _DEFAULT_SIGMA,
        stable_pods=_stable_pods(arguments, rollout),
    )


def _stable_pods(arguments: argparse.Namespace, rollout: "Rollout | None") -> int:
    replicas = rollout.spec.replicas if rollout is not None else None
    return int(arguments.pods or replicas or _DEFAULT_PODS)


def _steps(arguments: argparse.Namespace, rollout: "Rollout | None") -> "tuple[PlannedStep, ...]":
    from analysis.authoring.service import planned_steps

    pods = _stable_pods(arguments, rollout)
    if rollout is not None and arguments.weights is None:
        steps = rollout_steps(rollout, pods, arguments.duration)
        if steps:
            return steps
    weights = arguments.weights or _DEFAULT_WEIGHTS
    if arguments.canary_pods and len(arguments.canary_pods) != len(weights):
        raise UsageError(f"--canary-pods has {len(arguments.canary_pods)} numbers and there are {len(weights)} weights")
    return planned_steps(weights, arguments.duration or _DEFAULT_SECONDS, pods, arguments.canary_pods or ())


def rollout_steps(rollout: "Rollout", stable_pods: int, duration: float | None) -> "tuple[PlannedStep, ...]":
    """The weights of a Rollout's steps, how long each is held, and by how many pods.

    A weight that no duration follows is held for ten minutes, or for what the command line says.
    """
    from analysis.authoring.service import PlannedStep

    canary = rollout.spec.strategy.canary
    weight, scale = 0, 0
    held: dict[int, tuple[float, int]] = {}
    for step in canary.steps if canary else ():
        if step.set_weight is not None:
            weight = step.set_weight
        if step.set_canary_scale is not None:
            asked = step.set_canary_scale
            scale = asked.replicas or math.ceil(stable_pods * (asked.weight or 0) / 100)
        if 0 < weight < 100:
            before = held.get(weight, (0.0, 0))[0]
            held[weight] = before + _hold(step), scale or max(math.ceil(stable_pods * weight / 100), 1)
    return tuple(
        PlannedStep(weight, pods, duration or length or _DEFAULT_SECONDS) for weight, (length, pods) in held.items()
    )


def _hold(step: Any) -> float:
    asked = step.pause.duration if step.pause else step.verify.timeout if step.verify else None
    return parse_duration(int(asked) if str(asked).isdigit() else asked) if asked else 0.0


def error_rate(text: str) -> tuple[str, float]:
    """`0.5%` or `METRIC=0.5%` of the command line; raises ArgumentTypeError."""
    name, _, rate = text.rpartition("=")
    try:
        return name, parse_percent(rate)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
