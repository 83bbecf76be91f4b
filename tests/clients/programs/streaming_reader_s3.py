"""MosaicML Streaming's downloader at S3, kept for as long as a training job keeps it; nothing is written."""

import os

from repeat import options, repeat
from streaming_copy import Read

asked = options()
os.environ["S3_ENDPOINT_URL"] = asked.endpoint

repeat(asked, Read(f"s3://{asked.bucket}/{asked.folder}"))
