"""Segment files on a disk that fails as it is told."""

import errno
import os
from pathlib import Path

from wayside_collector.spool import Extent, Files
from wayside_collector.spool.files import Active, Block


class FailingFiles(Files):
    """room: bytes that may still be appended, None for any number. fail_syncs: how many syncs fail from now on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.room: int | None = None
        self.fail_syncs = 0
        self.syncs = 0

    def append(self, active: Active, block: Block, data: bytes) -> Extent:
        if self.room is not None and len(data) > self.room:
            os.pwrite(active.fd, data[: self.room // 2], active.size)  # as a full disk does: some of it
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.room is not None:
            self.room -= len(data)
        return super().append(active, block, data)

    def sync(self) -> None:
        self.syncs += 1
        if self.fail_syncs:
            self.fail_syncs -= 1
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().sync()
