"""Uploads a file with tuspy, as its arguments say, and prints the upload's URL."""

import argparse
import asyncio
import sys

from tusclient.client import TusClient
from tusclient.exceptions import TusUploadFailed
from tusclient.storage.filestorage import FileStorage

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("endpoint")
parser.add_argument("file")
parser.add_argument("--chunk", type=int, default=sys.maxsize, help="bytes of a chunk")
parser.add_argument("--checksum", action="store_true", help="send the SHA-1 of each chunk")
parser.add_argument("--wrong-at", type=int, help="send a wrong checksum with the chunk at this offset, and expect 460")
parser.add_argument("--stop-at", type=int, help="stop at this offset")
parser.add_argument("--urls", help="a file of URLs of uploads, by which they are found again")
parser.add_argument("--retries", type=int, default=0)
parser.add_argument("--asyncio", action="store_true")
arguments = parser.parse_args()

client = TusClient(arguments.endpoint)
uploader = (client.async_uploader if arguments.asyncio else client.uploader)(
    arguments.file,
    chunk_size=arguments.chunk,
    upload_checksum=arguments.checksum,
    metadata={"filename": "żółć.bin", "filetype": "application/x-test"},
    retries=arguments.retries,
    retry_delay=0.1,
    store_url=arguments.urls is not None,
    url_storage=FileStorage(arguments.urls) if arguments.urls else None,
)


class Wrong:
    """Hashes something else."""

    def __init__(self, chunk):
        self.hash = uploader.CHECKSUM_ALGORITHM_PAIR[1](chunk + b"!")

    def digest(self):
        return self.hash.digest()


if arguments.wrong_at is not None:
    uploader.upload(stop_at=arguments.wrong_at)
    uploader.stop_at = uploader.get_file_size()
    name = "_BaseUploader__checksum_algorithm"
    right = getattr(uploader, name)
    setattr(uploader, name, Wrong)
    try:
        uploader.upload_chunk()
        sys.exit("a wrong checksum was accepted")
    except TusUploadFailed as error:
        if error.status_code != 460:
            sys.exit(f"a wrong checksum was answered with {error.status_code}")
    setattr(uploader, name, right)
    if uploader.get_offset() != arguments.wrong_at:
        sys.exit(f"the offset is {uploader.get_offset()} after a chunk with a wrong checksum")

upload = uploader.upload(stop_at=arguments.stop_at)
if arguments.asyncio:
    asyncio.run(upload)
print(uploader.url)
