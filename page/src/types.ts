/** What the collector answers with: `store/answers.py`, field by field. Numbers that are not finite come as words. */

export type Num = number | "NaN" | "Infinity" | "-Infinity";
export type RunState = "running" | "finished" | "failed" | "crashed";

export interface LastLoss {
  name: string;
  value: Num;
  step: number | null;
}

export interface RunInfo {
  id: string;
  name: string | null;
  project: string | null;
  entity: string | null;
  group: string | null;
  job_type: string | null;
  notes: string | null;
  tags: string[];
  workload: string;
  state: RunState;
  exit_code: number | null;
  started: number;
  active: number;
  step?: number | null;
  last_loss?: LastLoss | null;
  framework?: string | null;
}

export interface SessionInfo {
  id: string;
  run: string;
  rank: number | null;
  host: string;
  started: number;
  active: number;
  finished: number | null;
  exit_code: number | null;
  rows: number;
  points: number;
  record: Record<string, unknown>;
}

export interface RunDetail extends RunInfo {
  sessions: SessionInfo[];
}

export interface WorkloadInfo {
  workload: string;
  runs: number;
  state: RunState;
  started: number;
  active: number;
}

export interface SeriesInfo {
  name: string;
  kind: "run" | "system";
  rank: number | null;
  host: string;
  count: number;
  finite: number;
  min: Num;
  max: Num;
  mean: Num;
  last: Num;
  last_step: number | null;
  last_time: number | null;
  goal: "min" | "max" | null;
  best: Num | null;
  best_step: number | null;
  hidden: boolean;
}

export interface Curve {
  run: string;
  name: string;
  series_kind: "run" | "system";
  rank: number | null;
  host: string;
  axis: "step" | "time";
  kind: "points" | "buckets";
  count: number;
  steps: (number | null)[];
  times: number[];
  values: Num[];
  mins: Num[];
  maxs: Num[];
  firsts: Num[];
  lasts: Num[];
  counts: number[];
}

export interface EventInfo {
  run: string;
  session: string;
  rank: number | null;
  seq: number;
  time: number;
  step: number | null;
  kind: string;
  data: Record<string, unknown>;
}

/** What was logged under one name beside numbers. */
export interface MediaName {
  name: string;
  type: string;
  count: number;
  first_step: number | null;
  last_step: number | null;
  last_time: number;
}

export interface Moment {
  step: number | null;
  time: number;
}

/** contents: which of its bytes can be had: 0 its own, 1 and on those of a table's cells. */
export interface MediaItem {
  session: string;
  rank: number | null;
  seq: number;
  step: number | null;
  time: number;
  data: Record<string, unknown>;
  rows: number | null;
  contents: number[];
}

export interface ComparedMetric {
  name: string;
  goal: "min" | "max" | null;
  last: (Num | null)[];
  best: (Num | null)[];
  winner: number | null;
}

export interface Comparison {
  runs: RunInfo[];
  config: Record<string, unknown[]>;
  metrics: ComparedMetric[];
}

/** `/runs/{id}/live`, event `update`: of each metric of the primary rank its latest step, time and value. */
export interface Update {
  run: RunInfo;
  points: Record<string, [number | null, number, Num]>;
}

export interface Books {
  received: number;
  delivered: number;
  waiting: number;
  filtered: number;
  redelivered: number;
  dropped: Record<string, number>;
}

export interface SinkStatus extends Books {
  rows: Books;
  events: Books;
  lag_seconds: number;
  last_error: string | null;
  failures: number;
  dead_letters: number;
  counters: Record<string, number>;
}

export interface Status {
  version: string;
  started: number;
  ready: true | string[];
  socket: string;
  listen: string;
  sessions: { session: string; run: string; rank: number | null; host: string; state: string }[];
  ingest: Record<string, number>;
  client_losses: unknown[];
  sources: Record<string, { success?: boolean; last_error?: string | null }>;
  spool: { path: string; bytes: number; max_bytes: number; last_error: string | null };
  sinks: Record<string, SinkStatus>;
}
