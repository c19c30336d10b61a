CREATE TABLE media (
    session BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    run BIGINT NOT NULL,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    step BIGINT,
    time DOUBLE PRECISION NOT NULL,
    PRIMARY KEY (session, seq)
);

CREATE INDEX media_by_name ON media (run, name, time);
