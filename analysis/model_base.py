"""The base of every manifest struct: frozen, camelCase, defaults left out.

Descriptions are the string literals below the fields. They cost nothing at run time: the generator of the CRDs
(`make crds`) reads them from the source.
"""

import msgspec


class Model(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True, kw_only=True):
    """One object of a manifest. Unknown fields are dropped here; the API server and `lint` name them."""
