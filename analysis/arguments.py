"""Arguments: `{{args.x}}`, `{{arms.*}}` and `{{arm.*}}` in the strings of a metric."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from analysis.errors import InvalidSpec
from analysis.run_spec import Arm, Arms
from analysis.spec import Argument, Metric, SecretKeyRef

_TAG = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
MAX_TEXT = 65536

Resolve = Callable[[str], str | None]
"""Value of a tag such as `args.x`; None leaves the tag as it is."""


def run_values(args: Sequence[Argument], secrets: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the values of a run's arguments by name.

    Args:
        args: of the AnalysisRun.
        secrets: values of those with valueFrom.secretKeyRef, by argument name; they appear in no message.

    Raises:
        InvalidSpec: an argument is given twice, or has no value.
    """
    values: dict[str, str] = {}
    seen: set[str] = set()
    for index, arg in enumerate(args):
        field = f"spec.args[{index}]"
        if arg.name in seen:
            raise InvalidSpec(field, f'argument "{arg.name}" is given twice', "remove one of them")
        seen.add(arg.name)
        if arg.value is not None:
            values[arg.name] = arg.value
        elif secret_of(arg) is None:
            raise InvalidSpec(field, f'argument "{arg.name}" has no value', "give it one")
        elif secrets is not None and arg.name in secrets:
            values[arg.name] = secrets[arg.name]
    return values


def secret_of(arg: Argument) -> SecretKeyRef | None:
    """Return the key of a Secret that an argument's value comes from."""
    return arg.value_from.secret_key_ref if arg.value_from is not None else None


def fill_metric(metric: Metric, values: Mapping[str, str], field: str, *, secrets_stay: bool = False) -> Metric:
    """Return the metric with every `{{args.x}}` filled in; tags of arms stay.

    Args:
        metric: as the template has it.
        values: arguments by name.
        field: path of the metric, for messages.
        secrets_stay: leave arguments without a known value in place inside `provider`.

    Raises:
        InvalidSpec: a tag has no value, or the result is no metric.
    """

    def resolve(tag: str) -> str | None:
        return values.get(tag.removeprefix("args.")) if tag.startswith("args.") else None

    raw = msgspec.to_builtins(metric)
    filled: dict[str, Any] = {}
    for key, part in raw.items():
        path = f"{field}.{key}"
        filled[key] = _walk(part, resolve, path, lenient=secrets_stay and key == "provider")
    try:
        return msgspec.convert(filled, Metric)
    except msgspec.ValidationError as error:
        raise InvalidSpec(field, str(error), "check the arguments that are filled in") from error


def _walk(part: Any, resolve: Resolve, path: str, *, lenient: bool) -> Any:
    match part:
        case str():
            return _fill(part, resolve, path, lenient=lenient)
        case dict():
            return {key: _walk(v, resolve, f"{path}.{key}", lenient=lenient) for key, v in part.items()}
        case list() | tuple():
            return [_walk(v, resolve, f"{path}[{i}]", lenient=lenient) for i, v in enumerate(part)]
        case _:
            return part


def _fill(text: str, resolve: Resolve, path: str, *, lenient: bool) -> str:
    def replace(match: re.Match[str]) -> str:
        tag = match[1]
        value = resolve(tag)
        if value is not None:
            return value
        if lenient or tag.startswith(("arms.", "arm.")):
            return match[0]
        raise InvalidSpec(path, f"{{{{{tag}}}}} is not known", "declare it under args and give it a value")

    if "{{" not in text:
        return text
    filled = _TAG.sub(replace, text)
    if len(filled) > MAX_TEXT:
        raise InvalidSpec(path, f"is longer than {MAX_TEXT} characters once arguments are filled in")
    return filled


def promql_string(value: str) -> str:
    """Return a value as it stands inside the double quotes of a PromQL string."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return escaped.replace("\n", "\\n").replace("\r", "\\r")


def fill_selector(
    text: str, arms: Arms, field: str, *, namespace: str, arm: Arm | None = None, arm_name: str = ""
) -> str:
    """Return a vector selector with the arms filled in.

    Args:
        text: with `{{arms.namespace}}`, `{{arms.pods}}`, and `{{arm.*}}` where one arm is asked for.
        arms: of the run.
        field: path of the selector, for messages.
        namespace: of the run.
        arm: the arm asked for (`by: Query`); None where one query covers both.
        arm_name: canary or stable.

    Raises:
        InvalidSpec: a tag is unknown, or the arm has no such value.
    """
    values = {
        "arms.namespace": promql_string(namespace),
        "arms.pods": promql_string(f"({arms.stable.pods}|{arms.canary.pods})"),
    }
    if arm is not None:
        values |= {
            "arm.name": promql_string(arm_name),
            "arm.podTemplateHash": promql_string(arm.pod_template_hash),
            "arm.pods": promql_string(arm.pods),
            "arm.service": promql_string(arm.service),
        }

    def replace(match: re.Match[str]) -> str:
        value = values.get(match[1])
        if not value:
            known = ", ".join(sorted(values))
            raise InvalidSpec(field, f"{{{{{match[1]}}}}} has no value here", f"known are {known}")
        return value

    return _TAG.sub(replace, text)


# The API server cuts generateName so that five random characters still fit in a label of 63.
_GENERATED_BASE_MAX = 58


def pods_pattern(replica_set: str) -> str:
    """Return the regular expression (RE2) that matches the names of a ReplicaSet's pods, dead ones included."""
    base = f"{replica_set}-"[:_GENERATED_BASE_MAX]
    return base.replace(".", "[.]") + "[a-z0-9]+"
