"""Credentials of a Git host: from a Secret to git, through files of mode 0600 that live for one call."""

import base64
import binascii
import os
import shlex
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from rollout.errors import InvalidSpec, NotSupportedYet
from rollout.git.upkeep import SECRETS_PREFIX

_SECRET_BYTES_MAX = 64 * 1024
_NOT_BUILT = ("identity", "known_hosts", "githubAppID", "githubAppPrivateKey", "tls.crt", "tls.key")


@dataclass(frozen=True, slots=True)
class Credentials:
    """How we say who we are; empty means anonymous."""

    username: str = ""
    password: str = field(default="", repr=False)
    bearer_token: str = field(default="", repr=False)
    ca_certificate: str = field(default="", repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """Strings that no message may show, longest first."""
        pair = base64.b64encode(f"{self.username}:{self.password}".encode()).decode() if self.password else ""
        return tuple(sorted((s for s in (self.password, self.bearer_token, pair) if s), key=len, reverse=True))


ANONYMOUS = Credentials()


def decode_secret(data: Mapping[str, str], field_path: str) -> dict[str, str]:
    """Values of a Secret's `data` as text; raises InvalidSpec for what is not base64 of short UTF-8 text."""
    values = {}
    for key, encoded in data.items():
        try:
            raw = base64.b64decode(encoded, validate=True)
            values[key] = raw.decode()
        except (binascii.Error, UnicodeDecodeError, ValueError):
            raise InvalidSpec(field_path, f"key {key} of the Secret is not base64 of UTF-8 text") from None
        if len(raw) > _SECRET_BYTES_MAX:
            raise InvalidSpec(field_path, f"key {key} of the Secret is longer than {_SECRET_BYTES_MAX} bytes")
    return values


def credentials_from_secret(data: Mapping[str, str], field_path: str) -> Credentials:
    """Credentials for HTTP out of a Secret's `data` (base64), keys as in Flux.

    Raises InvalidSpec when neither form is complete, NotSupportedYet for the keys that are not built yet.
    """
    values = decode_secret(data, field_path)
    foreign = next((key for key in _NOT_BUILT if key in values), None)
    if foreign is not None:
        raise NotSupportedYet(f"{field_path} (key {foreign})", "use username and password, or bearerToken")
    token, ca = values.get("bearerToken", "").strip(), values.get("ca.crt", "")
    username, password = values.get("username", ""), values.get("password", "")
    if token and (username or password):
        raise InvalidSpec(field_path, "the Secret has bearerToken and username", "keep one of them")
    if not token and bool(username) != bool(password):
        raise InvalidSpec(field_path, "the Secret needs both username and password", "or bearerToken alone")
    if not (token or username or ca):
        raise InvalidSpec(field_path, "the Secret has no credentials", "add username and password, or bearerToken")
    if any(ch in value for value in (username, password, token) for ch in '\r\n\0"\\'):
        raise InvalidSpec(field_path, "credentials contain a line break, a quote or a backslash")
    return Credentials(username, password, token, ca)


@contextmanager
def as_environment(credentials: Credentials, url: str, parent: Path | None = None) -> Iterator[dict[str, str]]:
    """Variables that let git use the credentials for this URL's host only; the files are gone afterwards.

    Args:
        credentials: ours.
        url: of the repository.
        parent: folder for the files; None: the system's for temporary ones.
    """
    with tempfile.TemporaryDirectory(prefix=SECRETS_PREFIX, dir=parent) as name:
        folder, variables = Path(name), {}
        if credentials.username:
            variables["GIT_ASKPASS"] = str(_askpass(folder, credentials, url))
        if credentials.bearer_token:
            header = f"Authorization: Bearer {credentials.bearer_token}"
            config = f'[http "{_origin(url)}/"]\n\textraHeader = "{header}"\n'
            variables["GIT_CONFIG_GLOBAL"] = str(write_private(folder / "config", config))
        if credentials.ca_certificate:
            variables["GIT_SSL_CAINFO"] = str(write_private(folder / "ca.crt", credentials.ca_certificate))
        yield variables


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _askpass(folder: Path, credentials: Credentials, url: str) -> Path:
    """A helper that answers git's prompts for our host and no other."""
    host = urlsplit(url).netloc.rpartition("@")[2]
    user = write_private(folder / "username", credentials.username)
    password = write_private(folder / "password", credentials.password)
    script = "\n".join(
        [
            "#!/bin/sh",
            f"host={shlex.quote(host)}",
            'case "$1" in',
            f'  Username*"//$host\'"*) exec cat {shlex.quote(str(user))} ;;',
            f'  Password*"@$host\'"*|Password*"//$host\'"*) exec cat {shlex.quote(str(password))} ;;',
            "esac",
            "exit 1",
            "",
        ]
    )
    return write_private(folder / "askpass", script, mode=0o700)


def write_private(path: Path, text: str, mode: int = 0o600) -> Path:
    """Write a file that only we can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    return path
