"""What the demo declares: the application in Git, and the objects that make the operator sync it."""

import base64
from typing import Any

from rollout.kube.resources import APPLICATIONS, GIT_REPOSITORIES
from rollout.sandbox.box import Sandbox

Json = dict[str, Any]

NAMESPACE = "shop"
REPOSITORY = "shop-config"
PATH = "apps/shop"
HOST = "shop.localhost"
# At 50 % the canary has 3 pods beside 6: as noisy together as 4 beside 4 (1/3 + 1/6 = 1/4 + 1/4).
REPLICAS = 6

SERVICES = """\
apiVersion: v1
kind: Service
metadata:
  name: shop-stable
spec:
  selector: {app: shop}
  ports: [{name: http, port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata:
  name: shop-canary
spec:
  selector: {app: shop}
  ports: [{name: http, port: 80, targetPort: 8080}]
"""

ROUTE = f"""\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata:
  name: shop
spec:
  parentRefs: [{{name: sandbox}}]
  hostnames: [{HOST}]
  rules:
  - backendRefs:
    - {{name: shop-stable, port: 80, weight: 100}}
    - {{name: shop-canary, port: 80, weight: 0}}
"""

_ANALYSIS = """\
apiVersion: coalmine.dev/v1alpha1
kind: AnalysisTemplate
metadata:
  name: shop-health
spec:
  args:
  - {name: prometheus}
  metrics:
  - name: errors
    interval: INTERVAL
    provider: {prometheus: {address: "{{args.prometheus}}"}}
    comparison:
      counts:
        events: http_requests_total{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}", code="500"}
        total: http_requests_total{namespace="{{arms.namespace}}", pod=~"{{arms.pods}}"}
      tolerance: 400%
"""


def analysis(interval: str = "1s") -> str:
    """The AnalysisTemplate, with windows of some length."""
    return _ANALYSIS.replace("INTERVAL", interval)


def rollout(image: str, prometheus: str, *, model: str = "", budget: str = "1%", patience: str = "3m") -> str:
    """The Rollout, at an image; judged by a FailureModel if one is named."""
    learned = f", failureModelRef: {{name: {model}}}" if model else ""
    return f"""\
apiVersion: coalmine.dev/v1alpha1
kind: Rollout
metadata:
  name: shop
spec:
  replicas: {REPLICAS}
  selector:
    matchLabels: {{app: shop}}
  template:
    metadata:
      labels: {{app: shop}}
    spec:
      containers:
      - name: shop
        image: {image}
        ports: [{{name: http, containerPort: 8080}}]
        readinessProbe:
          httpGet: {{path: /ready, port: http}}
          periodSeconds: 1
  strategy:
    canary:
      stableService: shop-stable
      canaryService: shop-canary
      trafficRouting:
        gatewayAPI:
          httpRoutes: [{{name: shop}}]
      analysis:
        templates: [{{templateName: shop-health}}]
        args: [{{name: prometheus, value: "{prometheus}"}}]
        comparison: {{falseRollbackBudget: {budget}, warmUp: 5s{learned}}}
      steps:
      - setWeight: 50
      - verify: {{timeout: {patience}, onTimeout: Pause}}
"""


def files(rollout: str, analysis: str) -> dict[str, str]:
    """Everything the application has in Git."""
    return {
        f"{PATH}/rollout.yaml": rollout,
        f"{PATH}/services.yaml": SERVICES,
        f"{PATH}/route.yaml": ROUTE,
        f"{PATH}/analysis.yaml": analysis,
        "README.md": "# Configuration of the shop\n",
    }


def secret(name: str, values: dict[str, str]) -> Json:
    """A Secret of the demo's namespace."""
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": NAMESPACE}, "data": data}


def secrets(box: Sandbox) -> tuple[Json, ...]:
    """Credentials for reading and for writing, the key that signs, and the token of the webhook."""
    passwords = box.plan.passwords
    return (
        secret("git-read", {"username": "reader", "password": passwords["reader"]}),
        secret("git-write", {"username": "writer", "password": passwords["writer"]}),
        secret("git-signing", {"identity": box.signing_key.read_text()}),
    )


def repository(box: Sandbox) -> Json:
    """The GitRepository."""
    return {
        "apiVersion": GIT_REPOSITORIES.api_version,
        "kind": GIT_REPOSITORIES.kind,
        "metadata": {"name": REPOSITORY, "namespace": NAMESPACE},
        "spec": {
            "url": f"{box.git_url}/{REPOSITORY}.git",
            "ref": {"branch": "main"},
            "interval": "2s",
            "secretRef": {"name": "git-read"},
            "write": {
                "secretRef": {"name": "git-write"},
                "author": {"name": "Coalmine", "email": "coalmine@shop.example"},
                "signing": {"secretRef": {"name": "git-signing"}},
            },
        },
    }


def application() -> Json:
    """The Application."""
    return {
        "apiVersion": APPLICATIONS.api_version,
        "kind": APPLICATIONS.kind,
        "metadata": {"name": "shop", "namespace": NAMESPACE},
        "spec": {
            "source": {"repositoryRef": {"name": REPOSITORY}, "path": PATH},
            "sync": {"interval": "10s", "selfHeal": True, "prune": True},
            "revert": {"mode": "Auto", "triggers": ["AnalysisFailed"]},
        },
    }
