"""How the API server is reached: kubeconfig or service account, TLS, tokens that are renewed.

One aiohttp session serves kopf's watches and our own writes. Its middleware puts the token into each request and logs
in again when the server answers 401, so that a rotated token never stops the operator.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from rollout.errors import CoalmineError

CONNECT_TIMEOUT_SECONDS = 10.0
CLOSE_LOOKS_MAX, CLOSE_LOOK_SECONDS = 12, 0.01
_IN_CLUSTER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# What the kubernetes package raises for a kubeconfig that is YAML, but no kubeconfig.
_MISSHAPEN = (TypeError, KeyError, AttributeError, ValueError)


class LoginFailed(CoalmineError):
    """No kubeconfig and no service account gave a way to the API server."""


@dataclass(frozen=True, slots=True)
class Login:
    """One way to the API server."""

    server: str
    tls: ssl.SSLContext | bool
    headers: Mapping[str, str] = field(repr=False)
    namespace: str = "default"


def login(kubeconfig: str | None = None, context: str | None = None) -> Login:
    """Log in by kubeconfig (`kubeconfig`, $KUBECONFIG, ~/.kube/config) or as the pod's service account.

    Exec plug-ins, client certificates and token files are served by the kubernetes package. Raises LoginFailed.
    """
    from kubernetes import config as kubernetes_config
    from kubernetes.client import Configuration

    untyped: Any = kubernetes_config  # The package has no types here.
    configuration = Configuration()
    try:
        if kubeconfig is None and (_IN_CLUSTER / "token").exists():
            untyped.load_incluster_config(client_configuration=configuration)
            namespace = (_IN_CLUSTER / "namespace").read_text().strip()
        else:
            untyped.load_kube_config(kubeconfig, context, configuration, persist_config=False)
            namespace = _namespace_of(kubernetes_config, kubeconfig, context)
        way = Login(configuration.host, _tls(configuration), _headers(configuration), namespace)
    except (kubernetes_config.ConfigException, OSError, yaml.YAMLError, *_MISSHAPEN) as error:
        source = f" by {kubeconfig}" if kubeconfig else ""
        words = " ".join(str(error).split()) or type(error).__name__
        remedy = "set KUBECONFIG, or run inside a pod"
        raise LoginFailed(f"cannot log in to a cluster{source}: {words}; {remedy}") from error
    if not way.server:
        raise LoginFailed("cannot log in to a cluster: the context's cluster names no server; mend the kubeconfig")
    return way


def _namespace_of(kubernetes_config: Any, kubeconfig: str | None, context: str | None) -> str:
    contexts, active = kubernetes_config.list_kube_config_contexts(kubeconfig)
    chosen = next((c for c in contexts if c["name"] == context), active)
    return str(chosen["context"].get("namespace") or "default")


def _tls(configuration: Any) -> ssl.SSLContext | bool:
    if not configuration.host.startswith("https://"):
        return True
    if not configuration.verify_ssl:
        return False
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


def _headers(configuration: Any) -> dict[str, str]:
    token = configuration.get_api_key_with_prefix("authorization") or configuration.get_api_key_with_prefix(
        "BearerToken"
    )
    if not token:
        return {}
    return {"Authorization": token if token.lower().startswith(("bearer ", "basic ")) else f"Bearer {token}"}


class _Resetting(aiohttp.TCPConnector):
    """Resets what is given up: what the server has not got by then must not arrive later.

    Who leaves in the middle of a request has given it up, and a write that was given up may be one of a leader of
    yesterday. By default TLS would wait for a farewell, and the system go on sending until the network is mended.
    """

    def _release(self, key: Any, protocol: Any, *, should_close: bool = False) -> None:
        if should_close and protocol.transport is not None:
            protocol.transport.abort()
        super()._release(key, protocol, should_close=should_close)


def _socket(address: aiohttp.AddrInfoType) -> socket.socket:
    """A socket whose end is a reset."""
    family, kind, protocol, _, _ = address
    made = socket.socket(family=family, type=kind, proto=protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return made


class Connection:
    """A session that is logged in, and stays so."""

    def __init__(self, kubeconfig: str | None = None, context: str | None = None) -> None:
        """Log in; raises LoginFailed."""
        self._source = (kubeconfig, context)
        self._login = login(*self._source)
        self._renewal = asyncio.Lock()
        self._sockets = weakref.WeakSet[socket.socket]()
        self.session = aiohttp.ClientSession(
            connector=_Resetting(ssl=self._login.tls, limit=100, socket_factory=self._socket),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_SECONDS),
            middlewares=(self._authenticate,),
            headers={"User-Agent": "coalmine"},
        )

    @property
    def server(self) -> str:
        """Base URL of the API server."""
        return self._login.server.rstrip("/")

    @property
    def namespace(self) -> str:
        """The namespace of the kubeconfig's context, or of the pod."""
        return self._login.namespace

    async def close(self) -> None:
        """Close the session, and wait a little until all its connections are closed.

        One that was being made when the session was closed, by kopf perhaps, gets a farewell of TLS that nobody waits
        for; the end of its stream makes it close.
        """
        await self.session.close()
        for look in range(CLOSE_LOOKS_MAX):
            # What was closed just now is closed in the loop's next round.
            await asyncio.sleep(look * CLOSE_LOOK_SECONDS)
            left = self.open_sockets()
            if not left:
                return
            for made in left if look else ():
                with contextlib.suppress(OSError):
                    made.shutdown(socket.SHUT_RDWR)

    def open_sockets(self) -> list[socket.socket]:
        """Those of its connections that are there, or are being made."""
        return [made for made in self._sockets if made.fileno() != -1]

    def _socket(self, address: aiohttp.AddrInfoType) -> socket.socket:
        made = _socket(address)
        self._sockets.add(made)
        return made

    async def _authenticate(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        used = self._login
        request.headers.update(used.headers)
        response = await handler(request)
        if response.status != 401:
            return response
        renewed = await self._renew(used)
        if renewed.headers == used.headers:
            return response
        response.close()
        request.headers.update(renewed.headers)
        return await handler(request)

    async def _renew(self, used: Login) -> Login:
        """Log in again, once for all requests that were refused."""
        async with self._renewal:
            if self._login is used:
                self._login = await asyncio.to_thread(login, *self._source)
            return self._login
