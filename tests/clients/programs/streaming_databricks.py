"""MosaicML Streaming at a volume of Databricks' Unity Catalog; the SDK below finds the workspace by itself."""

from repeat import options, repeat
from streaming_copy import Copy

asked = options()

repeat(asked, Copy(f"dbfs:{asked.bucket}/{asked.folder}"))
