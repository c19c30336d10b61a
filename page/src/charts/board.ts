/** The charts of one run, or of several over each other: only those on the screen are fetched, drawn and kept new. */

import { fill, h } from "../dom";
import { whole } from "../format";
import type { View } from "../state";
import { lineColor, onTheme } from "../theme";
import type { Curve, EventInfo, SeriesInfo, Update } from "../types";
import { Card, type Look } from "./card";
import { Loader, type Want } from "./loader";
import { filterGroups, type Group, type Plan, planCharts } from "./plan";
import type { Mark } from "./plot";
import { stepAt, type Trace, timeAt } from "./trace";

/** A run on the board. name: what its lines are called where there are several runs. */
export interface Shown {
  id: string;
  name: string;
  started: number;
  series: SeriesInfo[];
  alerts: EventInfo[];
}

/** A chart that is laid out. stale: what is drawn is not what is to be shown. */
interface Held {
  card: Card;
  visible: boolean;
  stale: boolean;
  loading: AbortController | null;
}

const ROUND = 100; // points asked for: a window's last pixel is no reason for another answer
const MOST_RANKS = 64; // ranks drawn in one chart

export class Board {
  readonly element = h("div", { class: "board" });
  private readonly loader = new Loader();
  private readonly cards = new Map<string, Held>();
  private readonly seen: IntersectionObserver;
  private readonly sizes: ResizeObserver;
  /** The first curve with steps and times: it tells what step it was when. */
  private guide: Curve | null = null;

  constructor(
    private runs: readonly Shown[],
    private view: View,
    private readonly change: (view: Partial<View>) => void,
    private readonly signal: AbortSignal,
  ) {
    this.seen = new IntersectionObserver((entries) => this.look(entries), { rootMargin: "150px" });
    this.sizes = new ResizeObserver((entries) => {
      for (const { target } of entries) this.cards.get((target as HTMLElement).dataset.chart ?? "")?.card.resized();
    });
    signal.addEventListener("abort", () => this.clear());
    onTheme(() => this.each(({ card }) => card.redraw(undefined, true)), signal);
    this.build();
  }

  /** Show them another way. What was fetched is kept where the change does not touch it. */
  apply(view: View): void {
    const before = this.view;
    this.view = view;
    if (structure(before) !== structure(view)) this.build();
    else if (window(before) !== window(view)) this.refresh();
    else this.each(({ card }) => card.redraw(this.lookOf(card.plan)));
  }

  /** The runs as they are now: new metrics get their charts. */
  update(runs: readonly Shown[]): void {
    const names = (list: readonly Shown[]) =>
      list.flatMap((run) => run.series.map((one) => `${one.kind}${one.name}${one.rank}`)).join();
    const changed = names(runs) !== names(this.runs);
    this.runs = runs;
    if (changed) this.build();
  }

  /** Fetch again what is on the screen, and the rest when it comes there. */
  refresh(): void {
    this.each((held) => {
      held.stale = true;
      if (held.visible) this.fetch(held);
    });
  }

  /** Points that came live. */
  extend(points: Update["points"], rank: number | null): void {
    if (this.view.to !== null) return;
    for (const held of this.cards.values()) {
      let longer = false;
      for (const { name } of held.card.plan.metrics) {
        const point = points[name];
        if (point && held.card.traces.length) longer = held.card.extend(name, rank, point) || longer;
      }
      if (longer && held.visible) held.card.redraw();
    }
  }

  // --- building -----------------------------------------------------------------------------------

  /** Lay out the charts there are now; those that were there stay as they are drawn. */
  private build(): void {
    const before = new Map(this.cards);
    this.cards.clear();
    this.layOut(before);
    for (const held of before.values()) this.drop(held);
  }

  private layOut(before: Map<string, Held>): void {
    const series = this.runs.flatMap((run) => run.series);
    const groups = filterGroups(planCharts(series), this.view.filter, this.view.source);
    if (!groups.length) {
      const said = series.length
        ? "No chart has this in its name."
        : "Nothing was logged yet. Charts appear with the first row.";
      fill(this.element, h("p", { class: "empty" }, said));
      return;
    }
    fill(
      this.element,
      groups.map((group) => this.section(group, series, before)),
    );
  }

  private section(group: Group, series: readonly SeriesInfo[], before: Map<string, Held>): HTMLElement {
    const key = `${group.kind === "system" ? "~" : ""}${group.name}`;
    const open = !this.view.closed.includes(key);
    const toggle = () =>
      this.change({ closed: open ? [...this.view.closed, key] : this.view.closed.filter((one) => one !== key) });
    const head = h(
      "h2",
      {},
      h(
        "button",
        { type: "button", class: "quiet group", "aria-expanded": String(open), onclick: toggle },
        h("span", { class: "turn" }, open ? "▾" : "▸"),
        group.name,
      ),
      h("small", {}, `${whole(group.plans.length)} chart${group.plans.length === 1 ? "" : "s"}`),
    );
    const cards = open ? group.plans.map((plan) => this.make(plan, series, before).element) : [];
    return h("section", { class: "charts", "data-group": key }, head, h("div", { class: "grid" }, cards));
  }

  private make(plan: Plan, series: readonly SeriesInfo[], before: Map<string, Held>): Card {
    const kept = before.get(plan.id);
    if (kept && JSON.stringify(kept.card.plan) === JSON.stringify(plan)) {
      before.delete(plan.id);
      this.cards.set(plan.id, kept);
      return kept.card;
    }
    const mine = series.filter((one) => plan.metrics.some((metric) => metric.name === one.name));
    const strange = mine.reduce((sum, one) => sum + one.count - one.finite, 0);
    const events = {
      zoom: (from: number, to: number) => this.zoom(plan, from, to),
      reset: () => this.change({ from: null, to: null }),
      widen: () => this.widen(plan.id),
    };
    const card = new Card(plan, events, strange ? `${whole(strange)} not finite` : "");
    card.wide = this.view.wide.includes(plan.id);
    this.cards.set(plan.id, { card, visible: false, stale: true, loading: null });
    this.seen.observe(card.element);
    this.sizes.observe(card.element);
    return card;
  }

  private widen(id: string): void {
    const wide = this.view.wide.includes(id) ? this.view.wide.filter((one) => one !== id) : [...this.view.wide, id];
    const held = this.cards.get(id);
    this.change({ wide });
    if (!held) return;
    held.card.wide = wide.includes(id);
    this.fetch(held);
  }

  private clear(): void {
    this.seen.disconnect();
    this.sizes.disconnect();
    for (const held of this.cards.values()) this.drop(held);
    this.cards.clear();
  }

  private drop({ card, loading }: Held): void {
    loading?.abort();
    this.seen.unobserve(card.element);
    this.sizes.unobserve(card.element);
    card.destroy();
  }

  // --- fetching -----------------------------------------------------------------------------------

  private look(entries: readonly IntersectionObserverEntry[]): void {
    for (const { target, isIntersecting } of entries) {
      const held = this.cards.get((target as HTMLElement).dataset.chart ?? "");
      if (!held) continue;
      held.visible = isIntersecting;
      if (isIntersecting && held.stale) this.fetch(held);
      if (!isIntersecting && held.loading) {
        held.loading.abort();
        held.stale = true;
      }
    }
  }

  private fetch(held: Held): void {
    held.loading?.abort();
    const loading = new AbortController();
    held.loading = loading;
    held.stale = false;
    void this.traces(held.card, AbortSignal.any([loading.signal, this.signal]))
      .then((traces) => held.card.show(traces, this.lookOf(held.card.plan)))
      .catch((problem) => held.card.fail(problem))
      .finally(() => {
        if (held.loading === loading) held.loading = null;
      });
  }

  private async traces(card: Card, signal: AbortSignal): Promise<Trace[]> {
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

  /** Hardware has no steps: beside charts by step it is drawn by time. */
  private axisOf(plan: Plan): View["axis"] {
    return plan.kind === "system" && this.view.axis === "step" ? "time" : this.view.axis;
  }

  /** The part of a chart's own axis that is shown: of hardware, the time in which the steps shown were made. */
  private windowOf(plan: Plan): [number | null, number | null] {
    const { from, to, axis } = this.view;
    if (axis === this.axisOf(plan) || from === null || to === null) return [from, to];
    return this.guide ? [timeAt(this.guide, from), timeAt(this.guide, to)] : [null, null];
  }

  private zoom(plan: Plan, from: number, to: number): void {
    if (this.axisOf(plan) === this.view.axis) this.change({ from, to });
    else if (this.guide) {
      const [first, last] = [stepAt(this.guide, from), stepAt(this.guide, to)];
      if (first !== null && last !== null && first < last) this.change({ from: first, to: last });
    }
  }

  private lookOf(plan: Plan): Look {
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
    };
  }

  private each(act: (held: Held) => void): void {
    for (const held of this.cards.values()) act(held);
  }
}

/** What of a view decides which charts there are and what lines they have. */
function structure(view: View): string {
  return JSON.stringify([view.filter, view.source, view.closed]);
}

/** What of a view decides which points are fetched. */
function window(view: View): string {
  return JSON.stringify([view.axis, view.from, view.to, view.ranks]);
}
