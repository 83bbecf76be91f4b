"""The fake STS and the fake S3 in one process, over one registry of keys.

    python -m tests.fakes.aws_cloud --lifetime 75

prints one line of JSON with the addresses, a user's keys and the roles; see `steered` for what it then obeys.
"""

import argparse

from tests.fakes.minio_rules import MinioRules
from tests.fakes.objects import Buckets
from tests.fakes.s3 import FakeS3, Terms
from tests.fakes.steered import obey
from tests.fakes.sts import FakeSts
from tests.fakes.sts_rules import Rules
from tests.fakes.tally import by_folder

BUCKET = "data"
TERMS = {"paid": Terms(requester_pays=True), "shared": Terms(acl="bucket-owner-full-control")}


class AwsCloud:
    """A running STS with a store of one bucket, and two of other people's."""

    def __init__(self, sts: FakeSts) -> None:
        self.buckets = Buckets(BUCKET, *TERMS)
        self._sts = sts
        self._s3 = FakeS3(sts.registry.find, self.buckets, terms=TERMS)
        self._served = self._s3.serve()

    def introduction(self) -> dict[str, object]:
        """Where everything is."""
        user = self._sts.world.users[0]
        return {
            "sts": self._sts.url,
            "s3": self._served.url,
            "bucket": BUCKET,
            "user": [user.access_key_id, user.secret],
            "roles": [role.arn for role in self._sts.world.roles],
        }

    def tally(self) -> dict[str, object]:
        """Identities are access key ids."""
        return {
            "answered": by_folder(self._s3.answered),
            "refused": dict(self._s3.refused),
            "minted": len(self._sts.registry.issued),
        }

    def stop(self) -> None:
        """No key is issued any more; those that live are still good at the store."""
        self._sts.__exit__()

    def start(self) -> None:
        """It is issued again."""
        self._sts.come_back()


def main() -> None:
    """Serve until the end of standard input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lifetime", type=float, help="seconds that session keys live, whatever is asked for")
    parser.add_argument("--minio", action="store_true", help="an STS as MinIO has it")
    options = parser.parse_args()
    rules = MinioRules if options.minio else Rules
    obey(AwsCloud(FakeSts(lifetime=options.lifetime, rules=rules).__enter__()))


if __name__ == "__main__":
    main()
