"""All peers as their users set them. Tuned ones are these with a scale of `tuned_scale`."""

from analysis.peers.argo import ARGO_RATIO
from analysis.peers.base import Peer
from analysis.peers.flagger import FLAGGER, FLAGGER_LOOSE
from analysis.peers.mann_whitney import K1, K2, K3, K4, K5, K6, K7

PANEL: tuple[Peer, ...] = (
    FLAGGER,
    FLAGGER_LOOSE,
    ARGO_RATIO,
    K1,
    K2,
    K3,
    K4,
    K5,
    K6,
    K7,
)
