"""What a version of the demo service does: the content of an image of the sandbox. Standard library only."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What a version of the demo service does, its faults included.

    Attributes:
        version: told in each answer.
        error_rate: share of the requests that are answered with 500.
        latency_seconds: median time of an answer.
        cpu_seconds_per_request: processor time that is really burned.
        leak_bytes_per_request: memory that is never given back.
        leak_bytes_per_second: the same, with or without requests.
        crash_after_seconds: the process ends with 1 after this time; 0: never.
        ready_after_seconds: how long the service takes to become ready; negative: for ever.
        incident_file: while this file exists, something is down that all versions depend on.
    """

    version: str
    error_rate: float = 0.0
    latency_seconds: float = 0.002
    cpu_seconds_per_request: float = 0.0
    leak_bytes_per_request: int = 0
    leak_bytes_per_second: int = 0
    crash_after_seconds: float = 0.0
    ready_after_seconds: float = 0.0
    incident_file: str = ""


def read_behaviour(image: Path, environment: Mapping[str, str]) -> Behaviour:
    """What an image does in an environment, whose variables (ERROR_RATE, LATENCY_SECONDS, ...) go first.

    Raises:
        ValueError: the file is no image, or a variable no number.
        TypeError: the file has a field that no image has, or lacks `version`.
    """
    told = json.loads(image.read_text())
    defaults = {field.name: field.default for field in fields(Behaviour) if field.name != "version"}
    configured = {
        name: _value(environment[name.upper()], default)
        for name, default in defaults.items()
        if name.upper() in environment
    }
    return Behaviour(**{**told, **configured})


def _value(text: str, default: object) -> float | str:
    match default:
        case int():
            return int(text)
        case float():
            return float(text)
        case _:
            return text
