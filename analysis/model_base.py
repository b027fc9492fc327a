"""The base of every manifest struct: frozen, keyword-only, camelCase, defaults left out.

Descriptions are the string literals below the fields. They cost nothing at run time: the generator of
the CRDs (`make crds`) reads them from the source.
"""

from typing import Any, dataclass_transform

import msgspec


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class ModelMeta(msgspec.StructMeta):
    """Makes every subclass frozen and keyword-only; msgspec itself does not inherit `kw_only`."""

    def __new__(cls, name: str, bases: tuple[type, ...], body: dict[str, Any], **config: Any) -> "ModelMeta":
        """Create the class; `config` are msgspec's options."""
        return super().__new__(cls, name, bases, body, **{"kw_only": True, "frozen": True, **config})


class Model(msgspec.Struct, metaclass=ModelMeta, rename="camel", omit_defaults=True):
    """One object of a manifest. Unknown fields are dropped here; the API server and `lint` name them."""
