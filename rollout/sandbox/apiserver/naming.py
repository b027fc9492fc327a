"""Names, labels and annotations: their syntax, and generated names."""

import random
import re
from collections.abc import Callable, Iterator
from typing import Any

from rollout.sandbox.apiserver.errors import Cause
from rollout.sandbox.apiserver.schema.validate import cause, invalid_value, required

MAX_ANNOTATIONS_BYTES = 256 * 1024
_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # No vowels: no words. No 0, 1, 3: no look-alikes.
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_LABEL_1035 = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_QUALIFIED = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and "
    "end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_LABEL_1035_WORDS = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic "
    "character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for "
    "validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
)
_QUALIFIED_WORDS = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
    "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
    "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for "
    "validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)


def generated_name(prefix: str) -> str:
    """The prefix (cut to 58 characters) and five random ones."""
    return prefix[:58] + "".join(random.choices(_ALPHABET, k=5))


def _dns_problem(name: str, pattern: re.Pattern[str], longest: int, words: str) -> str | None:
    if len(name) > longest:
        return f"must be no more than {longest} characters"
    return None if pattern.fullmatch(name) else words


def subdomain_problem(name: str) -> str | None:
    return _dns_problem(name, _SUBDOMAIN, 253, _SUBDOMAIN_WORDS)


def label_problem(name: str) -> str | None:
    return _dns_problem(name, _LABEL, 63, _LABEL_WORDS)


def service_problem(name: str) -> str | None:
    return _dns_problem(name, _LABEL_1035, 63, _LABEL_1035_WORDS)


def path_problem(name: str) -> str | None:
    """Names of RBAC objects only have to be segments of a path."""
    if name in {".", ".."}:
        return f"may not be '{name}'"
    return "may not contain '/' or '%'" if "/" in name or "%" in name else None


_SYNTAX: dict[tuple[str, str], Callable[[str], str | None]] = {
    ("", "namespaces"): label_problem,
    ("", "services"): service_problem,
    ("rbac.authorization.k8s.io", "roles"): path_problem,
    ("rbac.authorization.k8s.io", "rolebindings"): path_problem,
    ("rbac.authorization.k8s.io", "clusterroles"): path_problem,
    ("rbac.authorization.k8s.io", "clusterrolebindings"): path_problem,
}


def metadata_causes(metadata: dict[str, Any], resource: tuple[str, str]) -> Iterator[Cause]:
    """What is wrong with an object's metadata."""
    name = metadata.get("name", "")
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif words := _SYNTAX.get(resource, subdomain_problem)(name):
        yield invalid_value("metadata.name", name, words)
    yield from label_causes(metadata.get("labels") or {}, "metadata.labels")
    yield from _annotation_causes(metadata.get("annotations") or {})
    for index, finalizer in enumerate(metadata.get("finalizers") or ()):
        if words := qualified_name_problem(str(finalizer)):
            yield invalid_value(f"metadata.finalizers[{index}]", finalizer, words)


def label_causes(labels: dict[str, str], path: str) -> Iterator[Cause]:
    for key, value in labels.items():
        if words := qualified_name_problem(key):
            yield invalid_value(path, key, words)
        if len(value) > 63:
            yield invalid_value(path, value, "must be no more than 63 bytes")
        elif value and not _QUALIFIED.fullmatch(value):
            yield invalid_value(path, value, _VALUE_WORDS)


def _annotation_causes(annotations: dict[str, str]) -> Iterator[Cause]:
    size = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if size > MAX_ANNOTATIONS_BYTES:
        long = f"Too long: may not be more than {MAX_ANNOTATIONS_BYTES} bytes"
        yield cause("FieldValueTooLong", "metadata.annotations", long)
    for key in annotations:
        if words := qualified_name_problem(key.lower()):
            yield invalid_value("metadata.annotations", key, words)


def qualified_name_problem(key: str) -> str | None:
    """`prefix/name`, where the prefix is a DNS subdomain and may be left out."""
    prefix, slash, name = key.rpartition("/")
    if slash and not prefix:
        return "prefix part must be non-empty"
    if prefix and not _SUBDOMAIN.fullmatch(prefix):
        return f"prefix part {_SUBDOMAIN_WORDS}"
    if len(name) > 63:
        return "name part must be no more than 63 characters"
    return None if _QUALIFIED.fullmatch(name) else _QUALIFIED_WORDS
