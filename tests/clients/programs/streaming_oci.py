"""MosaicML Streaming at Oracle's object storage, by the config file that the OCI SDK finds; its host is the region's."""

from redirect import redirect
from repeat import options, repeat
from streaming_copy import Copy

asked = options()
redirect(asked.endpoint, ".oraclecloud.com")
copy = Copy(f"oci://{asked.bucket}@acme/{asked.folder}")


def both():
    body = copy()
    assert f"{asked.folder}/out.bin" in copy.uploader.list_objects()
    return body


repeat(asked, both, lambda: copy.uploader.client.base_client.signer.api_key.rpartition("/")[2])
