"""MosaicML Streaming at S3: it reads S3_ENDPOINT_URL, and knows no other way to be told where the store is.

Two buckets with a comma between: from the one, to the other.
"""

import os

from repeat import options, repeat
from streaming_copy import Copy

asked = options()
if asked.endpoint:
    os.environ["S3_ENDPOINT_URL"] = asked.endpoint
source, _, target = asked.bucket.partition(",")
copy = Copy(f"s3://{source}/{asked.folder}", f"s3://{target or source}/{asked.folder}")


def identity():
    # The downloader dropped its credentials if this is none: see its answer to an error 400.
    return copy.downloader._s3_client._request_signer._credentials.get_frozen_credentials().access_key


def both():
    body = copy()
    assert f"{asked.folder}/out.bin" in copy.uploader.list_objects()
    return body


repeat(asked, both, identity)
