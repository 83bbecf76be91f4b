"""What the programs with MosaicML Streaming share: its downloader and its uploader for a remote folder.

Both are kept, as a training job keeps them.
"""

import pathlib
import shutil
import tempfile

from mosaic import download, upload


class Read:
    """in.bin down."""

    def __init__(self, remote):
        self.remote = remote
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.downloader = download.CloudDownloader.get(remote)

    def __call__(self):
        got = self.folder / "in.bin"
        got.unlink(missing_ok=True)
        self.downloader.download(f"{self.remote}/in.bin", str(got))
        return got.read_bytes()


class Copy(Read):
    """in.bin down and out.bin up."""

    def __init__(self, remote, target=None):
        super().__init__(remote)
        self.up = self.folder / "up"
        self.uploader = upload.CloudUploader.get((str(self.up), target or remote))

    def __call__(self):
        body = super().__call__()
        shutil.copy(self.folder / "in.bin", self.up / "out.bin")
        self.uploader.upload_file("out.bin")
        return body
