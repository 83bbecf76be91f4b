"""MosaicML Streaming at Azure Blob storage, whose host it makes of AZURE_ACCOUNT_NAME.

Its downloader expects the container behind a host, its uploader in place of one.
"""

from redirect import redirect
from repeat import options, repeat
from streaming_copy import Copy

asked = options()
redirect(asked.endpoint, ".blob.core.windows.net")
there = f"{asked.bucket}/{asked.folder}"

repeat(asked, Copy(f"azure://host/{there}", f"azure://{there}"))
