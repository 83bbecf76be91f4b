"""MosaicML Streaming at Google Cloud Storage with GCS_KEY and GCS_SECRET, where it speaks S3 to a host that is fixed."""

from redirect import redirect
from repeat import options, repeat
from streaming_copy import Copy

asked = options()
redirect(asked.endpoint, "storage.googleapis.com", ".storage.googleapis.com")

repeat(asked, Copy(f"gs://{asked.bucket}/{asked.folder}"))
