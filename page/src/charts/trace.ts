/** From curves, as the collector sends them, to columns, as uPlot draws them. Pure. */

import type { AlignedData } from "uplot";
import uPlot from "uplot";
import { toNumber } from "../format";
import { smooth } from "../smooth";
import type { Axis } from "../state";
import type { Curve } from "../types";

/** One line of a chart. started: of its run, from where `elapsed` counts. */
export interface Trace {
  label: string;
  color: string;
  started: number;
  curve: Curve;
}

/** What a line is made of: columns of numbers; high and low are empty where there is no band. */
interface Columns {
  x: number[];
  line: (number | null)[];
  high: (number | null)[];
  low: (number | null)[];
  smooth: (number | null)[];
}

export interface Drawing {
  data: AlignedData;
  /** For each trace, the places of its columns in `data`; 0 where it has none. */
  places: { line: number; smooth: number; high: number; low: number }[];
}

export interface Style {
  axis: Axis;
  log: boolean;
  band: boolean;
  smooth: number;
  rate: boolean;
}

export function drawing(traces: readonly Trace[], style: Style): Drawing {
  const tables: AlignedData[] = [];
  const places: Drawing["places"] = [];
  let next = 1;
  for (const trace of traces) {
    const columns = columnsOf(trace, style);
    const table: (number | null)[][] = [columns.x];
    const place = { line: 0, smooth: 0, high: 0, low: 0 };
    for (const name of ["high", "low", "line", "smooth"] as const) {
      if (!columns[name].length && name !== "line") continue;
      place[name] = next++;
      table.push(columns[name]);
    }
    tables.push(table as AlignedData);
    places.push(place);
  }
  const first = tables[0];
  if (!first) return { data: [[]], places };
  return { data: tables.length === 1 ? first : uPlot.join(tables), places };
}

/** Whether a line of it has a point. */
export function hasPoints({ data, places }: Drawing): boolean {
  return places.some(({ line }) => (data[line] ?? []).some((value) => value !== null && value !== undefined));
}

function columnsOf(trace: Trace, style: Style): Columns {
  const { curve } = trace;
  const buckets = curve.kind === "buckets";
  const shift = style.axis === "elapsed" ? trace.started : 0;
  const keep: number[] = [];
  const x: number[] = [];
  for (let i = 0; i < curve.times.length; i++) {
    const at = style.axis === "step" ? curve.steps[i] : (curve.times[i] ?? 0) - shift;
    if (at === null || at === undefined) continue;
    keep.push(i);
    x.push(at);
  }
  const column = (from: readonly (Curve["values"][number] | undefined)[]) =>
    keep.map((i) => toNumber(from[i] ?? "NaN"));
  const values = style.rate ? rates(curve, keep) : column(curve.values);
  const band = style.band && buckets && !style.rate;
  return {
    x,
    line: values.map((value) => drawn(value, style.log)),
    high: band ? column(curve.maxs).map((value) => drawn(value, style.log)) : [],
    low: band ? column(curve.mins).map((value) => drawn(value, style.log)) : [],
    smooth: style.smooth > 0 ? smooth(values, style.smooth).map((value) => drawn(value, style.log)) : [],
  };
}

/** What a count grew by each second; nothing where it began anew. */
function rates(curve: Curve, keep: readonly number[]): number[] {
  const level = curve.kind === "buckets" ? curve.firsts : curve.values;
  return keep.map((i, place) => {
    const before = keep[place - 1];
    if (before === undefined) return Number.NaN;
    const grown = toNumber(level[i] ?? "NaN") - toNumber(level[before] ?? "NaN");
    const passed = (curve.times[i] ?? 0) - (curve.times[before] ?? 0);
    return grown >= 0 && passed > 0 ? grown / passed : Number.NaN;
  });
}

/** A gap where there is no number to draw; a logarithmic scale has none at or below zero. */
function drawn(value: number, log: boolean): number | null {
  return Number.isFinite(value) && (!log || value > 0) ? value : null;
}

/** Put a point that came live at a curve's end; false where it is not later than what is there. */
export function extend(curve: Curve, step: number | null, time: number, value: Curve["values"][number]): boolean {
  const last = curve.times[curve.times.length - 1];
  if (last !== undefined && time <= last) return false;
  if (curve.axis === "step" && step === null) return false;
  curve.steps.push(step);
  curve.times.push(time);
  curve.values.push(value);
  if (curve.kind === "buckets") {
    for (const column of [curve.mins, curve.maxs, curve.firsts, curve.lasts]) column.push(value);
    curve.counts.push(1);
  }
  curve.count += 1;
  return true;
}

/** The time at a step, by the curve's points around it; null where it has none. */
export function timeAt(curve: Curve, step: number): number | null {
  let before: [number, number] | null = null;
  for (let i = 0; i < curve.times.length; i++) {
    const [at, time] = [curve.steps[i], curve.times[i]];
    if (at === null || at === undefined || time === undefined) continue;
    if (at === step) return time;
    if (at > step) {
      if (!before) return time;
      return before[1] + ((step - before[0]) / (at - before[0])) * (time - before[1]);
    }
    before = [at, time];
  }
  return before ? before[1] : null;
}

/** The step at a time, likewise: the first at or after it, else the last. */
export function stepAt(curve: Curve, time: number): number | null {
  let found: number | null = null;
  for (let i = 0; i < curve.times.length; i++) {
    const step = curve.steps[i];
    if (step === null || step === undefined) continue;
    found = step;
    if ((curve.times[i] ?? 0) >= time) break;
  }
  return found;
}
