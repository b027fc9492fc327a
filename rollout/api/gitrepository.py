"""GitRepository: where desired state comes from, and where reverts go."""

from typing import Annotated, Literal

import msgspec

from analysis.model_base import Model
from rollout.api.meta import Condition, NameRef, ObjectMeta

Duration = Annotated[str, msgspec.Meta(pattern=r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$")]


class GitRef(Model):
    """Which revision is desired; exactly one field. A revert needs `branch`."""

    branch: str | None = None
    """Head of this branch."""
    tag: str | None = None
    """This tag."""
    semver: str | None = None
    """The highest tag in this range of semantic versions."""
    commit: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")] | None = None
    """Exactly this commit, by its full id."""


class GitWebhook(Model):
    """Push notifications: a hint to look at once, never more than that."""

    secret_ref: NameRef
    """Secret whose key `token` signs the notifications (HMAC-SHA256 of the body, header X-Signature)."""


class GitVerification(Model):
    """Which commits are trusted."""

    secret_ref: NameRef
    """Secret with trusted keys: `*.asc` (PGP) or `*.sshpub` (SSH). Our own revert key is always trusted."""
    mode: Literal["Head", "Tag", "TagAndHead"] = "Head"
    """What must carry a valid signature."""


class GitAuthor(Model):
    """Who signs the commits that Coalmine writes."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] = "Coalmine"
    """Name in the commit."""
    email: Annotated[str, msgspec.Meta(min_length=3, max_length=254)] = "coalmine@localhost"
    """E-mail address in the commit."""


class GitSigning(Model):
    """How commits are signed."""

    secret_ref: NameRef
    """Secret whose key `identity` is an unencrypted OpenSSH ed25519 private key; with it the same revert is the
    same commit id, whoever builds it."""


class GitWrite(Model):
    """Permission to write; without it Coalmine never writes to the repository."""

    secret_ref: NameRef
    """Secret with credentials that may push; another one than the Secret for reading."""
    author: GitAuthor = GitAuthor()
    """Author and committer of reverts."""
    signing: GitSigning | None = None
    """Signature of the commits; absent: unsigned."""
    max_reverts_per_hour: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 4
    """More failures than this an hour stop the pushes: condition Writable=False/RateLimited."""


class PullRequestSettings(Model):
    """How pull requests are opened."""

    labels: tuple[str, ...] = ()
    """Labels of a new pull request."""
    reviewers: tuple[str, ...] = ()
    """People or teams who are asked for a review."""
    auto_merge: bool = False
    """Whether the host merges the pull request by itself once its checks pass."""


class GitHostApi(Model):
    """The API of the Git host; needed only for pull requests and commit statuses."""

    type: Literal["GitHub", "GitLab", "Gitea", "BitbucketCloud", "BitbucketServer", "AzureDevOps"]
    """Which API is spoken."""
    api_url: str | None = msgspec.field(default=None, name="apiURL")
    """Base address of the API. Default: derived from `url`."""
    pull_request: PullRequestSettings = PullRequestSettings()
    """Settings of pull requests."""


class GitRepositorySpec(Model):
    """Where a repository is, how it is read, and whether it may be written."""

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=2048)]
    """Address: https:// or ssh:// (http:// to loopback only), without credentials in it."""
    ref: GitRef
    """The desired revision."""
    interval: Duration = "3m"
    """How often the host is asked for new commits; a webhook makes it immediate."""
    timeout: Duration = "60s"
    """Limit of one operation with the host."""
    secret_ref: NameRef | None = None
    """Secret for reading, with keys as in Flux: username and password, or bearerToken; identity and
    known_hosts; githubApp*; and ca.crt, tls.crt, tls.key. Absent: anonymous."""
    webhook: GitWebhook | None = None
    """Push notifications from the host."""
    verify: GitVerification | None = None
    """Signatures that commits must carry."""
    write: GitWrite | None = None
    """Permission to write reverts; absent: never."""
    host: GitHostApi | None = None
    """The host's API."""
    submodules: bool = False
    """Whether submodules are fetched."""
    lfs: bool = False
    """Whether Git LFS objects are fetched."""
    suspend: bool = False
    """Stop fetching and writing."""


class GitRepositoryStatus(Model):
    """What is known of the repository."""

    observed_generation: int = 0
    """The generation of the spec that this status is about."""
    webhook_path: str = ""
    """Path of the webhook receiver for this repository."""
    revision: str = ""
    """The fetched revision as `<ref>@sha1:<commit>`."""
    last_handled_refresh: str = ""
    """Value of the annotation `coalmine.dev/refresh` that was answered last: the host was asked after it."""
    last_fetch_time: str = ""
    """When the host was asked last with success, RFC 3339."""
    conditions: tuple[Condition, ...] = ()
    """Ready, Reconciling, Stalled, SourceVerified, Writable."""


class GitRepository(Model):
    """A Git repository that Applications read from, and to which reverts are written."""

    metadata: ObjectMeta
    """Standard object metadata."""
    spec: GitRepositorySpec
    """What the user wants."""
    status: GitRepositoryStatus = GitRepositoryStatus()
    """What Coalmine observed."""
