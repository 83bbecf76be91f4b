"""polars against Google Cloud Storage: told an endpoint, it uses the credentials of Rust's object_store inside it."""

import polars
from repeat import options, repeat

asked = options()
place = {"google_base_url": asked.endpoint, "allow_http": "true"}
folder = f"gs://{asked.bucket}/{asked.folder}"


def copy():
    frame = polars.DataFrame({"number": range(1000)})
    frame.write_parquet(f"{folder}/out.parquet", storage_options=place)
    assert polars.read_parquet(f"{folder}/out.parquet", storage_options=place).equals(frame)
    seen = polars.scan_parquet(f"{folder}/out.parquet", storage_options=place).select(polars.sum("number")).collect()
    assert seen.item() == 499_500
    return seen.write_csv().encode()


repeat(asked, copy)
