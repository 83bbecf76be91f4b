"""What makes Azure's libraries in a worker use the broker and nothing else. Pure."""

from broker.worker_env.environment import Environment, Plane

UNSET = (
    "IDENTITY_SERVER_THUMBPRINT",  # Service Fabric's, which azure-identity would take this for
    "MSI_ENDPOINT",
    "MSI_SECRET",
    "AZURE_CLIENT_ID",  # would be asked for by DefaultAzureCredential; without one it is the first credential
    "AZURE_CLIENT_SECRET",
    "AZURE_CLIENT_CERTIFICATE_PATH",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_USERNAME",
    "AZURE_PASSWORD",
    "AZURE_ACCOUNT_ACCESS_KEY",  # MosaicML Streaming; it beats every token
    "AZURE_STORAGE_ANON",  # adlfs, with the six below; object_store and the CLI read some of them too
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_CLIENT_ID",
    "AZURE_STORAGE_CLIENT_SECRET",
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_STORAGE_TENANT_ID",
    "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_TOKEN",
)


def azure_environment(plane: Plane) -> Environment:
    """The Azure part of a worker's environment. Which credential is meant, a client says by `client_id`, if at all."""
    return Environment(
        set=(
            ("IDENTITY_ENDPOINT", f"http://{plane.address}/azure/token"),
            ("IDENTITY_HEADER", plane.authorization),
            ("AZURE_TOKEN_CREDENTIALS", "managedidentitycredential"),  # a login of `az` is not even looked for
        ),
        unset=UNSET,
    )
