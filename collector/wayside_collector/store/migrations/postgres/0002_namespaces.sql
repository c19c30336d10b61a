ALTER TABLE runs ADD COLUMN namespace TEXT NOT NULL DEFAULT '';

CREATE INDEX runs_by_namespace ON runs (namespace, started);
