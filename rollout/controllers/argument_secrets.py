"""Values of an analysis' arguments that come from Secrets of the same namespace; they stay in memory."""

import base64

from analysis.arguments import secret_of
from analysis.run_spec import AnalysisRunSpec
from rollout.errors import InvalidSpec
from rollout.kube.client import KubeClient
from rollout.kube.resources import SECRETS


async def argument_secrets(client: KubeClient, namespace: str, spec: AnalysisRunSpec) -> dict[str, str]:
    """Return the values by argument name; raises InvalidSpec where a Secret or its key is missing or no text."""
    values: dict[str, str] = {}
    for arg in spec.args:
        reference = secret_of(arg)
        if reference is None:
            continue
        secret = await client.get(SECRETS, namespace, reference.name)
        text = ((secret or {}).get("data") or {}).get(reference.key)
        field = f'spec.args["{arg.name}"].valueFrom.secretKeyRef'
        if text is None:
            raise InvalidSpec(field, f'Secret "{reference.name}" has no key "{reference.key}"', "create it")
        try:
            values[arg.name] = base64.b64decode(text).decode()
        except ValueError:
            raise InvalidSpec(field, "is no text in UTF-8", "store the value as text") from None
    return values
