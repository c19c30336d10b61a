/** All runs, or all workloads: found by words, state, project and tag; kept new while it is looked at. */

import { ask, query } from "../api";
import { fill, h, inputOf } from "../dom";
import { whole } from "../format";
import { bind } from "../keys";
import { every, listen } from "../live";
import { showAway, showProblem } from "../notice";
import { lossText, now, progress, ran, runAddress, runName, stateBadge, tags, when } from "../parts";
import { go, note, params } from "../router";
import type { RunInfo, WorkloadInfo } from "../types";

const PAGE = 100;
const TYPED = 200; // milliseconds after the last letter
const MOST_COMPARED = 5;
const STATES = ["running", "finished", "failed", "crashed"];
const FILTERS = ["q", "state", "project", "tag", "workload", "group"] as const;

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
  private search = h("input");
  private runs: RunInfo[] = [];
  private total = 0;
  private at = -1;
  private latest = new AbortController();

  constructor(
    private readonly root: HTMLElement,
    private readonly signal: AbortSignal,
  ) {}

  private get workloads(): boolean {
    return this.asked.get("view") === "workloads";
  }

  begin(): void {
    fill(this.root, h("h1", { class: "sr-only" }, "Runs"), this.filters(), this.count, this.list, this.compare);
    void this.fetch();
    bind(
      [
        { key: "/", told: "search", act: () => this.search.focus() },
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

  private filters(): HTMLElement {
    let timer = 0;
    this.search = h("input", {
      type: "search",
      class: "search",
      placeholder: this.workloads ? "Search workloads" : "Search runs by name, id, notes or project",
      "aria-label": "Search",
      value: this.asked.get("q") ?? "",
      oninput: (event) => {
        const { value } = inputOf(event);
        clearTimeout(timer);
        timer = window.setTimeout(() => this.set("q", value), TYPED);
      },
    });
    const tab = (view: string | null, text: string) =>
      h(
        "a",
        {
          href: view ? `/?view=${view}` : "/",
          "aria-current": (view === "workloads") === this.workloads ? "true" : null,
        },
        text,
      );
    const state = h(
      "select",
      {
        "aria-label": "State",
        onchange: (event) => this.set("state", (event.currentTarget as HTMLSelectElement).value),
      },
      h("option", { value: "" }, "any state"),
      STATES.map((one) => h("option", { value: one, selected: this.asked.get("state") === one }, one)),
    );
    const set = (["project", "group", "workload"] as const).flatMap((name) =>
      this.asked.getAll(name).map((value) => [name, value] as const),
    );
    const chips = [...set, ...this.asked.getAll("tag").map((value) => ["tag", value] as const)].map(([name, value]) =>
      h(
        "button",
        {
          type: "button",
          class: "chip",
          "aria-label": `Without ${name} ${value}`,
          onclick: () => this.unset(name, value),
        },
        `${name} ${value} ×`,
      ),
    );
    return h(
      "form",
      { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
      h("nav", { class: "switch", "aria-label": "What is listed" }, tab(null, "Runs"), tab("workloads", "Workloads")),
      this.search,
      this.workloads ? null : state,
      chips,
    );
  }

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
        this.showWorkloads(workloads, total);
        return;
      }
      const wanted = Object.fromEntries(FILTERS.map((name) => [name, this.asked.getAll(name)]));
      const path = `/api/v1/runs${query({ ...wanted, limit: PAGE, offset })}${this.configFilters()}`;
      const found = await ask<{ runs: RunInfo[]; total: number }>(path, signal);
      this.runs = offset ? [...this.runs, ...found.runs] : found.runs;
      this.total = found.total;
      this.show();
    } catch (problem) {
      showProblem(this.list, problem, signal, () => void this.fetch());
    }
  }

  private configFilters(): string {
    const found = [...this.asked].filter(([name]) => name.startsWith("config."));
    return found.map(([name, value]) => `&${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join("");
  }

  // --- what is found ------------------------------------------------------------------------------

  /** Runs that changed: known ones in place, new ones on top where nothing is looked for. */
  private take(changed: readonly RunInfo[]): void {
    if (this.workloads) return;
    const fresh = changed.filter((run) => !this.runs.some((known) => known.id === run.id));
    this.runs = this.runs.map((run) => changed.find((one) => one.id === run.id) ?? run);
    if (fresh.length) void this.fetch();
    else this.show();
  }

  private show(): void {
    if (this.workloads) return;
    this.count.textContent = this.total === 1 ? "1 run" : `${whole(this.total)} runs`;
    if (!this.runs.length) {
      fill(this.list, this.nothing());
      return;
    }
    const focused = document.activeElement?.closest("[data-run]")?.getAttribute("data-run");
    const heads = ["", "Run", "State", "Project", "Step", "Last loss", "Ran for", "Begun"];
    const body = this.runs.map((run, place) => this.row(run, place));
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
    if (focused) this.list.querySelector<HTMLElement>(`[data-run="${CSS.escape(focused)}"] a`)?.focus();
  }

  private row(run: RunInfo, place: number): HTMLElement {
    const at = now();
    const choose = h("input", {
      type: "checkbox",
      "aria-label": `Compare ${runName(run)}`,
      checked: this.chosen.has(run.id),
      onchange: () => this.toggle(run.id),
    });
    const name = h("a", { href: runAddress(run.id), class: "run-name" }, runName(run));
    const cell = (label: string, ...inner: (Node | string | null)[]) => h("td", { "data-label": label }, inner);
    return h(
      "tr",
      { "data-run": run.id, class: place === this.at ? "at" : null },
      cell("", choose),
      cell(
        "",
        name,
        run.name && run.name !== run.id ? h("small", { class: "id" }, run.id) : null,
        h("span", { class: "tags" }, tags(run.tags)),
      ),
      cell("State", stateBadge(run.state, run.exit_code)),
      cell(
        "Project",
        run.project ? h("a", { href: `/?project=${encodeURIComponent(run.project)}` }, run.project) : "–",
      ),
      cell("Step", progress(run.step, null)),
      cell("Last loss", h("span", { title: run.last_loss?.name ?? "" }, lossText(run.last_loss))),
      cell("Ran for", ran(run, at)),
      cell("Begun", when(run.started, at)),
    );
  }

  private nothing(): HTMLElement {
    if ([...this.asked].length)
      return h("p", { class: "empty" }, "No run is like this. ", h("a", { href: "/" }, "Show all"));
    return h(
      "div",
      { class: "notice" },
      h("h2", {}, "No runs yet"),
      h("p", {}, "A run appears here with its first row. On this machine:"),
      h("pre", {}, 'import wayside\n\nwayside.init(project="demo")\nwayside.log({"train/loss": 0.5}, step=1)'),
    );
  }

  private showWorkloads(found: readonly WorkloadInfo[], total: number): void {
    const at = now();
    this.count.textContent = total === 1 ? "1 workload" : `${whole(total)} workloads`;
    const cell = (label: string, inner: Node | string) => h("td", { "data-label": label }, inner);
    const rows = found.map((one) =>
      h(
        "tr",
        {},
        cell("", h("a", { class: "run-name", href: `/?workload=${encodeURIComponent(one.workload)}` }, one.workload)),
        cell("State", stateBadge(one.state)),
        cell("Runs", whole(one.runs)),
        cell("Begun", when(one.started, at)),
        cell("Last heard", when(one.active, at)),
      ),
    );
    const heads = ["Workload", "State", "Runs", "Begun", "Last heard"];
    fill(
      this.list,
      rows.length
        ? h(
            "table",
            { class: "runs", "aria-label": "Workloads" },
            h(
              "thead",
              {},
              h(
                "tr",
                {},
                heads.map((head) => h("th", { scope: "col" }, head)),
              ),
            ),
            h("tbody", {}, rows),
          )
        : h("p", { class: "empty" }, "No workload is like this."),
    );
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
