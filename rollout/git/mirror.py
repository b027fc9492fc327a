"""A bare mirror of one repository: fetch, and read what was fetched. Never a work tree."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from rollout.domain.sync.files import TreeEntry
from rollout.errors import GitError, RemoteUnavailable
from rollout.git import upkeep
from rollout.git.credentials import ANONYMOUS, Credentials, as_environment
from rollout.git.errors import RevisionNotFound, TooLarge
from rollout.git.plumbing import Plumbing, one_line
from rollout.git.refs import is_commit

MIRROR_BYTES_MAX = 4 * 1024**3
LOG_MAX = 200
FILES_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Remote:
    """A repository on a host, and how we reach it."""

    url: str
    credentials: Credentials = field(default=ANONYMOUS, repr=False)
    timeout_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A commit with its trailers, each a (key, value) in order."""

    commit: str
    subject: str
    trailers: tuple[tuple[str, str], ...]

    def values(self, key: str) -> tuple[str, ...]:
        """Values of a trailer."""
        return tuple(value for name, value in self.trailers if name == key)


def normalised_url(url: str) -> str:
    """One spelling a repository: without credentials, default port, `.git`, last slash; lower-case host."""
    parts = urlsplit(url)
    default = {"http": 80, "https": 443, "ssh": 22}.get(parts.scheme)
    port = f":{parts.port}" if parts.port and parts.port != default else ""
    path = parts.path.rstrip("/").removesuffix(".git")
    return f"{parts.scheme.lower()}://{(parts.hostname or '').lower()}{port}{path}"


class Mirror:
    """The objects of one repository. Methods block; run them in a thread (`rollout.git.jobs`)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._git = Plumbing(directory)

    @classmethod
    def of(cls, root: Path, url: str) -> "Mirror":
        """The mirror of a repository below a folder; the same one for all spellings of its URL."""
        return cls(root / f"{hashlib.sha256(normalised_url(url).encode()).hexdigest()[:32]}.git")

    @property
    def git(self) -> Plumbing:
        """Git in this mirror, without a remote."""
        return self._git

    def configured(self, config: Mapping[str, str]) -> Plumbing:
        """Git in this mirror with further configuration."""
        return Plumbing(self.directory, config=config)

    def initialise(self) -> None:
        """Create the bare repository where there is none, or only a part of one."""
        if all((self.directory / part).exists() for part in ("HEAD", "config", "objects", "refs")):
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        self._git.run("init", "--quiet", "--bare", "--template=", "--", str(self.directory))

    @property
    def secrets_folder(self) -> Path:
        """Where files with secrets live for one call: beside the mirrors, where a start finds what a crash left."""
        return self.directory.parent

    @contextmanager
    def remote_git(self, remote: Remote) -> Iterator[Plumbing]:
        """Git that may talk to the remote while the context lasts."""
        with as_environment(remote.credentials, remote.url, self.secrets_folder) as variables:
            yield Plumbing(
                self.directory,
                variables,
                secrets=remote.credentials.secrets,
                timeout_seconds=remote.timeout_seconds,
                url=remote.url,
            )

    def ls_remote(self, remote: Remote, ref: str) -> str:
        """Commit (or tag object, peeled) that a full ref points to on the host; raises RevisionNotFound."""
        self.initialise()
        with self.remote_git(remote) as git:
            lines = git.run("ls-remote", "--", remote.url, ref, f"{ref}^{{}}").splitlines()
        found = {name: commit for commit, _, name in (line.partition("\t") for line in lines)}
        commit = found.get(f"{ref}^{{}}") or found.get(ref)
        if commit is None or not is_commit(commit):
            raise RevisionNotFound(f"{ref} does not exist in {normalised_url(remote.url)}; check spec.ref")
        return commit

    def ask(self, remote: Remote) -> None:
        """Ask the host whether we may read at all; raises Unauthorized, RevisionNotFound or RemoteUnavailable.

        The mirror is everybody's who names its URL, so that a commit is here is no permission to read it.
        """
        self.initialise()
        with self.remote_git(remote) as git:
            git.run("ls-remote", "--", remote.url, "HEAD")

    def fetch(self, remote: Remote, source: str) -> str:
        """Bring a full ref, or a commit, with its whole history here; returns the commit.

        The caller holds the repository's lock. Raises RevisionNotFound, Unauthorized, RemoteUnavailable, TooLarge.
        """
        self.initialise()
        upkeep.sweep(self.directory)
        # A name of its own for each ref: `a` and `a/b` may follow each other on a host, and a folder is no file.
        local = f"refs/coalmine/{hashlib.sha256(source.encode()).hexdigest()[:32]}"
        with self.remote_git(remote) as git:
            replace(git, guard=self._check_space).run(
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-write-fetch-head",
                "--",
                remote.url,
                f"+{source}:{local}",
            )
        with suppress(GitError, RemoteUnavailable):  # What is not tidied up today is tomorrow.
            self.configured({"gc.auto": "6700"}).run("gc", "--auto", "--quiet")
        self._check_space()
        return self.resolve(local)

    def _check_space(self) -> None:
        used = upkeep.used_bytes(self.directory)
        if used > MIRROR_BYTES_MAX:
            raise TooLarge(f"the repository takes {used} bytes; the limit is {MIRROR_BYTES_MAX}")

    def resolve(self, revision: str) -> str:
        """Full id of the commit; raises RevisionNotFound when it is not here."""
        answer = self._git.attempt("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
        if answer.code != 0:
            raise RevisionNotFound(f"{revision} is not a commit of {self.directory.name}")
        return one_line(answer.text, "a commit id")

    def has(self, commit: str) -> bool:
        """Whether the commit is here."""
        return is_commit(commit) and self._git.attempt("cat-file", "-e", f"{commit}^{{commit}}").code == 0

    def tree_of(self, revision: str) -> str:
        """Id of the root tree of a commit (or of a tree itself)."""
        return one_line(self._git.run("rev-parse", "--verify", "--end-of-options", f"{revision}^{{tree}}"), "a tree")

    def files(self, revision: str, path: str = "") -> tuple[TreeEntry, ...]:
        """Every file of a commit or tree below a path, sorted by path; raises TooLarge above 100,000."""
        scope = ("--", path.rstrip("/")) if path.strip("/") else ()
        output = self._git.check("ls-tree", "-r", "-l", "-z", "--full-tree", revision, *scope).stdout
        entries = tuple(_tree_entry(line) for line in output.split(b"\0") if line)
        if len(entries) > FILES_MAX:
            raise TooLarge(f"{path or 'the repository'} has {len(entries)} files; the limit is {FILES_MAX}")
        return tuple(sorted(entries, key=lambda entry: entry.path))

    def read(self, entries: Iterable[TreeEntry], total_bytes_max: int) -> dict[str, bytes]:
        """Contents by path; raises TooLarge before anything is read when they are too long together."""
        wanted = tuple(entries)
        total = sum(entry.size for entry in wanted)
        if total > total_bytes_max:
            raise TooLarge(f"{len(wanted)} files have {total} bytes together; the limit is {total_bytes_max}")
        ids = "".join(f"{entry.blob}\n" for entry in wanted).encode()
        output = self._git.check("cat-file", "--batch", stdin=ids).stdout if wanted else b""
        return dict(_batch(output, wanted))

    def changed_paths(self, old: str, new: str) -> frozenset[str]:
        """Paths that differ between two commits or trees; a moved file counts with both names."""
        output = self._git.check("diff-tree", "-r", "-z", "--name-only", "--no-renames", "--no-commit-id", old, new)
        return frozenset(part.decode("utf-8", "replace") for part in output.stdout.split(b"\0") if part)

    def is_ancestor(self, old: str, new: str) -> bool:
        """Whether `new` contains `old` in its history."""
        answer = self._git.attempt("merge-base", "--is-ancestor", old, new)
        if answer.code > 1:
            raise GitError(f"cannot compare {old[:7]} with {new[:7]}: {answer.stderr.strip()}")
        return answer.code == 0

    def first_parents(self, after: str, until: str, limit: int = LOG_MAX) -> tuple[str, ...]:
        """Commits of the branch (no sides of merges) after one commit, oldest first, at most `limit`."""
        span = ("--first-parent", f"--max-count={limit}", f"{after}..{until}")
        return tuple(reversed(self._git.run("rev-list", *span, "--").split()))

    def touching(self, after: str, until: str, paths: Iterable[str], limit: int = 20) -> tuple[str, ...]:
        """Commits that changed any of the paths, oldest first, at most the `limit` newest."""
        span = (f"--max-count={limit}", f"{after}..{until}")
        return tuple(reversed(self._git.run("rev-list", *span, "--", *paths).split()))

    def log(self, until: str, after: str = "", limit: int = LOG_MAX) -> tuple[LogEntry, ...]:
        """Commits with trailers, newest first, at most `limit`; `after` is excluded with its history."""
        span = f"{after}..{until}" if after else until
        form = "--format=%H%x00%s%x00%(trailers:only=yes,unfold=yes)%x00"
        output = self._git.run("log", f"--max-count={min(limit, LOG_MAX)}", form, span, "--")
        fields = output.split("\0")
        return tuple(
            _log_entry(fields[at].strip(), fields[at + 1], fields[at + 2]) for at in range(0, len(fields) - 2, 3)
        )


def _tree_entry(line: bytes) -> TreeEntry:
    meta, _, path = line.partition(b"\t")
    mode, _, blob, size = meta.split()
    return TreeEntry(
        path.decode("utf-8", "surrogateescape"),
        mode.decode(),
        blob.decode(),
        0 if size == b"-" else int(size),
    )


def _batch(output: bytes, wanted: tuple[TreeEntry, ...]) -> Iterator[tuple[str, bytes]]:
    """Parse the answers of `cat-file --batch`: a header line, the bytes, a line break."""
    at = 0
    for entry in wanted:
        end = output.index(b"\n", at)
        header = output[at:end].split()
        if len(header) != 3:
            raise GitError(f"{entry.path}: object {entry.blob} is missing from the mirror")
        size = int(header[2])
        yield entry.path, output[end + 1 : end + 1 + size]
        at = end + 1 + size + 1


def _log_entry(commit: str, subject: str, trailers: str) -> LogEntry:
    pairs = (line.partition(":") for line in trailers.splitlines() if ":" in line)
    return LogEntry(commit, subject, tuple((key.strip(), value.strip()) for key, _, value in pairs))
