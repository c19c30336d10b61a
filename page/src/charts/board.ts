/** The charts of one run, or of several over each other: only those on the screen are fetched, drawn and kept new. */

import { fill, h } from "../dom";
import { whole } from "../format";
import type { View } from "../state";
import { onTheme } from "../theme";
import type { SeriesInfo, Update } from "../types";
import { Card } from "./card";
import { Lines, type Shown } from "./lines";
import { filterGroups, type Group, type Plan, planCharts } from "./plan";

/** A chart that is laid out. stale: what is drawn is not what is to be shown. */
interface Held {
  card: Card;
  visible: boolean;
  stale: boolean;
  loading: AbortController | null;
}

const MOST_DRAWN = 60; // drawings kept: each is a canvas of a megabyte

export class Board {
  readonly element = h("div", { class: "board" });
  private readonly lines: Lines;
  private readonly cards = new Map<string, Held>();
  private readonly seen: IntersectionObserver;
  private readonly sizes: ResizeObserver;

  constructor(
    runs: readonly Shown[],
    view: View,
    private readonly change: (view: Partial<View>) => void,
    private readonly signal: AbortSignal,
  ) {
    this.lines = new Lines(runs, view);
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
    const before = this.lines.view;
    this.lines.view = view;
    if (structure(before) !== structure(view)) this.build();
    else if (window(before) !== window(view)) this.refresh();
    else this.each(({ card }) => card.redraw(this.lines.lookOf(card.plan)));
  }

  /** The runs as they are now: new metrics get their charts, new alerts their marks. */
  update(runs: readonly Shown[]): void {
    const names = (list: readonly Shown[]) =>
      list.flatMap((run) => run.series.map((one) => `${one.kind}${one.name}${one.rank}${one.hidden}`)).join();
    const changed = names(runs) !== names(this.lines.runs);
    this.lines.runs = runs;
    if (changed) this.build();
    this.each(({ card }) => card.redraw(this.lines.lookOf(card.plan)));
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
    if (this.lines.view.to !== null) return;
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
    const series = this.lines.runs.flatMap((run) => run.series);
    const { filter, source, hidden } = this.lines.view;
    const groups = filterGroups(planCharts(series.filter((one) => hidden || !one.hidden)), filter, source);
    const more = this.hiding(series.filter((one) => one.hidden));
    if (!groups.length) {
      fill(this.element, h("p", { class: "empty" }, nothing(series.length > 0, filter)), more);
      return;
    }
    fill(
      this.element,
      groups.map((group) => this.section(group, before)),
      more,
    );
  }

  /** The way to the charts that the run hides, and back. */
  private hiding(series: readonly SeriesInfo[]): HTMLElement | null {
    const count = planCharts(series).reduce((sum, group) => sum + group.plans.length, 0);
    if (!count) return null;
    const { hidden } = this.lines.view;
    const charts = `${whole(count)} chart${count === 1 ? "" : "s"}`;
    return h(
      "p",
      { class: "hint" },
      `define_metric hides ${charts}. `,
      h("button", { type: "button", onclick: () => this.change({ hidden: !hidden }) }, hidden ? "Hide" : "Show"),
    );
  }

  private section(group: Group, before: Map<string, Held>): HTMLElement {
    const key = `${group.kind === "system" ? "~" : ""}${group.name}`;
    const open = !this.lines.view.closed.includes(key);
    const toggle = () =>
      this.change({
        closed: open ? [...this.lines.view.closed, key] : this.lines.view.closed.filter((one) => one !== key),
      });
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
    const cards = open ? group.plans.map((plan) => this.make(plan, before).element) : [];
    return h("section", { class: "charts", "data-group": key }, head, h("div", { class: "grid" }, cards));
  }

  private make(plan: Plan, before: Map<string, Held>): Card {
    const kept = before.get(plan.id);
    if (kept && JSON.stringify(kept.card.plan) === JSON.stringify(plan)) {
      before.delete(plan.id);
      this.cards.set(plan.id, kept);
      return kept.card;
    }
    const events = {
      zoom: (from: number, to: number) => this.change(this.lines.zoomed(plan, from, to) ?? {}),
      reset: () => this.change({ from: null, to: null }),
      widen: () => this.widen(plan.id),
    };
    const card = new Card(plan, events);
    card.wide = this.lines.view.wide.includes(plan.id);
    this.cards.set(plan.id, { card, visible: false, stale: true, loading: null });
    this.seen.observe(card.element);
    this.sizes.observe(card.element);
    return card;
  }

  private widen(id: string): void {
    const wide = this.lines.view.wide.includes(id)
      ? this.lines.view.wide.filter((one) => one !== id)
      : [...this.lines.view.wide, id];
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
      if (!isIntersecting) this.leave(held);
    }
  }

  /** It is off the screen: nothing more is fetched for it, and of many such drawings the memory is given back. */
  private leave(held: Held): void {
    if (held.loading) {
      held.loading.abort();
      held.stale = true;
    }
    if (held.card.drawn && [...this.cards.values()].filter(({ card }) => card.drawn).length > MOST_DRAWN) {
      held.card.rest();
      held.stale = true;
    }
  }

  private fetch(held: Held): void {
    held.loading?.abort();
    const loading = new AbortController();
    const signal = AbortSignal.any([loading.signal, this.signal]);
    held.loading = loading;
    held.stale = false;
    void this.lines
      .traces(held.card, signal)
      .then((traces) => {
        // What is drawn in a card that was let go of is destroyed by nobody.
        if (!signal.aborted) held.card.show(traces, this.lines.lookOf(held.card.plan));
      })
      .catch((problem) => {
        if (!signal.aborted) held.card.fail(problem);
      })
      .finally(() => {
        if (held.loading === loading) held.loading = null;
      });
  }

  private each(act: (held: Held) => void): void {
    for (const held of this.cards.values()) act(held);
  }
}

/** What of a view decides which charts there are and what lines they have. */
function structure(view: View): string {
  return JSON.stringify([view.filter, view.source, view.closed, view.hidden]);
}

/** What of a view decides which points are fetched. */
function window(view: View): string {
  return JSON.stringify([view.axis, view.from, view.to, view.ranks]);
}

function nothing(some: boolean, filter: string): string {
  if (!some) return "Nothing was logged yet. Charts appear with the first row.";
  return filter ? "No chart has this in its name." : "There is no chart to show here.";
}
