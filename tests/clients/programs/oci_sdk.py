"""The OCI SDK for Python, with the resource principal that its environment describes."""

import oci
from oci.auth.signers import get_resource_principals_signer
from repeat import options, repeat, tail

asked = options()
signer = get_resource_principals_signer()
# It has no variable for an endpoint.
storage = oci.object_storage.ObjectStorageClient({"region": signer.region}, signer=signer, service_endpoint=asked.endpoint)
namespace = storage.get_namespace().data


def copy():
    body = storage.get_object(namespace, asked.bucket, f"{asked.folder}/in.bin").data.content
    storage.put_object(namespace, asked.bucket, f"{asked.folder}/out.bin", body)
    return body


repeat(asked, copy, lambda: tail(signer.security_token.security_token))
