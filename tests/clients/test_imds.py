"""Clients that are pointed at nothing but IMDSv2 read and write real objects by leases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.stage import Stage, bare, seen
from tests.clients.staging import REGION

pytestmark = pytest.mark.clients

# botocore and C++ read the one, Rust's object_store the other. Both are set for each, as the pages advise: a client
# that finds neither asks 169.254.169.254, which may be somebody's real instance.
ENDPOINTS = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_METADATA_ENDPOINT")
PROGRAMS = [
    "boto3_imds_s3", "boto3_s3", "aws_cli.sh", "obstore_s3", "s3fs_s3", "pyarrow_s3", "polars_s3", "polars_native_s3",
]  # fmt: skip
WRITES_ITS_OWN = {"polars_s3", "polars_native_s3"}  # Parquet, not the object that is there


@pytest.fixture(autouse=True)
def nothing_is_refused(stage: Stage) -> Iterator[None]:
    """No client shows the store anything that it refuses."""
    before = stage.refused()
    yield
    assert stage.refused() == before


@pytest.fixture
def pointed(stage: Stage, home: Path) -> dict[str, str]:
    """A shell that knows a region and where instance metadata is, and no other way to a credential."""
    endpoint = stage.with_env(bare(home))["CREDBROKER_WORKER"]
    return bare(home, AWS_REGION=REGION, AWS_DEFAULT_REGION=REGION, **dict.fromkeys(ENDPOINTS, endpoint))


class TestImdsAlone:
    @pytest.mark.parametrize("program", PROGRAMS)
    def test_a_client_works_with_the_leased_keys(self, stage: Stage, pointed: dict[str, str], program: str):
        """It takes the broker for EC2; every request is signed by a session key that the role gave."""
        folder = f"imds-{program}"
        there = stage.aws.put(f"{folder}/in.bin")

        saw = seen(stage.start(pointed, stage.command(program, folder)))

        assert program in WRITES_ITS_OWN or saw.sha256 == there == stage.aws.sha256(f"{folder}/out.bin")
        assert {key_id[:4] for key_id in stage.aws.answered(folder)} == {"ASIA"}
        assert set(saw.identities) <= set(stage.aws.answered(folder))

    def test_under_exec_nobody_asks_it(self, stage: Stage, home: Path):
        """There the container endpoint is the way, and instance metadata is switched off."""
        set_, unset = stage.with_env(bare(home)), stage.with_env(bare(home, **dict.fromkeys(ENDPOINTS, "http://x")))

        assert set_["AWS_EC2_METADATA_DISABLED"] == "true"
        assert unset.keys().isdisjoint(ENDPOINTS)
