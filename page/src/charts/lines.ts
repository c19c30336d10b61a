/** What lines a chart has, where they come from, and which part of which axis it shows. */

import { whole } from "../format";
import type { View } from "../state";
import { lineColor } from "../theme";
import type { Curve, EventInfo, SeriesInfo } from "../types";
import type { Card, Look } from "./card";
import { Loader, type Want } from "./loader";
import type { Plan } from "./plan";
import type { Mark } from "./plot";
import { stepAt, type Trace, timeAt } from "./trace";

/** A run on the board. name: what its lines are called where there are several runs. step: its last, null where no row
 * had one.
 */
export interface Shown {
  id: string;
  name: string;
  started: number;
  step: number | null;
  series: SeriesInfo[];
  alerts: EventInfo[];
}

const ROUND = 100; // points asked for: a window's last pixel is no reason for another answer
const MOST_RANKS = 64; // ranks drawn in one chart

export class Lines {
  /** Charts, by their plan, of which nothing has a step. */
  private readonly stepless = new Set<string>();
  /** The first curve with steps and times: it tells what step it was when. */
  private guide: Curve | null = null;

  constructor(
    public runs: readonly Shown[],
    public view: View,
    private readonly loader = new Loader(),
  ) {}

  /** The lines of a chart, fetched. */
  async traces(card: Card, signal: AbortSignal): Promise<Trace[]> {
    const { plan } = card;
    const found = await Promise.all(
      this.runs.flatMap((run) =>
        plan.metrics
          .map((metric) => ({ metric, ranks: this.ranksOf(run, metric.name) }))
          .filter(({ ranks }) => ranks.length)
          .map(async ({ metric, ranks }) => {
            const curves = await this.loader.load({ ...this.want(run, card), metric: metric.name, ranks }, signal);
            return curves.map((curve) => ({ run, metric, curve, ranks }));
          }),
      ),
    );
    const all = found.flat();
    const whole = this.windowOf(plan)[0] === null;
    if (found.length && whole && this.axisOf(plan) === "step" && !all.some(({ curve }) => curve.times.length)) {
      this.stepless.add(plan.id);
      return this.traces(card, signal);
    }
    this.guide ??=
      all.find(({ curve }) => curve.series_kind === "run" && curve.steps.some((step) => step !== null))?.curve ?? null;
    return all.map(({ run, metric, curve, ranks }, i) => ({
      label: this.label(run, metric.label, curve, ranks.length > 1, plan),
      color: lineColor(this.runs.length > 1 ? this.runs.indexOf(run) : i),
      started: run.started,
      curve,
    }));
  }

  private want(run: Shown, card: Card): Omit<Want, "metric" | "ranks"> {
    const axis = this.axisOf(card.plan);
    const [from, to] = this.windowOf(card.plan);
    const shift = axis === "elapsed" ? run.started : 0;
    return {
      run: run.id,
      axis: axis === "step" ? "step" : "time",
      from: from === null ? null : axis === "step" ? Math.floor(from) : from + shift,
      to: to === null ? null : axis === "step" ? Math.ceil(to) : to + shift,
      points: Math.max(ROUND, Math.ceil(card.pixels / ROUND) * ROUND),
    };
  }

  private ranksOf(run: Shown, metric: string): (number | null)[] {
    const there = [...new Set(run.series.filter((one) => one.name === metric).map((one) => one.rank))];
    there.sort((a, b) => (a ?? -1) - (b ?? -1));
    const { ranks } = this.view;
    if (run.series.some((one) => one.name === metric && one.kind === "system")) return there;
    if (ranks === "all") return there.slice(0, MOST_RANKS);
    return ranks === "primary" ? there.slice(0, 1) : there.filter((rank) => rank !== null && ranks.includes(rank));
  }

  private label(run: Shown, metric: string, curve: Curve, ranked: boolean, plan: Plan): string {
    const parts = this.runs.length > 1 ? [run.name] : [];
    if (plan.metrics.length > 1) parts.push(metric);
    if (ranked && curve.rank !== null) parts.push(`rank ${curve.rank}`);
    const hosts = new Set(run.series.filter((one) => one.kind === "system").map((one) => one.host));
    if (curve.series_kind === "system" && (hosts.size > 1 || !parts.length)) parts.push(curve.host);
    return parts.join(" · ") || metric;
  }

  // --- axes ---------------------------------------------------------------------------------------

  /** Hardware has no steps, nor have rows that were logged without: beside charts by step they are drawn by time. */
  private axisOf(plan: Plan): View["axis"] {
    const stepless = plan.kind === "system" || this.stepless.has(plan.id);
    return stepless && this.view.axis === "step" ? "time" : this.view.axis;
  }

  /** The part of a chart's own axis that is shown: of hardware, the time in which the steps shown were made. */
  private windowOf(plan: Plan): [number | null, number | null] {
    const { from, to, axis } = this.view;
    if (axis === this.axisOf(plan) || from === null || to === null) return [from, to];
    return this.guide ? [timeAt(this.guide, from), timeAt(this.guide, to)] : [null, null];
  }

  /** A part of a chart's own axis as one of the view's axis; null where that is not known. */
  zoomed(plan: Plan, from: number, to: number): { from: number; to: number } | null {
    if (this.axisOf(plan) === this.view.axis) return { from, to };
    if (!this.guide) return null;
    const [first, last] = [stepAt(this.guide, from), stepAt(this.guide, to)];
    return first !== null && last !== null && first < last ? { from: first, to: last } : null;
  }

  /** How a chart is shown. */
  lookOf(plan: Plan): Look {
    const axis = this.axisOf(plan);
    const [from, to] = this.windowOf(plan);
    const marks: Mark[] = this.runs.flatMap((run) =>
      run.alerts.flatMap((alert) => {
        const at = axis === "step" ? alert.step : axis === "time" ? alert.time : alert.time - run.started;
        const level = String(alert.data.level ?? "INFO");
        const text = [this.runs.length > 1 && run.name, alert.data.title, alert.data.text].filter(Boolean).join(": ");
        return at === null ? [] : [{ at, level, text }];
      }),
    );
    const { smooth, log, band } = this.view;
    return {
      style: { axis, smooth: plan.kind === "run" ? smooth : 0, log: log && plan.kind === "run", band },
      from,
      to,
      marks,
      notes: this.notesOf(plan),
    };
  }

  /** Of the lines that are drawn: how many points are no numbers, and that they have no place on the axis chosen. */
  private notesOf(plan: Plan): string {
    const drawn = this.runs.flatMap((run) =>
      plan.metrics.flatMap(({ name }) => {
        const ranks = this.ranksOf(run, name);
        return run.series.filter((one) => one.kind === plan.kind && one.name === name && ranks.includes(one.rank));
      }),
    );
    const strange = drawn.reduce((sum, one) => sum + one.count - one.finite, 0);
    const moved = plan.kind === "run" && this.axisOf(plan) !== this.view.axis;
    return [strange && `${whole(strange)} not finite`, moved && "no steps: over time"].filter(Boolean).join(", ");
  }
}
