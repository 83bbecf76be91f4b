"""adlfs (and through it pandas, dask, zarr): azure-identity's asynchronous side below."""

import os

import adlfs
from repeat import options, repeat

asked = options()
files = adlfs.AzureBlobFileSystem(
    account_name=os.environ["AZURE_ACCOUNT_NAME"],
    account_host=asked.endpoint.removeprefix("https://"),
    skip_instance_cache=True,
)
folder = f"{asked.bucket}/{asked.folder}"


def copy():
    files.invalidate_cache()
    with files.open(f"{folder}/in.bin", "rb") as source:
        body = source.read()
    with files.open(f"{folder}/out.bin", "wb") as target:
        target.write(body)
    assert f"{folder}/out.bin" in files.ls(folder)
    return body


repeat(asked, copy)
