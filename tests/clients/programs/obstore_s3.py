"""obstore: Rust's object_store, as delta-rs, icechunk and polars have it inside."""

from obstore.store import S3Store
from repeat import options, repeat

asked = options()
place = {"endpoint": asked.endpoint} if asked.endpoint else {}
store = S3Store(asked.bucket, **place, client_options={"allow_http": True})


def copy():
    body = bytes(store.get(f"{asked.folder}/in.bin").bytes())
    store.put(f"{asked.folder}/out.bin", body)
    listed = [entry["path"] for batch in store.list(asked.folder) for entry in batch]
    assert f"{asked.folder}/out.bin" in listed
    return body


repeat(asked, copy)
