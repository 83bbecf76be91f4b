"""azure-storage-blob with an account key of the environment, which may be a SAS."""

import os

from azure.storage.blob import BlobServiceClient
from repeat import options, repeat

asked = options()
service = BlobServiceClient(account_url=asked.endpoint, credential=os.environ["AZURE_ACCOUNT_ACCESS_KEY"])
container = service.get_container_client(asked.bucket)


def copy():
    body = container.download_blob(f"{asked.folder}/in.bin").readall()
    container.upload_blob(f"{asked.folder}/out.bin", body, overwrite=True)
    assert f"{asked.folder}/out.bin" in list(container.list_blob_names(name_starts_with=f"{asked.folder}/"))
    return body


repeat(asked, copy)
