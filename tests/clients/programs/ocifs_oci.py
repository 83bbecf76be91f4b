"""ocifs, which finds out by its environment how to sign."""

import ocifs
from repeat import options, repeat

asked = options()
files = ocifs.OCIFileSystem(config={}, config_kwargs={"service_endpoint": asked.endpoint})


def copy():
    with files.open(f"oci://{asked.bucket}@acme/{asked.folder}/in.bin", "rb") as file:
        body = file.read()
    with files.open(f"oci://{asked.bucket}@acme/{asked.folder}/out.bin", "wb") as file:
        file.write(body)
    return body


repeat(asked, copy)
