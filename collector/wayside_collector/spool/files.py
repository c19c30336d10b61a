"""Segment files: blocks appended, synced, read back and checked. Only the spool's writer thread appends."""

import contextlib
import os
import struct
import threading
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from .batch import Extent

CHAINS = ("scalars", "system", "events")  #: a file holds batches of one class, so that a class can be dropped whole
ROWS, EVENTS, CONTEXT = 1, 2, 3
ROLL_SIZE = 16 << 20  #: bytes of a file before the next is begun: what a limit drops at once
ROLL_AGE = 3600.0  #: seconds, likewise: what is delivered leaves the disk within the hour
PAGE = 64 << 10  #: bytes read at a time where blocks are small
MAX_PAGES = 16  #: of these in memory, a megabyte: some for each sink, wherever it is reading
MAGIC = 0x4C50_5357  #: "WSPL"
_MAGIC = struct.pack("<I", MAGIC)
_FIELDS = struct.Struct("<II16sQQQdQI")
HEADER = struct.Struct("<II16sQQQdQII")


class Block(NamedTuple):
    """A block's header. batch: its number in the index. crc: of the bytes that follow."""

    kind: int
    session: bytes
    batch: int
    first_seq: int
    next_seq: int
    time: float
    length: int
    crc: int


class Damaged(Exception):
    """A block whose bytes are not those that were written."""


def pack_block(block: Block) -> bytes:
    head = _FIELDS.pack(MAGIC, *block)
    return head + struct.pack("<I", zlib.crc32(head))


def read_block(data: bytes, offset: int = 0) -> Block:
    """A block's header at `offset`; raises Damaged."""
    try:
        magic, *fields, check = HEADER.unpack_from(data, offset)
    except struct.error:
        raise Damaged("the file ends within a block's header") from None
    if magic != MAGIC or zlib.crc32(data[offset : offset + _FIELDS.size]) != check:
        raise Damaged("a block's header fails its checksum")
    return Block(*fields)


def read_blocks(data: bytes) -> Iterator[tuple[int, Block | None, bytes]]:
    """Every block of a file's bytes: its offset, its header and what it holds. A header of None stands for bytes that
    fail their checksum; where it is the header that does, the next one that is whole is looked for.
    """
    offset = 0
    while offset < len(data):
        try:
            block = read_block(data, offset)
        except Damaged:
            yield offset, None, b""
            offset = _next_header(data, offset + 8)
            continue
        held = data[offset + HEADER.size : offset + HEADER.size + block.length]
        whole = len(held) == block.length and zlib.crc32(held) == block.crc
        yield offset, block if whole else None, held
        offset += HEADER.size + block.length + -block.length % 8


def _next_header(data: bytes, start: int) -> int:
    """Where the next whole header begins, at `start` or after it; the end of the bytes when there is none."""
    offset = data.find(_MAGIC, start)
    while offset >= 0:
        if offset % 8 == 0:
            with contextlib.suppress(Damaged):
                read_block(data, offset)
                return offset
        offset = data.find(_MAGIC, offset + 1)
    return len(data)


def file_name(chain: str, number: int) -> str:
    return f"{chain}-{number:08d}.spool"


def segment_files(folder: Path) -> list[tuple[int, str, Path]]:
    """Number, chain and path of every segment file in a folder, oldest first."""
    found = []
    for path in folder.glob("*-*.spool"):
        chain, _, number = path.stem.rpartition("-")
        if chain in CHAINS and number.isdigit():
            found.append((int(number), chain, path))
    return sorted(found)


@dataclass(slots=True)
class Active:
    """The file of a chain that is appended to. committed: its size at the last transaction, 0 before its first."""

    number: int
    chain: str
    fd: int
    size: int
    born: float
    dirty: bool = False
    committed: int = 0


class Files:
    """The segment files of one folder. Writing belongs to one thread; reading may be done from any."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.active: dict[str, Active] = {}
        self._full: list[Active] = []  # appended to no more, and not counted yet
        self._names: dict[int, str] = {}
        self._sizes: dict[int, int] = {}
        self._pages: OrderedDict[tuple[int, int], bytes] = OrderedDict()  # (file, number), the latest read last
        self._paging = threading.Lock()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(list(self._sizes.values()))

    def know(self, number: int, chain: str) -> None:
        """A file that exists from before."""
        self._names[number] = file_name(chain, number)
        with contextlib.suppress(FileNotFoundError):
            self._sizes[number] = (self.folder / self._names[number]).stat().st_size

    def begin(self, chain: str, number: int, now: float) -> Active:
        """A new file for a chain; its name is synced to the folder before anything in it counts. Raises OSError."""
        path = self.folder / file_name(chain, number)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        try:
            sync_folder(self.folder)
        except OSError:
            os.close(fd)
            os.unlink(path)
            raise
        self._names[number] = path.name
        self._sizes[number] = 0
        self.active[chain] = Active(number, chain, fd, 0, now)
        return self.active[chain]

    def append(self, active: Active, block: Block, data: bytes) -> Extent:
        """Write a block at a file's end. Raises OSError, after which it must be given up (`abandon`)."""
        offset = active.size
        whole = pack_block(block) + data + b"\0" * (-len(data) % 8)
        active.dirty = True
        written = 0
        while written < len(whole):
            written += os.pwrite(active.fd, memoryview(whole)[written:], offset + written)
        active.size += len(whole)
        self._sizes[active.number] = active.size
        return Extent(active.number, offset, len(data))

    def sync(self) -> None:
        """Everything appended so far is on disk when this returns; raises OSError."""
        for active in self.uncounted:
            self.sync_one(active)

    def sync_one(self, active: Active) -> None:
        if active.dirty:
            os.fdatasync(active.fd)
            active.dirty = False

    @property
    def uncounted(self) -> list[Active]:
        """Files of which the last transaction may not know all, whether more is appended to them or not. From any
        thread: one that is just full may then be told twice, and is never left out.
        """
        return [*list(self.active.values()), *self._full]

    def count(self) -> None:
        """A transaction knows of everything that was appended."""
        for active in self.uncounted:
            active.committed = active.size
        self._close_full()

    def close_chain(self, chain: str) -> None:
        """No more is appended to this file: it is full or old. What of it does not count yet is synced, and told to the
        next transaction, like that of any other: one cycle may fill several.
        """
        active = self.active.get(chain)
        if active is not None:
            if active.committed < active.size:
                self._full.append(active)
            else:
                os.close(active.fd)
            del self.active[chain]

    def abandon(self) -> None:
        """After a failure: no file is appended to again, and what the last transaction does not know of goes."""
        for active in self.uncounted:
            with contextlib.suppress(OSError):
                if active.committed:
                    self._sizes[active.number] = active.committed
                    os.ftruncate(active.fd, active.committed)
                else:
                    self.unlink(active.number)
        self.close()

    def read(self, extent: Extent) -> bytes:
        """A block's bytes, checked; raises Damaged, or OSError when the file is gone. From any thread."""
        size = HEADER.size + extent.length
        if size <= PAGE // 2:
            with contextlib.suppress(Damaged):  # a page may have been read while the block was being written
                return self._checked(extent, self._read_paged(extent.file, extent.offset, size))
        return self._checked(extent, self.read_raw(extent))

    def _checked(self, extent: Extent, whole: bytes) -> bytes:
        block = read_block(whole)
        data = whole[HEADER.size :]
        if len(data) != extent.length or block.length != extent.length or zlib.crc32(data) != block.crc:
            raise Damaged(f"{self._names.get(extent.file)} at byte {extent.offset} fails its checksum")
        return data

    def read_raw(self, extent: Extent) -> bytes:
        """A block as it lies there, header and bytes; raises OSError when the file is gone."""
        return self._pread(extent.file, HEADER.size + extent.length, extent.offset)

    def _read_paged(self, file: int, offset: int, size: int) -> bytes:
        """The same for small blocks, of which a page holds many: opening the file costs more than reading them."""
        first, start = divmod(offset, PAGE)
        found = self._page(file, first, min(PAGE, start + size))
        if start + size > PAGE:
            found += self._page(file, first + 1, start + size - PAGE)
        return found[start : start + size]

    def _page(self, file: int, number: int, least: int) -> bytes:
        """A page of a file, as long as the file is; `least` bytes of it are there."""
        with self._paging:
            found = self._pages.get((file, number), b"")
        if len(found) < least:
            found = self._pread(file, PAGE, number * PAGE)
        with self._paging:
            self._pages[file, number] = found
            self._pages.move_to_end((file, number))
            if len(self._pages) > MAX_PAGES:
                self._pages.popitem(last=False)
        return found

    def _pread(self, file: int, size: int, offset: int) -> bytes:
        name = self._names.get(file)
        if name is None:
            raise FileNotFoundError(f"segment file {file} is gone")
        fd = os.open(f"{self.folder}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(fd, size, offset)
        finally:
            os.close(fd)

    def unlink(self, number: int) -> None:
        """Remove a file; what is already gone is fine."""
        name = self._names.pop(number, None)
        self._sizes.pop(number, None)
        with self._paging:
            for key in [key for key in self._pages if key[0] == number]:
                del self._pages[key]
        if name is not None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.folder / name)

    def close(self) -> None:
        for active in self.active.values():
            os.close(active.fd)
        self.active.clear()
        self._close_full()

    def _close_full(self) -> None:
        full, self._full = self._full, []
        for active in full:
            os.close(active.fd)


def sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
