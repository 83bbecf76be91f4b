"""What the programs with MosaicML Streaming share: its downloader and its uploader for a remote folder."""

import pathlib
import shutil
import tempfile

from mosaic import download, upload


class Copy:
    """in.bin down and out.bin up, by one downloader and one uploader that are kept, as a training job keeps them."""

    def __init__(self, remote, target=None):
        self.remote = remote
        self.folder = pathlib.Path(tempfile.mkdtemp())
        (self.folder / "up").mkdir()
        self.downloader = download.CloudDownloader.get(remote)
        self.uploader = upload.CloudUploader.get((str(self.folder / "up"), target or remote))

    def __call__(self):
        got = self.folder / "in.bin"
        got.unlink(missing_ok=True)
        self.downloader.download(f"{self.remote}/in.bin", str(got))
        shutil.copy(got, self.folder / "up" / "out.bin")
        self.uploader.upload_file("out.bin")
        return got.read_bytes()
