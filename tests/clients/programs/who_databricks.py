"""How databricks-sdk signs in by what it finds, and by which token."""

from databricks.sdk import WorkspaceClient
from repeat import tail

config = WorkspaceClient().config
print(tail(config.authenticate()["Authorization"].removeprefix("Bearer ")))
