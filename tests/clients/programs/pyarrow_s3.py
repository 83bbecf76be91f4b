"""pyarrow's S3FileSystem: the AWS SDK for C++."""

from pyarrow import fs
from repeat import options, repeat

asked = options()
scheme, _, host = asked.endpoint.partition("://")
files = fs.S3FileSystem(endpoint_override=host, scheme=scheme)
folder = f"{asked.bucket}/{asked.folder}"


def copy():
    with files.open_input_file(f"{folder}/in.bin") as source:
        body = source.read()
    with files.open_output_stream(f"{folder}/out.bin") as target:
        target.write(body)
    assert files.get_file_info(f"{folder}/out.bin").size == len(body)
    assert len(files.get_file_info(fs.FileSelector(folder))) >= 2
    return body


repeat(asked, copy)
