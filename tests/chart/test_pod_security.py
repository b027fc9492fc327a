"""The pods satisfy the Pod Security Standard "restricted", rule by rule, and cannot write to their image."""

from tests.chart.rendering import Release

VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def test_nothing_of_the_host_is_shared(release: Release) -> None:
    spec, container = release.pod["spec"], release.container
    assert not {"hostNetwork", "hostPID", "hostIPC", "hostUsers", "initContainers", "ephemeralContainers"} & spec.keys()
    assert all("hostPort" not in port and "hostIP" not in port for port in container["ports"])
    assert all(
        "host" not in container[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    )
    assert "lifecycle" not in container
    for volume in spec["volumes"]:
        assert volume.keys() - {"name"} <= VOLUMES, volume


def test_no_privilege_is_taken_or_can_be(release: Release) -> None:
    context = release.container["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert not {"privileged", "procMount", "seLinuxOptions", "windowsOptions", "appArmorProfile"} & context.keys()
    pod = release.pod["spec"]["securityContext"]
    assert not {"sysctls", "seLinuxOptions", "windowsOptions", "appArmorProfile", "supplementalGroups"} & pod.keys()
    assert not any("apparmor" in key for key in release.pod["metadata"]["annotations"])


def test_the_pod_is_not_root_and_confined(release: Release) -> None:
    pod, container = release.pod["spec"]["securityContext"], release.container["securityContext"]
    assert pod["runAsNonRoot"] is True
    assert pod.get("runAsUser", 1) > 0
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"runAsUser", "runAsNonRoot", "seccompProfile"} & container.keys()


def test_the_cluster_may_choose_the_user(default: Release, bare: Release) -> None:
    assert default.pod["spec"]["securityContext"]["runAsUser"] == 65532
    assert "runAsUser" not in bare.pod["spec"]["securityContext"]


def test_only_bounded_volumes_can_be_written(release: Release) -> None:
    assert release.container["securityContext"]["readOnlyRootFilesystem"] is True
    volumes = {volume["name"]: volume for volume in release.pod["spec"]["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in release.container["volumeMounts"]}
    assert mounts == {"data": "/data", "tmp": "/tmp"}  # noqa: S108  in the pod
    assert all(volumes[name]["emptyDir"]["sizeLimit"] for name in mounts)


def test_memory_is_bounded(release: Release) -> None:
    assert release.container["resources"]["limits"]["memory"]
    assert release.container["resources"]["requests"].keys() == {"cpu", "memory"}
