"""The story of a tuning: history, a model fitted on it, committed, certified, and a release that is judged with it.

Every step is the command that a person would type; what it came to is looked up in the cluster, not assumed.
"""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

from analysis.durations import format_time
from rollout.kube.resources import ANALYSIS_RUNS, FAILURE_MODELS
from rollout.sandbox.demo import manifests
from rollout.sandbox.demo.manifests import NAMESPACE, PATH, REPLICAS
from rollout.sandbox.demo.past import DAYS, give_past
from rollout.sandbox.demo.scenario import DemoFailed, Scenario

Json = dict[str, Any]

MODEL = "shop"
WINDOW = "30s"
PATIENCE = "20m"
TRAINING_DAYS = 2.25
BUDGET = "2%"
"""Tried at 1 %, one of 628 placebos rolled back in one run, none of 630 in another. The rest of the past is 495 pieces
of forty minutes: 2 % bears four such pieces, 1 % one of them, so that the demo would often end with a Candidate."""
FIT_SECONDS_MAX = 600
CERTIFY_SECONDS_MAX = 1500
USE_SECONDS_MAX = 1200
DAY_SECONDS = 86_400.0


class Tuning(Scenario):
    """Plays the tuning on a running sandbox.

    Attributes:
        certified: whether a release passed, judged with the very model that was fitted.
    """

    certified = False
    _model = ""

    def _analysis(self) -> str:
        return manifests.analysis(WINDOW)

    def _rollout(self, image: str) -> str:
        return manifests.rollout(image, self.box.prometheus_url, model=self._model, budget=BUDGET, patience=PATIENCE)

    async def _releases(self) -> None:
        ends = time.time()
        await give_past(self.box.prometheus_url, NAMESPACE, "shop", REPLICAS, ends)
        self._tell(f"Prometheus has {DAYS:.0f} days of the shop's past now: simulated, so that nobody has to wait")
        text = await self._fit(ends)
        self._model = MODEL
        rollout = {f"{PATH}/rollout.yaml": self._rollout("shop:1.0"), f"{PATH}/failure-model.yaml": text}
        await self._push("Judge the shop's releases by its own noise", rollout)
        await self._until("the operator has certified the model", CERTIFY_SECONDS_MAX, self._active)
        await self._tell_certificate()
        await self._push("Release 1.1: a faster basket", {f"{PATH}/rollout.yaml": self._rollout("shop:1.1")})
        await self._until("1.1 is promoted", USE_SECONDS_MAX, self._healthy_at("shop:1.1"))
        await self._tell_run()

    async def _fit(self, ends: float) -> str:
        folder, output = self.person.clone / PATH, self.box.folder / "failure-model.yaml"
        begin = ends - DAYS * DAY_SECONDS
        times = ["--from", format_time(begin), "--to", format_time(begin + TRAINING_DAYS * DAY_SECONDS)]
        files = [str(folder / "analysis.yaml"), str(folder / "rollout.yaml")]
        await self._coalmine("model", "fit", *files, "-n", NAMESPACE, *times, "--enforce", "--output", str(output))
        return output.read_text()

    async def _coalmine(self, *arguments: str) -> None:
        """Run our command line as a person would, and tell what it says; raises DemoFailed."""
        shown = [one.replace(f"{self.person.clone}/", "").replace(f"{self.box.folder}/", "") for one in arguments]
        self._tell(f"$ coalmine {' '.join(shown)}")
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "rollout.cli.main", *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, stdin=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        last = ""
        try:
            async with asyncio.timeout(FIT_SECONDS_MAX):
                async for line in _lines(process):
                    self._tell(f"  {line}")
                    last = line
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode != 0:
            raise DemoFailed(f"coalmine {shown[0]} {shown[1]} ended with {process.returncode}: {last}")

    async def _model_status(self) -> Json:
        live = await self.client.get(FAILURE_MODELS, NAMESPACE, MODEL) or {}
        status: Json = live.get("status") or {}
        return status

    async def _active(self) -> bool:
        status = await self._model_status()
        if status.get("certificate") and status.get("phase") == "Candidate":
            raise DemoFailed(f"the model is not certified: {status['conditions'][0]['message']}")
        return bool(status.get("phase") == "Active")

    async def _tell_certificate(self) -> None:
        status = await self._model_status()
        paper = status["certificate"]
        rolled_back, pieces = paper.get("falseRollbacks", 0), paper["heldOut"]["segments"]
        self._tell(
            f"{MODEL} is {status['phase']}: {rolled_back} of {paper['placebos']} placebos of {pieces} pieces"
            f" rolled back; false rollbacks: at most {paper['falseRollbackUpperBound']}, budget {paper['budget']}"
        )
        for one in paper["detects"]:
            self._tell(f"  {one['fault']}: {one['found']} found, half of them within {one.get('medianTime') or '-'}")

    async def _tell_run(self) -> None:
        """Look up how the release was judged."""
        found = await self.client.list(ANALYSIS_RUNS, NAMESPACE)
        run = max(found, key=lambda one: one["metadata"]["creationTimestamp"])
        pinned = ((run["spec"].get("comparison") or {}).get("failureModel") or {}).get("digest", "")
        seen = (run.get("status") or {}).get("comparison") or {}
        digest = (await self._model_status())["digest"]
        self.certified = bool(seen.get("certified")) and pinned == digest
        told = "true" if seen.get("certified") else "false"
        self._tell(
            f"AnalysisRun {run['metadata']['name']}: {seen.get('verdict')}, certified: {told}, by {pinned[:19]}..."
        )


async def _lines(process: asyncio.subprocess.Process) -> AsyncIterator[str]:
    """Yield what a process says, line by line."""
    if process.stdout is not None:
        async for line in process.stdout:
            yield line.decode(errors="replace").rstrip()
