"""What a request asks for: its target, and the options of reads and writes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from rollout.sandbox.apiserver.convert import ref_of
from rollout.sandbox.apiserver.decode import FieldValidation
from rollout.sandbox.apiserver.errors import bad_request
from rollout.sandbox.apiserver.kinds import Resource, Version
from rollout.sandbox.apiserver.store import Ref

MAX_MANAGER_LENGTH = 128


@dataclass(frozen=True)
class Target:
    """The resource, object and subresource that a URL names; empty strings where it names none."""

    resource: Resource
    version: Version
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def ref(self) -> Ref:
        return ref_of(self.resource, self.namespace, self.name)


@dataclass(frozen=True)
class WriteOptions:
    """Options of a write, from the URL's query."""

    manager: str
    dry_run: bool = False
    force: bool = False
    field_validation: FieldValidation = "Warn"
    manager_given: bool = True


def write_options(query: Mapping[str, str], user_agent: str) -> WriteOptions:
    """Read the query of a write.

    Raises:
        StatusError: 400 for values that are not defined.
    """
    dry_run = query.get("dryRun", "")
    if dry_run not in {"", "All"}:
        raise bad_request(f'dryRun: Unsupported value: "{dry_run}": supported values: "All"')
    validation = query.get("fieldValidation") or "Warn"
    if validation not in {"Ignore", "Warn", "Strict"}:
        raise bad_request(
            f'fieldValidation: Unsupported value: "{validation}": supported values: "Ignore", "Warn", "Strict"'
        )
    manager = query.get("fieldManager") or user_agent.partition("/")[0][:MAX_MANAGER_LENGTH] or "unknown"
    if len(manager) > MAX_MANAGER_LENGTH:
        raise bad_request(f"fieldManager: Too long: may not be more than {MAX_MANAGER_LENGTH} bytes")
    force = query.get("force") in {"true", "1"}
    return WriteOptions(
        manager, bool(dry_run), force, cast("FieldValidation", validation), bool(query.get("fieldManager"))
    )
