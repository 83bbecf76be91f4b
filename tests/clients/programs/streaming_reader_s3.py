"""MosaicML Streaming's downloader at S3, kept for as long as a training job keeps it; nothing is written."""

import os
import pathlib
import tempfile

from mosaic import download
from repeat import options, repeat

asked = options()
os.environ["S3_ENDPOINT_URL"] = asked.endpoint
downloader = download.CloudDownloader.get("s3://")
got = pathlib.Path(tempfile.mkdtemp()) / "in.bin"


def read():
    got.unlink(missing_ok=True)
    downloader.download(f"s3://{asked.bucket}/{asked.folder}/in.bin", str(got))
    return got.read_bytes()


repeat(asked, read)
