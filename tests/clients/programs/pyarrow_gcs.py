"""pyarrow's GcsFileSystem: google-cloud-cpp."""

import datetime

from pyarrow import fs
from repeat import options, repeat

asked = options()
scheme, _, host = asked.endpoint.partition("://")
files = fs.GcsFileSystem(endpoint_override=host, scheme=scheme, retry_time_limit=datetime.timedelta(seconds=20))
folder = f"{asked.bucket}/{asked.folder}"


def copy():
    with files.open_input_file(f"{folder}/in.bin") as source:
        body = source.read()
    with files.open_output_stream(f"{folder}/out.bin") as target:
        target.write(body)
    assert files.get_file_info(f"{folder}/out.bin").size == len(body)
    return body


repeat(asked, copy)
