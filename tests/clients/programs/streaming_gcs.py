"""MosaicML Streaming at Google Cloud Storage, by the token of the environment."""

import os

from repeat import options, repeat, tail
from streaming_copy import Copy

asked = options()
if asked.endpoint:
    os.environ["STORAGE_EMULATOR_HOST"] = asked.endpoint  # google-cloud-storage reads it
copy = Copy(f"gs://{asked.bucket}/{asked.folder}")


def both():
    body = copy()
    assert f"{asked.folder}/out.bin" in copy.uploader.list_objects()
    return body


repeat(asked, both, lambda: tail(copy.downloader._gcs_client._credentials.token))
