CREATE TABLE runs (
    run BIGINT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    name TEXT, project TEXT, entity TEXT, run_group TEXT, job_type TEXT, notes TEXT,
    tags TEXT NOT NULL,
    workload TEXT NOT NULL,
    leader TEXT NOT NULL,
    state TEXT NOT NULL,
    exit_code BIGINT,
    started DOUBLE PRECISION NOT NULL,
    active DOUBLE PRECISION NOT NULL,
    touched DOUBLE PRECISION NOT NULL,
    series BIGINT NOT NULL
);

CREATE INDEX runs_by_workload ON runs (workload);

CREATE TABLE sessions (
    session BIGINT PRIMARY KEY,
    run BIGINT NOT NULL,
    id TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    rank BIGINT,
    host TEXT NOT NULL,
    started DOUBLE PRECISION NOT NULL,
    active DOUBLE PRECISION NOT NULL,
    finished DOUBLE PRECISION,
    exit_code BIGINT,
    floor BIGINT NOT NULL,
    next_seq BIGINT NOT NULL,
    rows BIGINT NOT NULL,
    points BIGINT NOT NULL,
    record TEXT NOT NULL
);

CREATE INDEX sessions_by_run ON sessions (run);

CREATE TABLE hosting (
    session BIGINT NOT NULL,
    run BIGINT NOT NULL,
    first_time DOUBLE PRECISION NOT NULL,
    last_time DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (run, session)
);

CREATE TABLE streams (
    stream BIGINT PRIMARY KEY,
    session BIGINT NOT NULL,
    digest TEXT NOT NULL,
    stepped BIGINT NOT NULL,
    width BIGINT NOT NULL,
    first_series BIGINT NOT NULL,
    blocks BIGINT NOT NULL,
    tail BIGINT NOT NULL,
    UNIQUE (session, digest)
);

CREATE TABLE series (
    series BIGINT PRIMARY KEY,
    stream BIGINT NOT NULL,
    run BIGINT NOT NULL,
    name TEXT NOT NULL,
    count BIGINT NOT NULL,
    finite BIGINT NOT NULL,
    min DOUBLE PRECISION, max DOUBLE PRECISION,
    min_step BIGINT, max_step BIGINT,
    sum DOUBLE PRECISION NOT NULL,
    first DOUBLE PRECISION, last DOUBLE PRECISION,
    last_seq BIGINT, last_step BIGINT, last_time DOUBLE PRECISION
);

CREATE INDEX series_by_name ON series (run, name);

CREATE INDEX series_by_stream ON series (stream);

CREATE TABLE tail (
    stream BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    time DOUBLE PRECISION NOT NULL,
    step BIGINT,
    data BYTEA NOT NULL,
    UNIQUE (stream, seq)
);

CREATE TABLE blocks (
    series BIGINT NOT NULL,
    number BIGINT NOT NULL,
    period BIGINT NOT NULL,
    data BYTEA NOT NULL,
    PRIMARY KEY (series, number, period)
) PARTITION BY RANGE (period);

ALTER TABLE blocks ALTER COLUMN data SET STORAGE EXTERNAL;

CREATE TABLE spans (
    stream BIGINT NOT NULL,
    level BIGINT NOT NULL,
    number BIGINT NOT NULL,
    period BIGINT NOT NULL,
    count BIGINT NOT NULL,
    first_seq BIGINT NOT NULL, last_seq BIGINT NOT NULL,
    first_step BIGINT, last_step BIGINT,
    first_time DOUBLE PRECISION, last_time DOUBLE PRECISION,
    PRIMARY KEY (stream, level, number)
);

CREATE TABLE summaries (
    series BIGINT NOT NULL,
    level BIGINT NOT NULL,
    number BIGINT NOT NULL,
    count BIGINT NOT NULL,
    finite BIGINT NOT NULL,
    min DOUBLE PRECISION, max DOUBLE PRECISION, sum DOUBLE PRECISION NOT NULL, first DOUBLE PRECISION, last DOUBLE PRECISION,
    PRIMARY KEY (series, level, number)
);

CREATE TABLE events (
    session BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    run BIGINT NOT NULL,
    time DOUBLE PRECISION NOT NULL,
    step BIGINT,
    kind TEXT NOT NULL,
    data TEXT NOT NULL,
    PRIMARY KEY (session, seq)
);

CREATE INDEX events_by_kind ON events (run, kind, time);

CREATE TABLE facts (
    run BIGINT NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    rank BIGINT NOT NULL,
    time DOUBLE PRECISION NOT NULL,
    session TEXT NOT NULL,
    seq BIGINT NOT NULL,
    value TEXT,
    PRIMARY KEY (run, kind, key)
);

CREATE TABLE strides (
    run BIGINT NOT NULL,
    first BIGINT NOT NULL,
    last BIGINT NOT NULL,
    stride BIGINT NOT NULL,
    count BIGINT NOT NULL,
    PRIMARY KEY (run, first)
);

CREATE TABLE forgotten (
    session TEXT PRIMARY KEY,
    next_seq BIGINT NOT NULL,
    time DOUBLE PRECISION NOT NULL
);

CREATE VIEW training_performance AS
SELECT runs.workload AS workload_uid, 'wandb' AS data_source, runs.id AS run_id, 1 AS serial,
    strides.first + strides.stride * n AS iteration
FROM strides JOIN runs ON runs.run = strides.run CROSS JOIN LATERAL generate_series(0, strides.count - 1) AS n;
