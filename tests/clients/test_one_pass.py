"""Every unchanged client reads and writes real objects through the broker, under `exec` and after `env`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.stage import Stage, bare, seen

pytestmark = pytest.mark.clients

AWS = [
    "boto3_s3", "aws_cli.sh", "s3fs_s3", "pyarrow_s3", "obstore_s3", "polars_s3", "polars_native_s3", "streaming_s3",
]  # fmt: skip
GOOGLE = [
    "google_auth", "google_cloud_storage", "gcsfs_gcs", "pyarrow_gcs", "obstore_gcs", "polars_gcs",
    "coiled", "token_file", "streaming_gcs",
]  # fmt: skip
WRITES_ITS_OWN = {"polars_s3", "polars_native_s3", "polars_gcs"}  # Parquet, not the object that is there


@pytest.fixture(autouse=True)
def nothing_is_refused(stage: Stage) -> Iterator[None]:
    """No client shows a store anything that the store refuses, not even once before it tries again."""
    before = stage.refused()
    yield
    assert stage.refused() == before


class TestUnderExec:
    @pytest.mark.parametrize("program", AWS)
    def test_an_aws_client_works_with_the_leased_keys_alone(self, stage: Stage, home: Path, program: str):
        """Every request is signed by a session key that the role gave."""
        folder = f"exec-{program}"
        there = stage.aws.put(f"{folder}/in.bin")

        saw = seen(stage.under_exec(bare(home), stage.command(program, folder)))

        assert program in WRITES_ITS_OWN or saw.sha256 == there == stage.aws.sha256(f"{folder}/out.bin")
        assert {key_id[:4] for key_id in stage.aws.answered(folder)} == {"ASIA"}

    @pytest.mark.parametrize("program", GOOGLE)
    def test_a_google_client_works_with_the_leased_token_alone(self, stage: Stage, home: Path, program: str):
        """One live token, and the client names the same one where it knows it."""
        folder = f"exec-{program}"
        there = stage.google.put(f"{folder}/in.bin")

        saw = seen(stage.under_exec(bare(home), stage.command(program, folder)))

        assert program in WRITES_ITS_OWN or saw.sha256 == there == stage.google.sha256(f"{folder}/out.bin")
        assert len(stage.google.answered(folder)) == 1
        assert set(saw.identities) <= set(stage.google.answered(folder))


class TestAfterEnv:
    @pytest.mark.parametrize("program", [*AWS, *(program for program in GOOGLE if program != "token_file")])
    def test_a_client_works_in_an_evaluated_environment(self, stage: Stage, home: Path, program: str):
        """`eval "$(credbroker env)"` is enough; only the token file is `exec`'s."""
        folder, cloud = f"env-{program}", stage.cloud(program)
        there = cloud.put(f"{folder}/in.bin")

        saw = seen(stage.start(stage.with_env(bare(home)), stage.command(program, folder)))

        assert program in WRITES_ITS_OWN or saw.sha256 == there == cloud.sha256(f"{folder}/out.bin")
        assert cloud.answered(folder)
