CREATE TABLE runs (
    run INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    name TEXT, project TEXT, entity TEXT, run_group TEXT, job_type TEXT, notes TEXT,
    tags TEXT NOT NULL,
    workload TEXT NOT NULL,
    leader TEXT NOT NULL,
    state TEXT NOT NULL,
    exit_code INTEGER,
    started REAL NOT NULL,
    active REAL NOT NULL,
    touched REAL NOT NULL,
    series INTEGER NOT NULL
);

CREATE INDEX runs_by_workload ON runs (workload);

CREATE TABLE sessions (
    session INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    rank INTEGER,
    host TEXT NOT NULL,
    started REAL NOT NULL,
    active REAL NOT NULL,
    finished REAL,
    exit_code INTEGER,
    floor INTEGER NOT NULL,
    next_seq INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    points INTEGER NOT NULL,
    record TEXT NOT NULL
);

CREATE INDEX sessions_by_run ON sessions (run);

CREATE TABLE hosting (
    session INTEGER NOT NULL,
    run INTEGER NOT NULL,
    first_time REAL NOT NULL,
    last_time REAL NOT NULL,
    PRIMARY KEY (run, session)
) WITHOUT ROWID;

CREATE TABLE streams (
    stream INTEGER PRIMARY KEY,
    session INTEGER NOT NULL,
    digest TEXT NOT NULL,
    stepped INTEGER NOT NULL,
    width INTEGER NOT NULL,
    first_series INTEGER NOT NULL,
    blocks INTEGER NOT NULL,
    tail INTEGER NOT NULL,
    UNIQUE (session, digest)
);

CREATE TABLE series (
    series INTEGER PRIMARY KEY,
    stream INTEGER NOT NULL,
    run INTEGER NOT NULL,
    name TEXT NOT NULL,
    count INTEGER NOT NULL,
    finite INTEGER NOT NULL,
    min REAL, max REAL,
    min_step INTEGER, max_step INTEGER,
    sum REAL NOT NULL,
    first REAL, last REAL,
    last_seq INTEGER, last_step INTEGER, last_time REAL
);

CREATE INDEX series_by_name ON series (run, name);

CREATE INDEX series_by_stream ON series (stream);

CREATE TABLE tail (
    stream INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    time REAL NOT NULL,
    step INTEGER,
    data BLOB NOT NULL,
    UNIQUE (stream, seq)
);

CREATE TABLE blocks (
    series INTEGER NOT NULL,
    number INTEGER NOT NULL,
    period INTEGER NOT NULL,
    data BLOB NOT NULL,
    UNIQUE (series, number)
);

CREATE INDEX blocks_by_period ON blocks (period);

CREATE TABLE spans (
    stream INTEGER NOT NULL,
    level INTEGER NOT NULL,
    number INTEGER NOT NULL,
    period INTEGER NOT NULL,
    count INTEGER NOT NULL,
    first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    first_step INTEGER, last_step INTEGER,
    first_time REAL, last_time REAL,
    PRIMARY KEY (stream, level, number)
) WITHOUT ROWID;

CREATE TABLE summaries (
    series INTEGER NOT NULL,
    level INTEGER NOT NULL,
    number INTEGER NOT NULL,
    count INTEGER NOT NULL,
    finite INTEGER NOT NULL,
    min REAL, max REAL, sum REAL NOT NULL, first REAL, last REAL,
    PRIMARY KEY (series, level, number)
) WITHOUT ROWID;

CREATE TABLE events (
    session INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    run INTEGER NOT NULL,
    time REAL NOT NULL,
    step INTEGER,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (session, seq)
) WITHOUT ROWID;

CREATE INDEX events_by_kind ON events (run, kind, time);

CREATE TABLE facts (
    run INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    rank INTEGER NOT NULL,
    time REAL NOT NULL,
    session TEXT NOT NULL,
    seq INTEGER NOT NULL,
    value TEXT,
    PRIMARY KEY (run, kind, key)
) WITHOUT ROWID;

CREATE TABLE strides (
    run INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    stride INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (run, first)
) WITHOUT ROWID;

CREATE TABLE forgotten (
    session TEXT PRIMARY KEY,
    next_seq INTEGER NOT NULL,
    time REAL NOT NULL
) WITHOUT ROWID;

CREATE VIEW training_performance AS
WITH RECURSIVE numbers (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n < 4095)
SELECT runs.workload AS workload_uid, 'wandb' AS data_source, runs.id AS run_id, 1 AS serial,
    strides.first + strides.stride * n AS iteration
FROM strides JOIN runs ON runs.run = strides.run JOIN numbers ON n < strides.count;
