"""Who asks: bearer tokens, and impersonation. Every known user may do everything."""

import csv
import hmac
import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rollout.sandbox.apiserver.errors import unauthorized
from rollout.sandbox.apiserver.tls import write_private

AUTHENTICATED = "system:authenticated"
MAX_ISSUED = 1000


@dataclass(frozen=True)
class User:
    """A name and its groups."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""

    def info(self) -> dict[str, Any]:
        """As UserInfo objects and audit events have it."""
        groups = [*self.groups, *(() if AUTHENTICATED in self.groups else (AUTHENTICATED,))]
        return {"username": self.name, **({"uid": self.uid} if self.uid else {}), "groups": groups}


ADMIN = User("admin", ("system:masters",), "admin")


@dataclass
class Tokens:
    """The known tokens. They are compared in constant time and never printed."""

    users: dict[str, User] = field(default_factory=dict, repr=False)
    issued: deque[str] = field(default_factory=deque, repr=False)

    def find(self, token: str) -> User | None:
        given, found = token.encode(), None
        for known, user in self.users.items():
            if hmac.compare_digest(known.encode(), given):
                found = user
        return found

    def token_of(self, name: str) -> str:
        """A token of the user; KeyError when there is none."""
        for token, user in self.users.items():
            if user.name == name:
                return token
        raise KeyError(name)

    def issue(self, user: User) -> str:
        """A new token, for TokenRequests; the oldest issued one ends when there are too many."""
        if len(self.issued) >= MAX_ISSUED:
            self.users.pop(self.issued.popleft(), None)
        token = secrets.token_urlsafe(32)
        self.issued.append(token)
        self.users[token] = user
        return token


def read_tokens(path: Path) -> dict[str, User]:
    """A token file as kube-apiserver reads it: `token,user,uid,"group1,group2"` a line."""
    with path.open(newline="") as file:
        rows = [row for row in csv.reader(file) if len(row) >= 3]
    return {row[0]: User(row[1], tuple(row[3].split(",")) if len(row) > 3 else (), row[2]) for row in rows}


def own_tokens(path: Path) -> dict[str, User]:
    """The token file of a data folder; made with one token for `admin` when there is none."""
    if not path.exists():
        line = f'{secrets.token_urlsafe(32)},{ADMIN.name},{ADMIN.uid},"{",".join(ADMIN.groups)}"\n'
        write_private(path, line.encode())
    return read_tokens(path)


def authenticate(headers: Mapping[str, str], tokens: Tokens) -> User:
    """The user of a request's bearer token.

    Raises:
        StatusError: 401.
    """
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    user = tokens.find(token.strip()) if scheme.lower() == "bearer" else None
    if user is None:
        raise unauthorized()
    return user


def impersonated(name: str, groups: list[str]) -> User | None:
    """The user that `Impersonate-User` and `Impersonate-Group` headers name, if any."""
    return User(name, tuple(groups)) if name else None
