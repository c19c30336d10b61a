/** One run: what it is and how far it has come, its charts, and what else is known of it. */

import { ask, isAbort, Problem, runPath } from "../api";
import type { Shown } from "../charts/lines";
import { ChartView } from "../charts/view";
import { fill, h } from "../dom";
import { toNumber } from "../format";
import { bind } from "../keys";
import { every, listen } from "../live";
import { showAway, showProblem } from "../notice";
import { lossText, now, progress, ran, runName, stateBadge, tags, when } from "../parts";
import { go, params } from "../router";
import type { EventInfo, RunDetail, RunInfo, SeriesInfo, Update } from "../types";
import { showCode } from "./code";
import { showEvents } from "./events";
import { showMedia } from "./media";
import { showConfig, showSummary } from "./values";

const TABS: [string, string][] = [
  ["charts", "Charts"],
  ["config", "Config"],
  ["summary", "Summary"],
  ["media", "Media"],
  ["code", "Code & environment"],
  ["events", "Events"],
];
const RENEWED = 15_000; // milliseconds between two fetches of what is on the screen, while rows come
const AGAIN = 3_000; // milliseconds until what failed is asked again
const SERIES_RENEWED = 2_000; // and of which series there are

export function showRun(root: HTMLElement, signal: AbortSignal, id: string): void {
  document.title = `${id} · Wayside`;
  void new RunView(root, signal, id).begin();
}

class RunView {
  private readonly facts = h("section", { class: "run-head" });
  private readonly tabs = h("nav", { class: "tabs", "aria-label": "What of the run" });
  private readonly body = h("div", { class: "tab" });
  private run: RunDetail | null = null;
  private series: SeriesInfo[] = [];
  private alerts: EventInfo[] = [];
  private charts: ChartView | null = null;
  private fetchedSeries = 0;

  constructor(
    private readonly root: HTMLElement,
    private readonly signal: AbortSignal,
    private readonly id: string,
  ) {}

  async begin(): Promise<void> {
    bind([{ key: "Escape", told: "all runs", act: () => go("/") }], this.signal);
    fill(this.root, h("p", { class: "empty", "aria-busy": "true" }, "Loading…"));
    const path = runPath(this.id);
    try {
      const [run, { series }, { events }] = await Promise.all([
        ask<RunDetail>(path, this.signal),
        ask<{ series: SeriesInfo[] }>(`${path}/series`, this.signal),
        ask<{ events: EventInfo[] }>(`${path}/alerts`, this.signal),
      ]);
      [this.run, this.series, this.alerts] = [run, series, events];
    } catch (problem) {
      showProblem(this.root, problem, this.signal);
      return;
    }
    this.fetchedSeries = performance.now();
    fill(this.root, this.facts, this.tabs, this.body);
    this.showHead();
    this.showTabs();
    this.showTab();
    if (this.run.state === "running") this.follow();
  }

  // --- what is shown ------------------------------------------------------------------------------

  private showHead(): void {
    const { run } = this;
    const focused = this.facts.contains(document.activeElement);
    if (!run || (focused && run.state === "running")) return; // who is at a link there would be thrown out
    document.title = `${runName(run)} · Wayside`;
    const at = now();
    const fact = (name: string, ...inner: (Node | string)[]) => h("div", {}, h("dt", {}, name), h("dd", {}, inner));
    const ranks = new Set(run.sessions.map((one) => one.rank)).size;
    const hosts = [...new Set(run.sessions.map((one) => one.host))];
    fill(
      this.facts,
      h(
        "div",
        { class: "run-title" },
        h("h1", {}, runName(run)),
        stateBadge(run.state, run.exit_code),
        h("span", { class: "tags" }, tags(run.tags)),
      ),
      h(
        "dl",
        { class: "facts" },
        run.project
          ? fact("Project", h("a", { href: `/?project=${encodeURIComponent(run.project)}` }, run.project))
          : null,
        fact("Step", progress(run.step, this.target())),
        run.last_loss ? fact(run.last_loss.name, lossText(run.last_loss)) : null,
        fact("Ran for", ran(run, at)),
        fact("Begun", when(run.started, at)),
        fact("Last heard", when(run.active, at)),
        run.group ? fact("Group", h("a", { href: `/?group=${encodeURIComponent(run.group)}` }, run.group)) : null,
        run.framework ? fact("Framework", run.framework) : null,
        fact("Workload", h("a", { href: `/?workload=${encodeURIComponent(run.workload)}` }, run.workload)),
        fact(hosts.length === 1 ? "Host" : "Hosts", hosts.length > 3 ? `${hosts.length}` : hosts.join(", ") || "–"),
        ranks > 1 ? fact("Ranks", String(ranks)) : null,
        run.name && run.name !== run.id ? fact("Id", h("code", {}, run.id)) : null,
      ),
      run.notes && h("p", { class: "notes" }, run.notes),
      this.ending(run),
    );
  }

  /** What an end that was no success means, in a sentence. */
  private ending(run: RunInfo): HTMLElement | null {
    if (run.state === "crashed")
      return h(
        "p",
        { class: "ending" },
        "Its process ended without a word: killed, out of memory, or its machine is gone. Every row it had logged until then is here.",
      );
    if (run.state === "failed")
      return h(
        "p",
        { class: "ending" },
        `It ended with exit code ${run.exit_code ?? "unknown"}. Its last rows, and its events, tell more.`,
      );
    return null;
  }

  private showTabs(): void {
    const shown = params().get("tab") ?? "charts";
    const link = ([name, text]: [string, string]) => {
      const found = params();
      if (name === "charts") found.delete("tab");
      else found.set("tab", name);
      const count =
        name === "events" && this.alerts.length
          ? h("span", { class: "alerts", title: "alerts" }, `⚑ ${this.alerts.length}`)
          : null;
      return h(
        "a",
        { href: `${location.pathname}?${found}`, "aria-current": name === shown ? "page" : null },
        text,
        count,
      );
    };
    fill(this.tabs, TABS.map(link));
  }

  private showTab(): void {
    const { run } = this;
    if (!run) return;
    const tab = params().get("tab") ?? "charts";
    if (tab === "config") void showConfig(this.body, this.id, this.signal);
    else if (tab === "summary") void showSummary(this.body, this.id, this.series, this.signal);
    else if (tab === "media") void showMedia(this.body, run, this.signal);
    else if (tab === "code") void showCode(this.body, run, this.signal);
    else if (tab === "events") void showEvents(this.body, run, this.signal);
    else {
      this.charts = new ChartView([this.shown(run)], this.signal);
      fill(this.body, this.series.length ? this.charts.toolbar.element : null, this.charts.board.element);
    }
  }

  private shown(run: RunDetail): Shown {
    const { id, started, step = null } = run;
    return { id, name: runName(run), started, step, series: this.series, alerts: this.alerts };
  }

  /** The step it is to end at, where it says so. */
  private target(): number | null {
    const found = toNumber(this.series.find((one) => one.name === "target_iteration")?.last);
    return Number.isFinite(found) && found > 0 ? found : null;
  }

  // --- live ---------------------------------------------------------------------------------------

  private follow(): void {
    const ended = new AbortController();
    const signal = AbortSignal.any([this.signal, ended.signal]);
    listen(
      `${runPath(this.id)}/live`,
      {
        told: {
          update: (data) => this.take(data as Update),
          alert: (data) => this.alerted(data as EventInfo),
          end: () => {
            ended.abort();
            void this.renew();
          },
        },
        lost: () => showAway(true),
        found: () => showAway(false),
      },
      signal,
    );
    this.signal.addEventListener("abort", () => showAway(false));
    every(RENEWED, () => this.charts?.isZoomed || this.charts?.board.refresh(), signal);
  }

  private take({ run, points }: Update): void {
    if (!this.run) return;
    this.run = { ...this.run, ...run };
    this.showHead();
    const known = new Set(this.series.map((one) => one.name));
    if (
      Object.keys(points).some((name) => !known.has(name)) &&
      performance.now() - this.fetchedSeries > (known.size ? SERIES_RENEWED : 0)
    )
      void this.renew();
    this.charts?.board.extend(points, this.primary(points));
  }

  /** The rank whose points come live: the lowest that has logged them. */
  private primary(points: Update["points"]): number | null {
    const ranks = this.series.filter((one) => one.kind === "run" && one.name in points).map((one) => one.rank);
    return ranks.includes(null) || !ranks.length ? null : Math.min(...(ranks as number[]));
  }

  private alerted(alert: EventInfo): void {
    if (this.alerts.some((one) => one.session === alert.session && one.seq === alert.seq)) return;
    this.alerts = [...this.alerts, alert];
    this.showTabs();
    if (this.run) this.charts?.update([this.shown(this.run)]);
  }

  /** Ask again for the run and its series. */
  private async renew(): Promise<void> {
    this.fetchedSeries = performance.now();
    const path = runPath(this.id);
    try {
      const [run, { series }] = await Promise.all([
        ask<RunDetail>(path, this.signal),
        ask<{ series: SeriesInfo[] }>(`${path}/series`, this.signal),
      ]);
      const first = !this.series.length && series.length > 0;
      [this.run, this.series] = [run, series];
      this.showHead();
      if (first && this.charts) this.showTab();
      else this.charts?.update([this.shown(run)]);
      if (run.state !== "running") this.charts?.board.refresh();
      showAway(false);
    } catch (problem) {
      if (isAbort(problem) || this.signal.aborted) return;
      showAway(problem instanceof Problem && problem.status === 0);
      const timer = setTimeout(() => void this.renew(), AGAIN);
      this.signal.addEventListener("abort", () => clearTimeout(timer));
    }
  }
}
