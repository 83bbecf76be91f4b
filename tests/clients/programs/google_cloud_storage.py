"""google-cloud-storage with the default credentials."""

from google.cloud import storage
from repeat import options, repeat, tail

asked = options()
client = storage.Client(client_options={"api_endpoint": asked.endpoint})
bucket = client.bucket(asked.bucket)


def copy():
    body = bucket.blob(f"{asked.folder}/in.bin").download_as_bytes()
    bucket.blob(f"{asked.folder}/out.bin").upload_from_string(body)
    assert f"{asked.folder}/out.bin" in [blob.name for blob in client.list_blobs(bucket, prefix=f"{asked.folder}/")]
    return body


repeat(asked, copy, lambda: tail(client._credentials.token))
