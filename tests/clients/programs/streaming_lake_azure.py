"""MosaicML Streaming at Azure Data Lake: it reads by the account's Blob host and writes by its own. Both, with a comma."""

from redirect import redirect
from repeat import options, repeat
from streaming_copy import Copy

asked = options()
blob, _, lake = asked.endpoint.partition(",")
redirect(blob, ".blob.core.windows.net")
redirect(lake, ".dfs.core.windows.net")

repeat(asked, Copy(f"azure-dl://{asked.bucket}/{asked.folder}"))
