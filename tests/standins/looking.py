"""A process that looks at a journal all the time: the position it sees only grows, and covers whole frames.

    python looking.py FOLDER

Says "looking" when it begins, and "done" after a file `stop` appeared in the folder and it has looked often enough.
Ends with an AssertionError for what no reader may ever see.
"""

import contextlib
import mmap
import os
import sys
from pathlib import Path

from wayside import wire

ENOUGH = 50  #: looks at a segment
READS = 20_000  #: of the position of one that is being written: what is wrong for a moment must be met


def look_at(fd: int) -> bool:
    """Whether the segment was begun."""
    if os.pread(fd, 8, 0) in (b"", bytes(8)):  # just made, or prepared
        return False
    with mmap.mmap(fd, 0, prot=mmap.PROT_READ) as mapped, memoryview(mapped).cast("Q") as words:
        reads = range(1 if words[wire.SEALED_WORD] else READS)
        positions = [words[wire.POSITION_WORD] for _ in reads]
        assert positions[0] >= wire.HEADER_SIZE, positions[0]
        assert positions == sorted(positions)
    found = wire.scan(os.pread(fd, positions[-1], 0), wire.HEADER_SIZE)
    assert (found.end, found.error) == (positions[-1], None)
    return True


def main(folder: Path) -> None:
    looks = 0
    sys.stdout.write("looking\n")
    sys.stdout.flush()
    while not (folder / "stop").exists() or looks < ENOUGH:
        for path in sorted(folder.glob("*.seg")):
            with contextlib.suppress(FileNotFoundError):  # let go meanwhile
                fd = os.open(path, os.O_RDONLY)
                looks += look_at(fd)
                os.close(fd)
    sys.stdout.write(f"done {looks}\n")


main(Path(sys.argv[1]))
