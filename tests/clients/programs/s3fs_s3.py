"""s3fs (and through it pandas, dask, zarr): aiobotocore below."""

import s3fs
from repeat import options, repeat

asked = options()
files = s3fs.S3FileSystem(endpoint_url=asked.endpoint, skip_instance_cache=True)
folder = f"{asked.bucket}/{asked.folder}"


def copy():
    files.invalidate_cache()
    with files.open(f"{folder}/in.bin", "rb") as source:
        body = source.read()
    with files.open(f"{folder}/out.bin", "wb") as target:
        target.write(body)
    assert f"{folder}/out.bin" in files.ls(folder, refresh=True)
    return body


repeat(asked, copy)
