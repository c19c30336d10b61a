CREATE TABLE media (
    session INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    run INTEGER NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    step INTEGER,
    time REAL NOT NULL,
    PRIMARY KEY (session, seq)
) WITHOUT ROWID;

CREATE INDEX media_by_name ON media (run, name, time);
