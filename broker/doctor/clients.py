"""The table of clients: how each is found, and the chain it follows. Pure. A new client is a line here."""

import msgspec

from broker.doctor import aws_cpp, azure, botocore, databricks, google, object_store, oracle, rclone
from broker.doctor.chain import Chain, Prediction, Step, variable, winner
from broker.doctor.facts import Facts
from broker.model import Kind


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """A client of a cloud: found by one of these distributions or commands; `instead` is the chain with `beside`."""

    name: str
    cloud: str
    chain: Chain
    distributions: tuple[str, ...] = ()
    command: str | None = None
    beside: str | None = None
    instead: Chain = ()

    def is_there(self, facts: Facts) -> bool:
        """Whether the worker has it."""
        return self.command in facts.commands or bool(facts.distributions.intersection(self.distributions))

    def prediction(self, facts: Facts) -> Prediction:
        """What it will do."""
        return winner(self.instead if self.beside in facts.distributions else self.chain, facts)


AWS, GOOGLE = Kind.AWS.value, Kind.GOOGLE.value
AZURE, DATABRICKS, OCI = Kind.AZURE.value, Kind.DATABRICKS.value, Kind.OCI.value

_DUCKDB: Chain = (Step("environment", variable("AWS_ACCESS_KEY_ID")), *aws_cpp.CHAIN)

CLIENTS = (
    Client(name="boto3", cloud=AWS, chain=botocore.CHAIN, distributions=("boto3", "botocore")),
    Client(name="aws", cloud=AWS, chain=botocore.CHAIN, command="aws"),
    Client(name="s3fs", cloud=AWS, chain=botocore.CHAIN, distributions=("s3fs", "aiobotocore")),
    Client(name="pyarrow", cloud=AWS, chain=aws_cpp.CHAIN, distributions=("pyarrow",)),
    Client(name="obstore", cloud=AWS, chain=object_store.AWS, distributions=("obstore",)),
    Client(
        name="polars", cloud=AWS, chain=object_store.POLARS_AWS, distributions=("polars",),
        beside="boto3", instead=botocore.CHAIN,
    ),
    Client(name="polars (native)", cloud=AWS, chain=object_store.POLARS_AWS, distributions=("polars",)),
    Client(name="duckdb", cloud=AWS, chain=_DUCKDB, distributions=("duckdb",), command="duckdb"),
    Client(name="rclone", cloud=AWS, chain=rclone.AWS, command="rclone"),
    Client(name="google-auth", cloud=GOOGLE, chain=google.AUTH, distributions=("google-auth",)),
    Client(name="gcsfs", cloud=GOOGLE, chain=google.AUTH, distributions=("gcsfs",)),
    Client(name="pyarrow", cloud=GOOGLE, chain=google.CPP, distributions=("pyarrow",)),
    Client(name="obstore", cloud=GOOGLE, chain=object_store.GOOGLE, distributions=("obstore",)),
    Client(
        name="polars", cloud=GOOGLE, chain=object_store.GOOGLE, distributions=("polars",),
        beside="google-auth", instead=google.AUTH,
    ),
    Client(name="polars (native)", cloud=GOOGLE, chain=object_store.GOOGLE, distributions=("polars",)),
    Client(name="gcloud", cloud=GOOGLE, chain=google.GCLOUD, command="gcloud"),
    Client(name="rclone", cloud=GOOGLE, chain=rclone.GOOGLE, command="rclone"),
    Client(name="azure-identity", cloud=AZURE, chain=azure.IDENTITY, distributions=("azure-identity",)),
    Client(name="adlfs", cloud=AZURE, chain=azure.ADLFS, distributions=("adlfs",)),
    Client(name="databricks-sdk", cloud=DATABRICKS, chain=databricks.CHAIN, distributions=("databricks-sdk",)),
    Client(name="oci", cloud=OCI, chain=oracle.SDK, distributions=("oci",)),
    Client(name="ocifs", cloud=OCI, chain=oracle.OCIFS, distributions=("ocifs",)),
)  # fmt: skip
