"""databricks-sdk: the Files API of a workspace's volumes."""

import io

from databricks.sdk import WorkspaceClient
from repeat import options, repeat, tail

asked = options()
client = WorkspaceClient()
assert client.config.auth_type == "metadata-service"
folder = f"{asked.bucket}/{asked.folder}"


def copy():
    body = client.files.download(f"{folder}/in.bin").contents.read()
    client.files.upload(f"{folder}/out.bin", io.BytesIO(body), overwrite=True)
    return body


repeat(asked, copy, lambda: tail(client.config.authenticate()["Authorization"].removeprefix("Bearer ")))
