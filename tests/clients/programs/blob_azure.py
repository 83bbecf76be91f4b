"""azure-storage-blob with the default credentials of azure-identity."""

from azure.identity import DefaultAzureCredential
from azure.storage.blob import ContainerClient
from repeat import options, repeat, tail

asked = options()
credential = DefaultAzureCredential()
container = ContainerClient(asked.endpoint, asked.bucket, credential=credential)


def copy():
    body = container.download_blob(f"{asked.folder}/in.bin").readall()
    container.upload_blob(f"{asked.folder}/out.bin", body, overwrite=True)
    assert f"{asked.folder}/out.bin" in list(container.list_blob_names(name_starts_with=f"{asked.folder}/"))
    return body


repeat(asked, copy, lambda: tail(credential.get_token("https://storage.azure.com/.default").token))
