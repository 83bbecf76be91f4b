"""The OCI SDK for Python with the config file that it finds, as MosaicML Streaming uses it."""

import oci
from repeat import options, repeat

asked = options()
config = oci.config.from_file()
storage = oci.object_storage.ObjectStorageClient(config=config, service_endpoint=asked.endpoint)
namespace = storage.get_namespace().data


def copy():
    body = storage.get_object(namespace, asked.bucket, f"{asked.folder}/in.bin").data.content
    storage.put_object(namespace, asked.bucket, f"{asked.folder}/out.bin", body)
    return body


repeat(asked, copy, lambda: config["fingerprint"])
