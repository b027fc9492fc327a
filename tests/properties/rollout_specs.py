"""The specs and verdicts that the state machine of a Rollout draws from."""

from typing import Any

from hypothesis import strategies as st

from analysis.verdict import AnalysisPhase

STEPS: tuple[list[dict[str, Any]], ...] = (
    [{"setWeight": 50}, {"pause": {}}],
    [{"setWeight": 20}, {"pause": {"duration": "30s"}}, {"setWeight": 60}, {"pause": {"duration": 5}}],
    [{"setWeight": 25}, {"verify": {}}, {"setWeight": 75}],
    [{"setWeight": 50}, {"verify": {"timeout": "1m"}}],
    [{"setWeight": 50}, {"verify": {"timeout": "1m", "onTimeout": "Abort"}}],
    [{"setWeight": 30}, {"verify": {"timeout": "1m", "onTimeout": "Continue"}}, {"pause": {}}],
    [{"setWeight": 80}, {"setWeight": 10}, {"pause": {"duration": 5}}],
    [],
)
ANALYSIS: dict[str, Any] = {"templates": [{"templateName": "errors"}]}
ANALYSES = (ANALYSIS, {**ANALYSIS, "startingStep": 1})
VERDICTS = (
    AnalysisPhase.FAILED,
    AnalysisPhase.INCONCLUSIVE,
    AnalysisPhase.ERROR,
    AnalysisPhase.SUCCESSFUL,
)
METADATA = {"canaryMetadata": {"labels": {"role": "canary"}}, "stableMetadata": {"labels": {"role": "stable"}}}

canaries = st.fixed_dictionaries(
    {"steps": st.sampled_from(STEPS), "analysis": st.sampled_from([*ANALYSES, None])},
    optional={
        "maxSurge": st.sampled_from([0, 1, "50%"]),
        "maxUnavailable": st.sampled_from([0, 1, "50%"]),
        "scaleDownDelaySeconds": st.sampled_from([0, 30]),
        "scaleDownDelayRevisionLimit": st.sampled_from([0, 1]),
        "abortScaleDownDelaySeconds": st.sampled_from([0, 10]),
    },
)
limits = st.fixed_dictionaries(
    {"revisionHistoryLimit": st.sampled_from([0, 1])},
    optional={
        "progressDeadlineSeconds": st.sampled_from([60, 600]),
        "progressDeadlineAbort": st.booleans(),
        "analysis": st.just({"successfulRunHistoryLimit": 0, "unsuccessfulRunHistoryLimit": 0}),
        "rollbackWindow": st.just({"revisions": 2}),
    },
)
images = st.sampled_from(["v1", "v2", "v3", "v4"])
