"""What is wrong with a GitRepository or an Application: every problem with its field and a remedy.

A field that is valid in the API and not built yet is a problem too: it is never ignored.
"""

import ipaddress
import posixpath
import re
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from analysis.errors import InvalidSpec, NotSupportedYet
from rollout.api.application import ApplicationSource, ApplicationSpec
from rollout.api.gitrepository import GitRepositorySpec
from rollout.api.revert import RevertPolicy
from rollout.api.values import duration_seconds

INTERVAL_SECONDS_MIN = 1.0
TIMEOUT_SECONDS_MAX = 600.0
# The host is written into files that git reads as configuration.
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")
_REF_FORBIDDEN = set(" ~^:?*[\\\x7f") | {chr(code) for code in range(32)}


def validate_git_repository(spec: GitRepositorySpec) -> tuple[InvalidSpec, ...]:
    """All problems of a GitRepository's spec; none: it can be fetched, and written where `write` says so."""
    return (*_url(spec.url), *_ref(spec), *_times(spec), *_write(spec), *_repository_later(spec))


def validate_application(spec: ApplicationSpec) -> tuple[InvalidSpec, ...]:
    """All problems of an Application's spec."""
    return (*_source(spec.source), *_sync(spec), *validate_revert(spec.revert), *_application_later(spec))


def validate_revert(policy: RevertPolicy) -> tuple[InvalidSpec, ...]:
    """All problems of a revert policy, of an Application or of a Rollout."""
    problems: list[InvalidSpec] = []
    if policy.mode in {"Pin", "PullRequest"}:
        problems.append(NotSupportedYet("spec.revert.mode", "write Auto, Commit or None"))
    if policy.triggers is not None and not policy.triggers:
        problems.append(InvalidSpec("spec.revert.triggers", "is empty", "name a trigger, or set mode None"))
    if policy.max_failure_age is not None:
        problems.extend(_duration("spec.revert.maxFailureAge", policy.max_failure_age, 0.001, 1e9))
    return tuple(problems)


def _url(url: str) -> Iterator[InvalidSpec]:
    field = "spec.url"
    try:
        parts = urlsplit(url)
        loopback = _is_loopback(parts)
    except ValueError:  # Its words may name a part of the URL that is a password.
        yield InvalidSpec(field, "is not a URL", "write https://host/path.git")
        return
    if parts.scheme == "ssh" or (not parts.scheme and "@" in url):
        yield NotSupportedYet(f"{field} (ssh)", "use https:// with a token")
    elif parts.scheme not in {"http", "https"} or not parts.hostname:
        yield InvalidSpec(field, "is not an https:// address", "write https://host/path.git")
    elif not (_HOST.fullmatch(parts.hostname) or _is_address(parts.hostname)):
        yield InvalidSpec(field, "has a host that is no name", "write https://host/path.git")
    elif parts.scheme == "http" and not loopback:
        yield InvalidSpec(
            field, "http:// would send credentials in clear", "use https:// (http:// is for loopback only)"
        )
    if parts.username or parts.password:
        yield InvalidSpec(field, "has credentials in it", "put them into the Secret of spec.secretRef")
    if parts.query or parts.fragment or any(ord(ch) <= 32 or ord(ch) == 127 for ch in url):
        yield InvalidSpec(field, "has a query, a fragment or blanks", "write the plain address")


def _is_loopback(parts: SplitResult) -> bool:
    host, _ = parts.hostname or "", parts.port
    return host == "localhost" or (_is_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return "%" not in host


def _ref(spec: GitRepositorySpec) -> Iterator[InvalidSpec]:
    ref = spec.ref
    given = [name for name in ("branch", "tag", "semver", "commit") if getattr(ref, name) is not None]
    if len(given) != 1:
        words = "nothing is set" if not given else f"{' and '.join(given)} are set"
        yield InvalidSpec("spec.ref", words, "set exactly one of branch, tag, semver, commit")
    if ref.semver is not None:
        yield NotSupportedYet("spec.ref.semver", "use branch or tag")
    for name in ("branch", "tag"):
        text = getattr(ref, name)
        if text is not None and not _is_ref_name(text):
            yield InvalidSpec(f"spec.ref.{name}", f"{text[:80]!r} is not a name", "write its short name, such as main")


def _is_ref_name(name: str) -> bool:
    """The rules of git-check-ref-format(1), and no leading dash."""
    parts = name.split("/")
    if not name or len(name) > 255 or name[0] == "-" or name == "@" or "@{" in name or ".." in name:
        return False
    if _REF_FORBIDDEN & set(name) or name.endswith("."):
        return False
    return all(part and not part.startswith(".") and not part.endswith(".lock") for part in parts)


def _times(spec: GitRepositorySpec) -> Iterator[InvalidSpec]:
    yield from _duration("spec.interval", spec.interval, INTERVAL_SECONDS_MIN, 86400.0)
    yield from _duration("spec.timeout", spec.timeout, 1.0, TIMEOUT_SECONDS_MAX)


def _duration(field: str, text: str, low: float, high: float) -> Iterator[InvalidSpec]:
    try:
        seconds = duration_seconds(text)
    except ValueError as error:
        yield InvalidSpec(field, str(error))
        return
    if not low <= seconds <= high:
        yield InvalidSpec(field, f"{text} is out of range", f"write between {low:g}s and {high:g}s")


def _write(spec: GitRepositorySpec) -> Iterator[InvalidSpec]:
    write = spec.write
    if write is None:
        return
    if spec.secret_ref is not None and write.secret_ref.name == spec.secret_ref.name:
        yield InvalidSpec(
            "spec.write.secretRef", "is the Secret for reading", "use another Secret, so that reading never can write"
        )
    if spec.ref.branch is None:
        yield InvalidSpec("spec.write", "needs a branch to push to", "set spec.ref.branch")
    for field, text in (("name", write.author.name), ("email", write.author.email)):
        if any(not ch.isprintable() or ch in "<>" for ch in text):
            yield InvalidSpec(f"spec.write.author.{field}", "has characters that git refuses", "write plain text")


def _repository_later(spec: GitRepositorySpec) -> Iterator[InvalidSpec]:
    """What the API has and the code has not yet."""
    if spec.verify is not None:
        yield NotSupportedYet("spec.verify", "remove it; commits are not verified yet")
    if spec.host is not None:
        yield NotSupportedYet("spec.host", "remove it; pull requests and commit statuses come later")
    if spec.submodules:
        yield NotSupportedYet("spec.submodules", "vendor the files")
    if spec.lfs:
        yield NotSupportedYet("spec.lfs", "keep manifests out of LFS")


def _source(source: ApplicationSource) -> Iterator[InvalidSpec]:
    given = [name for name in ("directory", "kustomize", "helm") if getattr(source, name) is not None]
    if len(given) > 1:
        yield InvalidSpec("spec.source", f"{' and '.join(given)} are set", "keep one of directory, kustomize, helm")
    if source.helm is not None:
        yield NotSupportedYet("spec.source.helm", "render the chart in CI, or use kustomize")
    path = source.path
    normal = posixpath.normpath(path) if path else ""
    if path.startswith("/") or normal == ".." or normal.startswith("../") or "\0" in path:
        yield InvalidSpec("spec.source.path", f"{path!r} is not a folder of the repository", "write it from the root")
    elif path and normal != path.rstrip("/"):
        yield InvalidSpec("spec.source.path", f"{path!r} is not in its shortest form", f"write {normal!r}")


def _sync(spec: ApplicationSpec) -> Iterator[InvalidSpec]:
    yield from _duration("spec.sync.interval", spec.sync.interval, 1.0, 86400.0)
    if float(spec.sync.prune_limit.rstrip("%")) > 100.0:
        yield InvalidSpec(
            "spec.sync.pruneLimit", f"{spec.sync.prune_limit} is more than everything", "write at most 100%"
        )
    if spec.sync.windows:
        yield NotSupportedYet("spec.sync.windows", "remove it; use spec.suspend")


def _application_later(spec: ApplicationSpec) -> Iterator[InvalidSpec]:
    """What the API has and the code has not yet."""
    if spec.destination.kube_config is not None:
        yield NotSupportedYet("spec.destination.kubeConfig", "run a Coalmine in that cluster")
    if spec.service_account_name is not None:
        yield NotSupportedYet("spec.serviceAccountName", "remove it; Coalmine applies with its own rights")
    if spec.depends_on:
        yield NotSupportedYet("spec.dependsOn", "remove it; use sync waves within one Application")
    if spec.deletion_policy != "Orphan":
        yield NotSupportedYet("spec.deletionPolicy", "write Orphan, and delete the objects yourself")
    if spec.image_updates:
        yield NotSupportedYet("spec.imageUpdates", "commit new tags from CI")
