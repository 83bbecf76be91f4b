"""obstore against Google Cloud Storage: Rust's object_store, which speaks the XML API."""

from obstore.store import GCSStore
from repeat import options, repeat

asked = options()
store = GCSStore(asked.bucket, base_url=asked.endpoint, client_options={"allow_http": True})


def copy():
    body = bytes(store.get(f"{asked.folder}/in.bin").bytes())
    store.put(f"{asked.folder}/out.bin", body)
    listed = [entry["path"] for batch in store.list(asked.folder) for entry in batch]
    assert f"{asked.folder}/out.bin" in listed
    return body


repeat(asked, copy)
