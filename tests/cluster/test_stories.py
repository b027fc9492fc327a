"""Stories of the sandbox, told on a real control plane: those that meet controllers, a gateway or a Git host."""

# ruff: noqa: F401  pytest finds them here

import pytest

from tests.cluster.binaries import MINORS
from tests.stories.test_analysis import (
    test_a_metrics_store_that_is_down_pauses_the_rollout_which_goes_on_when_it_is_back,
    test_errors_of_a_version_take_its_traffic_before_its_commit_is_taken_back_in_git,
)
from tests.stories.test_command_line import (
    test_a_failed_version_is_held_until_it_is_released,
    test_restart_replaces_every_pod_and_clients_notice_nothing,
)
from tests.stories.test_git_trouble import (
    test_with_the_host_down_traffic_is_safe_at_once_and_the_revert_comes_when_it_is_back,
)
from tests.stories.test_gitops import (
    test_a_removed_file_is_pruned_and_a_broken_one_prunes_nothing,
    test_drift_of_a_route_in_the_middle_of_a_canary_is_repaired_and_the_weight_is_kept,
)
from tests.stories.test_ownership import (
    test_two_rollouts_share_a_route_and_each_gives_its_own_weights_back,
)
from tests.stories.test_ratio import test_an_abort_brings_the_old_pods_back_without_a_gap
from tests.stories.test_rollouts import (
    test_a_version_that_never_becomes_ready_passes_the_deadline_and_stable_keeps_serving,
    test_deleting_a_rollout_gives_the_route_and_the_services_back,
    test_scaling_in_the_middle_keeps_the_step_and_the_weight_that_pods_carry,
)

pytestmark = pytest.mark.parametrize("box", MINORS[:1], indirect=True)
