"""MosaicML Streaming's downloader at Azure Blob storage, by an account key of the environment, which may be a SAS."""

from redirect import redirect
from repeat import options, repeat
from streaming_copy import Read

asked = options()
redirect(asked.endpoint, ".blob.core.windows.net")

repeat(asked, Read(f"azure://host/{asked.bucket}/{asked.folder}"))
