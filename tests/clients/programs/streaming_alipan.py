"""MosaicML Streaming at Alipan, whose hosts are fixed in alipcs_py."""

from redirect import redirect
from repeat import options, repeat
from streaming_copy import Copy

asked = options()
redirect(asked.endpoint, ".aliyundrive.com", ".aliyundrive.net")

repeat(asked, Copy(f"alipan:///{asked.bucket}/{asked.folder}"))
