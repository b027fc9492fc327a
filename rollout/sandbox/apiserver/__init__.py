"""An embedded Kubernetes API server: enough of it for kubectl, kopf, the kubernetes client and operators.

`ApiServer` runs it in this process; `python -m rollout.sandbox.apiserver` runs it as one of its own.
"""

from rollout.sandbox.apiserver.api import ApiServer, Tuning, kubeconfig, write_kubeconfig
from rollout.sandbox.apiserver.auth import User

__all__ = ["ApiServer", "Tuning", "User", "kubeconfig", "write_kubeconfig"]
