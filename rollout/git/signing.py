"""SSH signatures of commits by git itself: deterministic with ed25519 keys, verified by `allowed_signers`."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_ssh_private_key

from rollout.errors import InvalidSpec
from rollout.git.credentials import decode_secret, write_private
from rollout.git.mirror import Mirror
from rollout.git.upkeep import SECRETS_PREFIX


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An ed25519 key in OpenSSH's format."""

    private_key: str = field(repr=False)
    public_key: str

    def allowed_signers(self, email: str) -> str:
        """The line that makes this key trusted for the author's address, for `gpg.ssh.allowedSignersFile`."""
        return f'{email} namespaces="git" {self.public_key}\n'


def signing_key_from_secret(data: Mapping[str, str], field_path: str) -> SigningKey:
    """The key in a Secret's `data` (key `identity`); raises InvalidSpec when it cannot sign."""
    text = decode_secret(data, field_path).get("identity", "")
    remedy = "make one with `ssh-keygen -t ed25519 -N '' -f identity`"
    if not text:
        raise InvalidSpec(field_path, "the Secret has no key `identity`", remedy)
    try:
        key = load_ssh_private_key(text.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise InvalidSpec(field_path, "`identity` is not an unencrypted OpenSSH private key", remedy) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise InvalidSpec(field_path, "`identity` is not an ed25519 key, so signatures would differ", remedy)
    if shutil.which("ssh-keygen") is None:
        raise InvalidSpec(field_path, "signing needs ssh-keygen on the PATH", "install the OpenSSH client")
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    return SigningKey(text if text.endswith("\n") else f"{text}\n", public)


@contextmanager
def signing_config(key: SigningKey, parent: Path | None = None) -> Iterator[dict[str, str]]:
    """Git configuration for signing with the key while the context lasts; its file lives in a folder of `parent`."""
    with TemporaryDirectory(prefix=SECRETS_PREFIX, dir=parent) as name:
        path = write_private(Path(name) / "identity", key.private_key)
        yield {"gpg.format": "ssh", "user.signingKey": str(path)}


def is_signed_by(mirror: Mirror, commit: str, allowed_signers: str) -> bool:
    """Whether the commit carries a valid signature of one of the allowed signers."""
    with TemporaryDirectory(prefix="coalmine-verify-") as name:
        path = write_private(Path(name) / "allowed_signers", allowed_signers)
        config = {"gpg.format": "ssh", "gpg.ssh.allowedSignersFile": str(path)}
        return mirror.configured(config).attempt("verify-commit", commit).code == 0
