"""obstore: object_store's own Azure client, in Rust."""

import os

import obstore
from obstore.store import AzureStore
from repeat import options, repeat

asked = options()
store = AzureStore(
    asked.bucket,
    account_name=os.environ["AZURE_ACCOUNT_NAME"],
    endpoint=asked.endpoint,
    client_options={"allow_invalid_certificates": True},  # Azurite's is nobody's that Rust knows
)


def copy():
    body = bytes(obstore.get(store, f"{asked.folder}/in.bin").bytes())
    obstore.put(store, f"{asked.folder}/out.bin", body)
    assert f"{asked.folder}/out.bin" in [one["path"] for part in obstore.list(store, asked.folder) for one in part]
    return body


repeat(asked, copy)
