"""Marks on applied objects: which Application they belong to, and which file declares them."""

import hashlib
import re
from dataclasses import dataclass

from rollout.api.keys import APPLICATION, TEMPLATE_DIGEST
from rollout.domain.sync.digest import rollout_template, template_digest
from rollout.domain.sync.objects import Json, RenderedObject

OWNER = "coalmine.dev/application-id"
SOURCE_PATH = "coalmine.dev/source-path"
_LABEL = re.compile(r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")


@dataclass(frozen=True, slots=True)
class Owner:
    """The Application that applies objects."""

    namespace: str
    name: str

    @property
    def id(self) -> str:
        """Its full name, as the annotation has it."""
        return f"{self.namespace}/{self.name}"

    @property
    def label(self) -> str:
        """Its name as a label's value; names that are too long for one end in a hash."""
        if _LABEL.match(self.name):
            return self.name
        return f"{self.name[:40].rstrip('.-_')}-{hashlib.sha256(self.name.encode()).hexdigest()[:10]}"


def marked(rendered: RenderedObject, owner: Owner) -> Json:
    """A copy of the desired object with our marks; Rollouts also carry the digest of their pod template."""
    metadata = dict(rendered.obj["metadata"])
    metadata["labels"] = {**(metadata.get("labels") or {}), APPLICATION: owner.label}
    annotations = {**(metadata.get("annotations") or {}), OWNER: owner.id, SOURCE_PATH: rendered.path}
    if rendered.is_rollout:
        annotations[TEMPLATE_DIGEST] = template_digest(rollout_template(rendered.obj))
    return {**rendered.obj, "metadata": {**metadata, "annotations": annotations}}


def owner_of(live: Json) -> str:
    """`namespace/name` of the Application that applied a live object; empty where none did."""
    return str((live["metadata"].get("annotations") or {}).get(OWNER, ""))
