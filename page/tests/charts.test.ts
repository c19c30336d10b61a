/** Which charts there are, what is drawn in them, and what is asked for. */

import { expect, test } from "vitest";
import type { Card } from "../src/charts/card";
import { Lines } from "../src/charts/lines";
import { Loader } from "../src/charts/loader";
import { filterGroups, type Plan, planCharts } from "../src/charts/plan";
import { drawing, extend, hasPoints, type Style, stepAt, timeAt, type Trace } from "../src/charts/trace";
import { PLAIN, type View } from "../src/state";
import type { Curve, SeriesInfo } from "../src/types";

const series = (...names: string[]) => names.map((name) => ({ name, kind: "run" as const }));
const hardware = (...names: string[]) => names.map((name) => ({ name, kind: "system" as const }));

function curve(steps: (number | null)[], values: Curve["values"], more: Partial<Curve> = {}): Curve {
  const times = steps.map((_, i) => 1000 + 10 * i);
  const none = { mins: [], maxs: [], firsts: [], lasts: [], counts: [] };
  const head = {
    run: "r",
    name: "loss",
    series_kind: "run",
    rank: 0,
    host: "h",
    axis: "step",
    kind: "points",
  } as const;
  return { ...head, count: steps.length, steps, times, values, ...none, ...more };
}

const trace = (found: Curve): Trace => ({ label: "", color: "line-0", started: 1000, curve: found });
const style: Style = { axis: "step", log: false, band: true, smooth: 0, rate: false };

test("groups are by prefix: training first, hardware last, losses at their head", () => {
  const groups = planCharts([
    ...hardware("host/load1", "gpu/0/power_watts"),
    ...series("val/loss", "train/acc", "train/loss", "speed"),
  ]);
  expect(groups.map((group) => group.name)).toEqual(["train", "val", "metrics", "gpu", "host"]);
  expect(groups[0]?.plans.map((plan) => plan.title)).toEqual(["loss", "acc"]);
});

test("all devices of the hardware share a chart", () => {
  const [group] = planCharts(hardware("gpu/0/power_watts", "gpu/1/power_watts", "gpu/0/process/77/memory_bytes"));
  expect(group?.plans.map((plan) => [plan.title, plan.metrics.map((metric) => metric.label)])).toEqual([
    ["power_watts", ["0", "1"]],
    ["process memory_bytes", ["0/process/77"]],
  ]);
});

test("a training metric and a sampler's of one group stay apart", () => {
  expect(planCharts([...series("gpu/mine"), ...hardware("gpu/0/mine")])).toHaveLength(2);
});

test("a filter wants every word, wherever it stands", () => {
  const groups = planCharts(series("train/loss", "train/lr", "val/loss"));
  const found = filterGroups(groups, "LOSS tr", "all").flatMap((group) => group.plans);
  expect(found.map((plan) => plan.id)).toEqual(["train/loss"]);
});

test("the least and the greatest of a bucket are drawn beside its mean", () => {
  const buckets = curve([0, 500], [1, 1], { kind: "buckets", mins: [0, 0], maxs: [2, 1_000_000] });
  const { data, places } = drawing([trace(buckets)], style);
  expect(Math.max(...(data[places[0]?.high ?? 0] as number[]))).toBe(1_000_000);
});

test("what is no number is a gap, and on a logarithmic scale what is not above zero", () => {
  const found = curve([0, 1, 2, 3], [1, "NaN", -2, "Infinity"]);
  expect(drawing([trace(found)], style).data[1]).toEqual([1, null, -2, null]);
  expect(drawing([trace(found)], { ...style, log: true }).data[1]).toEqual([1, null, null, null]);
});

test("there is nothing to see where no value can be drawn", () => {
  const shown = (values: Curve["values"], more: Partial<Style> = {}) =>
    hasPoints(drawing([trace(curve([0], values))], { ...style, ...more }));
  expect(shown([1])).toBe(true);
  expect([shown(["NaN"]), shown([-1], { log: true }), shown([1], { rate: true })]).toEqual([false, false, false]);
});

test("lines with steps of their own share one axis, and their gaps are spanned", () => {
  const { data } = drawing([trace(curve([0, 2], [1, 3])), trace(curve([1], [2]))], style);
  expect(data[0]).toEqual([0, 1, 2]);
  expect(data[1]).toEqual([1, undefined, 3]);
});

test("elapsed time counts from the run's own start", () => {
  expect(drawing([trace(curve([null, null], [1, 2]))], { ...style, axis: "elapsed" }).data[0]).toEqual([0, 10]);
});

test("a count is drawn as what it grew a second, and nothing where it began anew", () => {
  const found = curve([0, 1, 2], [100, 300, 5]);
  expect(drawing([trace(found)], { ...style, rate: true }).data[1]).toEqual([null, 20, null]);
});

test("a live point is put at the end once, however often it is told", () => {
  const found = curve([0], [1]);
  expect(extend(found, 1, 1010, 2)).toBe(true);
  expect(extend(found, 1, 1010, 2)).toBe(false);
  expect(found.values).toEqual([1, 2]);
});

test("steps and times are found from each other", () => {
  const found = curve([0, 10, 20], [0, 0, 0]);
  expect(timeAt(found, 5)).toBe(1005);
  expect(timeAt(found, 99)).toBe(1020);
  expect(stepAt(found, 1001)).toBe(10);
});

test("charts of one moment are asked for together, few at a time, and only while somebody wants them", async () => {
  const asked: string[] = [];
  const loader = new Loader(async (path) => {
    asked.push(path);
    const names = new URLSearchParams(path.split("?")[1]).getAll("metric");
    return { curves: names.map((name) => curve([0], [1], { name })) };
  });
  const gone = new AbortController();
  const want = (metric: string) => ({
    run: "a b",
    metric,
    axis: "step" as const,
    from: 1,
    to: 9,
    points: 400,
    ranks: [0, null],
  });
  const all = Array.from({ length: 20 }, (_, i) => loader.load(want(`m${i}`), new AbortController().signal));
  const unwanted = loader.load(want("unwanted"), gone.signal);
  gone.abort();
  await expect(unwanted).rejects.toBeDefined();
  const curves = await Promise.all(all);
  expect(curves.map(([found]) => found?.name)).toEqual(Array.from({ length: 20 }, (_, i) => `m${i}`));
  expect(asked).toHaveLength(3);
  expect(asked.join()).not.toContain("unwanted");
  expect(asked[0]).toMatch(/^\/api\/v1\/runs\/a%20b\/data\?.*from=1&to=9&max_points=400&rank=0&rank=none$/);
});

test("an answer that comes when nobody wants it any more is nobody's", async () => {
  let answer = (): void => undefined;
  const loader = new Loader(
    () => new Promise((resolve) => (answer = () => resolve({ curves: [curve([0], [1], { name: "m" })] }))),
  );
  const [zoomed, stays] = [new AbortController(), new AbortController()];
  const want = { run: "r", metric: "m", axis: "step" as const, from: null, to: null, points: 100, ranks: [0] };
  const older = loader.load(want, zoomed.signal);
  const other = loader.load(want, stays.signal);
  await Promise.resolve();
  zoomed.abort();
  answer();
  await expect(older).rejects.toMatchObject({ name: "AbortError" });
  await expect(other).resolves.toHaveLength(1);
});

test("what was logged without a step is drawn by time", async () => {
  const asked: string[] = [];
  const loader = new Loader(async (path) => {
    const axis = new URLSearchParams(path.split("?")[1]).get("axis") ?? "";
    asked.push(axis);
    return { curves: [axis === "step" ? curve([], []) : curve([null, null], [1, 2], { axis: "time" })] };
  });
  const told = [{ name: "loss", kind: "run", rank: 0, host: "h", count: 2, finite: 2 }] as unknown as SeriesInfo[];
  const runs = [{ id: "r", name: "r", started: 1000, step: null, series: told, alerts: [] }];
  const view = { axis: "step", from: null, to: null, ranks: "primary", smooth: 0, log: false, band: true };
  const lines = new Lines(runs, view as unknown as View, loader);
  const plan = planCharts(series("loss"))[0]?.plans[0] as Plan;
  const [found] = await lines.traces({ plan, pixels: 400 } as Card, new AbortController().signal);
  expect(found?.curve.values).toEqual([1, 2]);
  expect(lines.lookOf(plan).style.axis).toBe("time");
  expect(asked).toEqual(["step", "time"]);
});

test("of points that are no numbers those of the ranks drawn are counted", () => {
  const told = [0, 1].map((rank) => ({ name: "loss", kind: "run", rank, host: "h", count: 10, finite: 8 }));
  const run = { id: "r", name: "r", started: 1000, step: 9, series: told as unknown as SeriesInfo[], alerts: [] };
  const plan = planCharts(series("loss"))[0]?.plans[0] as Plan;
  const notes = (ranks: View["ranks"]) => new Lines([run], { ...PLAIN, ranks }).lookOf(plan).notes;
  expect([notes("primary"), notes("all")]).toEqual(["2 not finite", "4 not finite"]);
});
