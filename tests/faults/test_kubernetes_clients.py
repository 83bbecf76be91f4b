"""Unchanged boto3 and google-auth in a pod: with a sidecar on loopback, and with a daemon on the node's own address."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.stage import ROOT, Cloud
from tests.faults.podclients import Pod
from tests.faults.podstage import PodStage, staged


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with Cloud("tests.fakes.google_cloud", "--folder", str(tmp_path_factory.mktemp("google"))) as found:
        yield found


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, google: Cloud) -> Iterator[PodStage]:
    with staged(tmp_path_factory.mktemp("pods"), google) as found:
        yield found


@pytest.fixture
def pod(tmp_path: Path, stage: PodStage) -> Pod:
    found = Pod(tmp_path, stage.address)
    found.mount(stage.token())
    return found


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What happened in a node and a pod with networks of their own, which are gone when this has been told."""
    folder = tmp_path_factory.mktemp("node")
    command = ["unshare", "--net", sys.executable, "-m", "tests.faults.podnet", str(folder)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=180)
    assert run.returncode == 0, run.stderr
    told: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return told


@pytest.mark.clients
class TestSidecar:
    def test_boto3_knows_the_projected_token_file(self, stage: PodStage, pod: Pod):
        """It sends the file as it is, and the store takes the keys that it gets."""
        there = stage.aws.put("sidecar/in.bin")
        saw = pod.boto3(stage.aws, stage.aws.facts["s3"], "sidecar")

        assert saw.sha256 == there == stage.aws.sha256("sidecar/out.bin")
        assert {key_id[:4] for key_id in stage.aws.answered("sidecar")} == {"ASIA"}

    def test_google_auth_knows_the_swapped_token(self, stage: PodStage, pod: Pod, google: Cloud):
        """Behind the entrypoint of docs/kubernetes.md, which has it forget a stray key file."""
        there = google.put("sidecar/in.bin")
        saw = pod.google_auth(google, google.facts["gcs"], "sidecar")

        assert saw.sha256 == there == google.sha256("sidecar/out.bin")
        assert len(google.answered("sidecar")) == 1

    def test_the_audit_names_the_pod_for_both(self, stage: PodStage, pod: Pod, google: Cloud):
        """Who had which lease is what an operator asks first."""
        google.put("audit/in.bin")
        stage.aws.put("audit/in.bin")
        pod.boto3(stage.aws, stage.aws.facts["s3"], "audit")
        pod.google_auth(google, google.facts["gcs"], "audit")
        handed = [line for line in stage.audit() if line["event"] == "LeaseHanded"]

        assert {(line["dialect"], line["pod"]["name"]) for line in handed} == {("aws", "worker-0"), ("gcp", "worker-0")}


@pytest.mark.root
class TestNode:
    @pytest.mark.parametrize("family", ["ipv4", "ipv6"])
    def test_boto3_in_a_pod_reaches_the_daemon_of_its_node(self, seen: dict[str, Any], family: str):
        """The two addresses that it sends a token to without TLS, and no others."""
        assert seen[f"boto3 {family}"] == seen["aws there"]

    @pytest.mark.parametrize("family", ["ipv4", "ipv6"])
    def test_google_auth_in_a_pod_reaches_it_by_a_path_token(self, seen: dict[str, Any], family: str):
        """For which it swapped its own."""
        assert seen[f"google-auth {family}"] == seen["google there"]

    def test_nobody_else_is_served_there(self, seen: dict[str, Any]):
        """Neither a pod that shows something else, nor a process of the node, root included."""
        assert seen["refused in the pod"] == {"nothing": 401, "attested": 401, "a worker token": 401, "Bearer": 401}
        assert seen["refused on the node"] == {"nothing": 401, "attested": 401, "a worker token": 401}

    def test_the_worker_token_was_a_good_one(self, seen: dict[str, Any]):
        """On loopback, which no pod reaches, it opens what it was issued for."""
        assert seen["the worker token on loopback"] == 200
        assert seen["loopback from the pod"] == "refused"

    def test_a_path_token_opens_nothing_for_a_neighbour(self, seen: dict[str, Any]):
        """Nor for a process of the node that has read it in a log, root included."""
        assert seen["a path token"] == {
            "its pod": 200,
            "its neighbour": 401,
            "the node": 401,
            "the node's loopback": 401,
        }

    @pytest.mark.parametrize("family", ["ipv4", "ipv6"])
    def test_a_pod_that_floods_the_broker_keeps_no_other_waiting(self, seen: dict[str, Any], family: str):
        """Five tokens that nobody has seen before are each reviewed within the wait of one request."""
        assert seen[f"beside a flood {family}"] == [200] * 5

    def test_the_audit_names_the_pods(self, seen: dict[str, Any]):
        """By what their cluster says, and not by their addresses."""
        assert seen["pods in the audit"] == ["worker-0", "worker-1"]
