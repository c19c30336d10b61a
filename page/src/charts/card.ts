/** One chart on the board: its name, its newest value or that under the cursor, its lines' names, and its drawing. */

import { isAbort, Problem } from "../api";
import { fill, h } from "../dom";
import { clock, inUnit, moment, short, toNumber, whole } from "../format";
import type { Axis } from "../state";
import type { Curve } from "../types";
import type { Plan } from "./plan";
import { type Mark, Plot, type PlotEvents } from "./plot";
import { extend, type Style, type Trace } from "./trace";

/** What a card shows it by. axis: its own, since hardware has no steps. notes: what is to be known of its points. */
export interface Look {
  style: Omit<Style, "rate">;
  from: number | null;
  to: number | null;
  marks: readonly Mark[];
  notes: string;
}

const LEGEND = 40; // lines named below a chart; more are counted

export class Card {
  readonly element: HTMLElement;
  traces: Trace[] = [];
  private readonly plot: Plot;
  private readonly canvas = h("div", { class: "plot", role: "img" });
  private readonly readout = h("span", { class: "readout" });
  private readonly legend = h("ul", { class: "legend" });
  private readonly said = h("p", { class: "said" });
  private readonly widen: HTMLButtonElement;
  private look: Look | null = null;
  private width = 0;

  constructor(
    readonly plan: Plan,
    events: Omit<PlotEvents, "point"> & { widen(): void },
  ) {
    this.widen = h("button", { class: "quiet widen", onclick: events.widen, type: "button" });
    this.element = h(
      "figure",
      { class: "card", "data-chart": plan.id },
      h("figcaption", {}, h("span", { class: "title", title: plan.title }, plan.title), this.readout, this.widen),
      this.canvas,
      this.said,
      this.legend,
    );
    this.plot = new Plot(this.canvas, { ...events, point: (at) => this.read(at) });
    this.say("loading");
  }

  set wide(wide: boolean) {
    this.element.classList.toggle("wide", wide);
    this.widen.textContent = wide ? "⤡" : "⤢";
    this.widen.setAttribute("aria-label", wide ? `Make ${this.plan.title} small` : `Make ${this.plan.title} large`);
  }

  /** Pixels across: that many points are worth asking for. */
  get pixels(): number {
    return this.canvas.clientWidth || 400;
  }

  show(traces: Trace[], look: Look): void {
    this.traces = traces;
    this.look = look;
    this.redraw();
    this.nameLines();
  }

  /** The same, with another look; nothing where nothing is drawn. anew: colours may have changed. */
  redraw(wanted?: Look, anew = false): void {
    if (!this.look) return;
    const look = wanted ?? this.look;
    this.look = look;
    const style = { ...look.style, rate: this.plan.rate };
    if (anew) this.plot.restyle();
    this.width = this.canvas.clientWidth;
    const size = { width: this.width, height: this.canvas.clientHeight || 180 };
    const some = this.plot.draw({ ...look, traces: this.traces, style, unit: (value) => tick(this.plan, value) }, size);
    this.say(some ? "" : this.missing(look));
    this.canvas.setAttribute("aria-label", this.describe(look));
    this.read(this.plot.cursor);
  }

  /** A point of the first line that came live; whether it was put there. */
  extend(metric: string, rank: number | null, point: [number | null, number, Curve["values"][number]]): boolean {
    const trace = this.traces.find((one) => one.curve.name === metric && one.curve.rank === rank);
    return trace !== undefined && extend(trace.curve, ...point);
  }

  fail(problem: unknown): void {
    if (isAbort(problem)) return;
    this.say(problem instanceof Problem ? problem.message : "this chart could not be drawn");
  }

  /** Let go of the drawing, far from the screen; `show` makes it again. */
  rest(): void {
    this.plot.destroy();
    this.look = null;
  }

  get drawn(): boolean {
    return this.look !== null;
  }

  resized(): void {
    if (this.look && this.canvas.clientWidth !== this.width) this.redraw();
  }

  destroy(): void {
    this.plot.destroy();
  }

  private say(text: string): void {
    this.said.textContent = text;
    this.said.hidden = !text;
  }

  /** The values at a place of the drawing; the last ones when the cursor is away. */
  private read(at: number | null): void {
    const { data, places } = this.plot.drawing;
    const xs = data[0] ?? [];
    const values = places.map((place, i) => {
      if (at === null) return this.lastOf(i);
      return nearest(data[place.smooth || place.line] ?? [], at);
    });
    const tell = (value: number | null) => (value === null ? "–" : inUnit(this.plan.title, value, this.plan.rate));
    const where = at === null ? "" : place(this.look?.style.axis ?? "step", xs[at]);
    const alone = values.length === 1 ? tell(values[0] ?? null) : "";
    fill(
      this.readout,
      where && h("span", { class: "where" }, where),
      alone && h("b", {}, alone),
      at === null ? h("small", {}, this.look?.notes ?? "") : null,
    );
    this.legend.querySelectorAll("b").forEach((cell, i) => {
      cell.textContent = tell(values[i] ?? null);
    });
  }

  /** The last value logged, which a bucket's mean is not. */
  private lastOf(line: number): number | null {
    const curve = this.traces[line]?.curve;
    if (!curve) return null;
    if (this.plan.rate) return last(this.plot.drawing.data[this.plot.drawing.places[line]?.line ?? 0] ?? []);
    const found = last(curve.kind === "buckets" ? curve.lasts : curve.values);
    return found === null ? null : toNumber(found);
  }

  private nameLines(): void {
    const many = this.traces.length > 1;
    const names = this.traces
      .slice(0, LEGEND)
      .map((trace) =>
        h("li", {}, h("i", { style: `background: var(--${trace.color})` }), h("span", {}, trace.label), h("b")),
      );
    const more = this.traces.length - LEGEND;
    fill(this.legend, many ? names : null, more > 0 && h("li", {}, `and ${more} more`));
    this.legend.hidden = !many;
    this.read(null);
  }

  /** Why there is nothing to see. */
  private missing(look: Look): string {
    if (look.from !== null) return "nothing here: double-click shows all";
    const values = this.traces.flatMap(({ curve }) => curve.values);
    if (!values.length) return this.plan.kind === "run" ? "nothing was logged" : "nothing was measured";
    if (this.plan.rate) return "measured once: growth shows from the second time on";
    return values.some((one) => Number.isFinite(toNumber(one))) ? "nothing above zero" : "no finite number";
  }

  /** What somebody who does not see the drawing is told of it. */
  private describe(look: Look): string {
    let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const { curve } of this.traces) {
      for (const value of curve.kind === "buckets" ? [...curve.mins, ...curve.maxs] : curve.values) {
        const found = toNumber(value);
        if (found < low) low = found;
        if (found > high) high = found;
      }
    }
    const lines = this.traces.length === 1 ? "" : `, ${this.traces.length} lines`;
    const range = low <= high ? `, from ${inUnit(this.plan.title, low)} to ${inUnit(this.plan.title, high)}` : "";
    const count = this.traces.reduce((sum, trace) => sum + trace.curve.count, 0);
    const part =
      look.from === null ? "" : `, ${place(look.style.axis, look.from)} to ${place(look.style.axis, look.to)}`;
    return `${this.plan.id.replace("~", "")}${part}: ${whole(count)} points${lines}${range}`;
  }
}

/** A value beside the axis: short, and with its unit where the name tells one. */
function tick(plan: Plan, value: number): string {
  return plan.kind === "system" ? inUnit(plan.title, value, plan.rate) : short(value);
}

export function place(axis: Axis, at: number | null | undefined): string {
  if (at === null || at === undefined) return "";
  if (axis === "step") return `step ${whole(Math.round(at))}`;
  return axis === "time" ? moment(at) : clock(at);
}

function last<T>(column: ArrayLike<T | null | undefined>): T | null {
  return column[column.length - 1] ?? null;
}

/** The value at a place, or the nearest one beside it: lines of several ranks do not all have a point everywhere. */
function nearest(column: ArrayLike<number | null | undefined>, at: number): number | null {
  for (let away = 0; away < 50; away++) {
    for (const i of [at - away, at + away]) {
      const found = column[i];
      if (found !== null && found !== undefined) return found;
    }
  }
  return null;
}
