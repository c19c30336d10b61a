"""The store: the history that can be asked. The sink `store` writes it (`Writer`), everything that shows or answers
reads it (`Reader`), on SQLite or PostgreSQL alike.

A *stream* is the rows of one session that carry the same names. Its rows gather in `tail`, whole, until there are 512;
then they become a *block*: each name's values are one compressed column in `blocks`, and the rows' seqs, steps and
times one more (its series is the stream's number below zero). Of every block of every series a *summary* is kept
(count, finite, min, max, sum, first, last), of every 8 blocks a summary of level 1, of every 64 of level 2, and so on;
what they span stands in `spans`. So a chart reads about as many summaries as it has pixels, however many points.

One parcel is one transaction, synced. Everything that says what is known of a session (blocks, tail, `next_seq`)
changes in it together, so that a parcel that comes again, after whichever crash, finds its rows known by (session,
seq) and changes nothing. What rows and events add up to (config, summary, a run's state, its steps) is a function of
the set of them, not of the order or the parcels they came in: a store that is built again gives the same answers.
"""

from .database import Database, StoreDamaged, StoreError, StoreMissing, connect
from .reader import Reader
from .writer import Writer

__all__ = ["Database", "Reader", "StoreDamaged", "StoreError", "StoreMissing", "Writer", "connect"]
