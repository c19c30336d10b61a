/** All runs, or all workloads: found by words, state, project and tag; kept new while it is looked at. */

import { ask, isAbort, query } from "../api";
import { fill, h } from "../dom";
import { whole } from "../format";
import { bind } from "../keys";
import { every, listen } from "../live";
import { showAway, showProblem } from "../notice";
import { runAddress } from "../parts";
import { go, note, params } from "../router";
import type { RunInfo, WorkloadInfo } from "../types";
import { filters } from "./filters";
import { nothing, runRow, workloadTable } from "./rows";

const PAGE = 100;
const MOST_ASKED = 1000; // the API's limit
const MOST_COMPARED = 5;
const ASKED = ["q", "state", "project", "tag", "workload", "group"] as const;

export function showRuns(root: HTMLElement, signal: AbortSignal): void {
  document.title = "Runs · Wayside";
  new RunsView(root, signal).begin();
}

class RunsView {
  private readonly asked = params();
  private readonly list = h("div", { class: "list", "aria-live": "off" });
  private readonly count = h("p", { class: "count", role: "status" });
  private readonly chosen = new Set<string>();
  private readonly compare = h("div", { class: "compare-bar", hidden: true });
  private readonly filters: ReturnType<typeof filters>;
  private runs: RunInfo[] = [];
  private total = 0;
  private listed = false; // and not a problem in the list's place
  private at = -1;
  private latest = new AbortController();
  /** States and ids of runs that were looked for and are not in the list. */
  private readonly elsewhere = new Set<string>();

  constructor(
    private readonly root: HTMLElement,
    private readonly signal: AbortSignal,
  ) {
    this.filters = filters(this.asked, this.workloads, {
      set: (name, value) => this.set(name, value),
      unset: (name, value) => this.unset(name, value),
    });
  }

  private get workloads(): boolean {
    return this.asked.get("view") === "workloads";
  }

  begin(): void {
    fill(this.root, h("h1", { class: "sr-only" }, "Runs"), this.filters.element, this.count, this.list, this.compare);
    void this.fetch();
    bind(
      [
        { key: "/", told: "search", act: () => this.filters.search.focus() },
        { key: "j", told: "the next run", act: () => this.move(1) },
        { key: "k", told: "the run before", act: () => this.move(-1) },
        { key: "Enter", told: "open it", act: () => this.open() },
        { key: "x", told: "choose it for comparison", act: () => this.toggle(this.runs[this.at]?.id) },
        { key: "c", told: "compare the chosen", act: () => this.goCompare() },
        { key: "Escape", told: "back", act: () => this.reset() },
      ],
      this.signal,
    );
    listen(
      "/api/v1/live",
      {
        told: { runs: (data) => this.take((data as { runs: RunInfo[] }).runs) },
        lost: () => showAway(true),
        found: () => showAway(false),
      },
      this.signal,
    );
    this.signal.addEventListener("abort", () => showAway(false));
    every(10_000, () => this.show(), this.signal);
  }

  // --- what is looked for -------------------------------------------------------------------------

  private set(name: string, value: string): void {
    if (value) this.asked.set(name, value);
    else this.asked.delete(name);
    note(this.asked);
    void this.fetch();
  }

  private unset(name: string, value: string): void {
    const rest = this.asked.getAll(name).filter((one) => one !== value);
    this.asked.delete(name);
    for (const one of rest) this.asked.append(name, one);
    go(`/?${this.asked}`);
  }

  private async fetch(offset = 0): Promise<void> {
    this.latest.abort();
    this.latest = new AbortController();
    const signal = AbortSignal.any([this.signal, this.latest.signal]);
    try {
      if (this.workloads) {
        const asked = query({ q: this.asked.get("q"), limit: PAGE, offset });
        const { workloads, total } = await ask<{ workloads: WorkloadInfo[]; total: number }>(
          `/api/v1/workloads${asked}`,
          signal,
        );
        this.count.textContent = total === 1 ? "1 workload" : `${whole(total)} workloads`;
        fill(this.list, workloadTable(workloads));
        return;
      }
      const shown = Math.min(MOST_ASKED, Math.max(PAGE, this.runs.length));
      const wanted = Object.fromEntries(ASKED.map((name) => [name, this.asked.getAll(name)]));
      const path = `/api/v1/runs${query({ ...wanted, limit: offset ? PAGE : shown, offset })}${this.configFilters()}`;
      const found = await ask<{ runs: RunInfo[]; total: number }>(path, signal);
      this.runs = offset ? [...this.runs, ...found.runs] : found.runs;
      this.total = found.total;
      this.listed = true;
      this.show();
    } catch (problem) {
      if (!isAbort(problem)) this.listed = false;
      showProblem(this.list, problem, signal, () => void this.fetch());
    }
  }

  private configFilters(): string {
    const found = [...this.asked].filter(([name]) => name.startsWith("config."));
    return found.map(([name, value]) => `&${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("");
  }

  // --- what is found ------------------------------------------------------------------------------

  /** Runs that changed: known ones in place; the list is asked for again where others may have come into it. */
  private take(changed: readonly RunInfo[]): void {
    if (this.workloads) return;
    const known = new Map(this.runs.map((run) => [run.id, run]));
    const news = changed.filter((run) => {
      if (known.has(run.id)) return this.asked.has("state") && known.get(run.id)?.state !== run.state;
      const key = `${run.state} ${run.id}`;
      return !this.elsewhere.has(key) && this.elsewhere.add(key);
    });
    this.runs = this.runs.map((run) => changed.find((one) => one.id === run.id) ?? run);
    if (news.length) void this.fetch();
    else this.show();
  }

  private show(): void {
    if (this.workloads || !this.listed) return;
    this.count.textContent = this.total === 1 ? "1 run" : `${whole(this.total)} runs`;
    if (!this.runs.length) {
      fill(this.list, nothing([...this.asked].length > 0));
      return;
    }
    const focused = document.activeElement?.closest("[data-run]")?.getAttribute("data-run");
    const what = document.activeElement?.matches("input") ? "input" : "a";
    const heads = ["", "Run", "State", "Project", "Step", "Last loss", "Ran for", "Begun"];
    const body = this.runs.map((run, place) =>
      runRow(run, { at: place === this.at, chosen: this.chosen.has(run.id) }, () => this.toggle(run.id)),
    );
    fill(
      this.list,
      h(
        "table",
        { class: "runs", "aria-label": "Runs" },
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            heads.map((head) => h("th", { scope: "col" }, head || h("span", { class: "sr-only" }, "Compare"))),
          ),
        ),
        h("tbody", {}, body),
      ),
      this.runs.length < this.total &&
        h(
          "button",
          { type: "button", class: "more", onclick: () => void this.fetch(this.runs.length) },
          `Show more of ${whole(this.total)}`,
        ),
    );
    if (focused) this.list.querySelector<HTMLElement>(`[data-run="${CSS.escape(focused)}"] ${what}`)?.focus();
  }

  // --- by key -------------------------------------------------------------------------------------

  private move(by: number): void {
    if (!this.runs.length) return;
    this.at = Math.min(this.runs.length - 1, Math.max(0, this.at + by));
    this.list.querySelectorAll("tbody tr").forEach((row, place) => {
      row.classList.toggle("at", place === this.at);
      if (place === this.at) row.scrollIntoView({ block: "nearest" });
    });
  }

  private open(): boolean {
    const run = this.runs[this.at];
    if (run) go(runAddress(run.id));
    return run !== undefined;
  }

  private reset(): void {
    if ([...this.asked].length) go("/");
  }

  private toggle(id: string | undefined): void {
    if (id === undefined) return;
    if (!this.chosen.delete(id)) this.chosen.add(id);
    const box = this.list.querySelector<HTMLInputElement>(`[data-run="${CSS.escape(id)}"] input`);
    if (box) box.checked = this.chosen.has(id);
    const count = this.chosen.size;
    this.compare.hidden = !count;
    const said =
      count < 2
        ? "Choose another run to compare with"
        : count > MOST_COMPARED
          ? `At most ${MOST_COMPARED} runs are compared`
          : `${count} runs chosen`;
    const clear = () => [...this.chosen].forEach((one) => void this.toggle(one));
    fill(
      this.compare,
      h("span", { role: "status" }, said),
      h(
        "button",
        { type: "button", disabled: count < 2 || count > MOST_COMPARED, onclick: () => this.goCompare() },
        "Compare",
      ),
      h("button", { type: "button", class: "quiet", onclick: clear }, "Clear"),
    );
  }

  private goCompare(): boolean {
    const { size } = this.chosen;
    if (size < 2 || size > MOST_COMPARED) return false;
    go(`/compare?${new URLSearchParams({ runs: [...this.chosen].join(",") })}`);
    return true;
  }
}
