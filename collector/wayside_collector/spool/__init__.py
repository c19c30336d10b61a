"""The spool: the durable queue between what comes in and what goes out. Bytes in, the same bytes out; nothing here
knows rows, but for `salvage.py`, which counts again what the frames hold when the database is lost.

On disk, below one folder that one collector owns (`lock`, a POSIX lock; its text says who):

    spool.db                  a small SQLite database (WAL, synchronous=FULL): what is where, and every account
    scalars-00000001.spool    segment files, append-only, one chain for each class: scalars, system, events
    media/                    files that came with events (`media_folder.py`)
    damaged/                  what failed its checksum, kept for a person to look at
    ballast                   space given back when the disk is full, so that the database can still say so

A segment file is blocks, one after the other, each a header of 72 bytes and its bytes, padded to eight:

    0  magic u32 · kind u32 (1 rows, 2 events, 3 context)      8  session id, 16 bytes       24 batch u64
    32 first_seq u64     40 next_seq u64     48 time f64     56 length u64     64 crc32 of the bytes · crc32 of 0-64

A context block holds the session's record and the schemas its rows in this file use, before their first use: a file
can be read without the database. Its first_seq is the session's key there. What a database row refers to is a
*batch*: consecutive rows and events of one session, in at most one rows block and one events block. Batches are
numbered in the order they are written, and a number is never used again, so a database made anew from the files
(`salvage.py`) means the same by them.

One transaction, made after the blocks are synced, contains the batches, the sessions' totals, and every cursor,
account, dead letter and state blob of sinks that came in since the last. So what is told to be stored is on disk, and
cursor, books and state of a sink are always those of one moment. A crash before the transaction leaves bytes at a
file's end that nothing refers to; the next start begins new files. After a failed write or sync nothing of that cycle
counts: the file is closed and a new one begun. After a failed commit the database is asked whether it counts.

Lost in a crash: nothing that was told to be stored. Lost to a limit: whole files, oldest first, each batch of it
booked.
"""

from .batch import Amount, Batch, DeadLetter, Extent, Loss, PartName, SessionRow, SinkCommit, Stored
from .errors import SpoolError, SpoolHeld
from .files import Damaged, Files
from .letters import Choice, KeptLetter
from .limits import SpoolOptions
from .losses import Lost
from .media_index import Held
from .spool import Spool

__all__ = [
    "Amount",
    "Batch",
    "Choice",
    "Damaged",
    "DeadLetter",
    "Extent",
    "Files",
    "Held",
    "KeptLetter",
    "Loss",
    "Lost",
    "PartName",
    "SessionRow",
    "SinkCommit",
    "Spool",
    "SpoolError",
    "SpoolHeld",
    "SpoolOptions",
    "Stored",
]
