"""polars with its own credential provider, the one of Rust's object_store inside it: as where boto3 is not installed."""

import polars
from repeat import options, repeat

asked = options()
place = {"endpoint_url": asked.endpoint, "allow_http": "true"}
folder = f"s3://{asked.bucket}/{asked.folder}"


def copy():
    frame = polars.DataFrame({"number": range(1000)})
    frame.write_parquet(f"{folder}/out.parquet", storage_options=place, credential_provider=None)
    assert polars.read_parquet(f"{folder}/out.parquet", storage_options=place, credential_provider=None).equals(frame)
    seen = polars.scan_parquet(f"{folder}/out.parquet", storage_options=place, credential_provider=None).select(polars.sum("number")).collect()
    assert seen.item() == 499_500
    return seen.write_csv().encode()


repeat(asked, copy)
