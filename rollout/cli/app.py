"""`coalmine app get | sync | diff | release`: Applications by hand."""

import argparse
from pathlib import Path

from rollout.cli.app_diff import run as run_diff
from rollout.cli.app_get import run as run_get
from rollout.cli.app_release import run as run_release
from rollout.cli.app_sync import run as run_sync
from rollout.cli.arguments import Verbs, add_group, add_timeout, add_verb, object_name

# As of `kubectl diff`: 1 says that there are differences, so an error must be something else.
DIFF_FAILED = 2

_SYNC = """\
Asks for a look at the Git host and then for a full pass over the cluster, and waits for both.
Exit codes: 0 in sync, 1 not (held, refused, or an error), 2 timed out, 3 wrong usage."""
_DIFF = """\
Renders what Git declares and compares it, by server-side apply dry runs, with what lives. What a Rollout or an
autoscaler drives (weights, selectors, replicas) is no difference. Values of Secrets are not shown.
With --path a local checkout of the repository is rendered, uncommitted files too; without, the wanted revision is
fetched with the credentials of the GitRepository's Secret, if you may read it.
Exit codes, as of kubectl diff: 0 no difference, 1 differences, 2 an error; 3 wrong usage."""
_RELEASE = """\
A release that failed is in quarantine: no revision that declares it is deployed. This lifts it, for one digest of a
pod template or for all; a later failure quarantines again. Without a digest there must be one entry only, or --all."""


def add(commands: Verbs) -> None:
    """Add the verbs."""
    verbs = add_group(commands, "app", "see and sync Applications, lift quarantines", "coalmine app get web -n shop")
    get = add_verb(
        verbs, "get", run_get, words="show an Application: conditions, revisions, Rollouts, quarantine, revert",
        example="coalmine app get web -n shop",
    )  # fmt: skip
    sync = add_verb(
        verbs, "sync", run_sync, words="bring the cluster in line with Git now, and wait for it", more=_SYNC,
        example="coalmine app sync web -n shop --timeout 10m",
    )  # fmt: skip
    diff = add_verb(
        verbs, "diff", run_diff, words="show what a sync would change", more=_DIFF, failed=DIFF_FAILED,
        example="coalmine app diff web -n shop\ncoalmine app diff web --path ~/config",
    )  # fmt: skip
    release = add_verb(
        verbs, "release", run_release, words="lift the quarantine of a failed release", more=_RELEASE,
        example="coalmine app release web -n shop\ncoalmine app release web sha256:1f2e3d4c",
    )  # fmt: skip
    for verb in (get, sync, diff, release):
        verb.add_argument("name", type=object_name, metavar="NAME", help="the Application")
    add_timeout(sync, "5m")
    diff.add_argument("--path", type=_folder, metavar="DIR", help="root of a local checkout of the repository")
    release.add_argument("digest", nargs="?", default="", metavar="DIGEST", help="of a pod template, or its beginning")
    release.add_argument("--all", action="store_true", help="every entry")
    add_timeout(release, "1m")


def _folder(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no folder; name the root of a checkout")
    return path
