"""The namespaces that exist from the start, and what every namespace gets."""

from rollout.sandbox.apiserver.builtin.strategies import CORE
from rollout.sandbox.apiserver.crds import MANAGER
from rollout.sandbox.apiserver.requests import Target, WriteOptions
from rollout.sandbox.apiserver.store import Change, Object, Ref
from rollout.sandbox.apiserver.writer import NAMESPACES, Writer

INITIAL = ("default", "kube-system", "kube-public", "kube-node-lease")
ACCOUNTS = (CORE, "serviceaccounts")


class Namespaces:
    """Gives each new namespace its service account `default`."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        writer.store.listeners.append(self._heard)

    def bootstrap(self) -> None:
        """Make the initial namespaces that are missing."""
        for name in INITIAL:
            if self._writer.store.get(Ref(NAMESPACES, "", name)) is None:
                self._create(NAMESPACES, "", {"metadata": {"name": name}})

    def _heard(self, change: Change) -> None:
        if change.ref.resource == NAMESPACES and change.type == "ADDED":
            self._create(ACCOUNTS, change.ref.name, {"metadata": {"name": "default"}})

    def _create(self, key: tuple[str, str], namespace: str, body: Object) -> None:
        resource = self._writer.registry.resources[key]
        self._writer.create(Target(resource, resource.storage, namespace), body, WriteOptions(MANAGER))
