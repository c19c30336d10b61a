/** Two to five runs: their charts over each other, where their configs differ, and who was best at what. */

import { ask, Problem, query, runPath } from "../api";
import type { Shown } from "../charts/lines";
import { ChartView } from "../charts/view";
import { fill, h } from "../dom";
import { number, value, whole } from "../format";
import { bind } from "../keys";
import { every } from "../live";
import { showProblem } from "../notice";
import { lossText, progress, runAddress, runName, stateBadge, table } from "../parts";
import { go, params } from "../router";
import { lineColor } from "../theme";
import type { Comparison, EventInfo, RunDetail, SeriesInfo } from "../types";

const MOST = 5;
const RENEWED = 15_000; // milliseconds, while one of them runs

export function showCompare(root: HTMLElement, signal: AbortSignal): void {
  document.title = "Comparison · Wayside";
  bind([{ key: "Escape", told: "all runs", act: () => go("/") }], signal);
  const ids = [...new Set((params().get("runs") ?? "").split(",").filter(Boolean))];
  if (ids.length < 2 || ids.length > MOST) {
    const text = `Two to five runs are compared, and this address names ${ids.length}. Choose them in the list: by the boxes, or with x, then c.`;
    fill(
      root,
      h(
        "div",
        { class: "notice" },
        h("h1", {}, "Nothing to compare"),
        h("p", {}, text),
        h("a", { href: "/", class: "button" }, "All runs"),
      ),
    );
    return;
  }
  void show(root, signal, ids);
}

async function show(root: HTMLElement, signal: AbortSignal, ids: readonly string[]): Promise<void> {
  fill(root, h("p", { class: "empty", "aria-busy": "true" }, "Loading…"));
  try {
    const found = await Promise.all(ids.map((id) => fetchKnown(id, signal)));
    const runs = found.filter((run) => run !== null);
    const known = runs.map((run) => run.id);
    const gone = ids.filter((id) => !known.includes(id));
    if (known.length < 2) {
      tooFew(root, runs, gone);
      return;
    }
    const comparison = await ask<Comparison>(`/api/v1/compare${query({ runs: known.join(",") })}`, signal);
    const charts = new ChartView(distinct(runs), signal);
    const goesOn = runs.some((run) => run.detail.state === "running");
    if (goesOn) every(RENEWED, () => charts.isZoomed || charts.board.refresh(), signal);
    const marker = (place: number) => h("i", { class: "swatch", style: `background: var(--${lineColor(place)})` });
    fill(
      root,
      h("h1", {}, "Comparison"),
      gone.length ? missing(gone, known) : null,
      h(
        "ul",
        { class: "compared" },
        runs.map((run, place) => h("li", {}, marker(place), head(run.detail), without(known, run.id))),
      ),
      differences(comparison, marker),
      charts.toolbar.element,
      charts.board.element,
      best(comparison, marker),
    );
  } catch (problem) {
    showProblem(root, problem, signal);
  }
}

interface Fetched extends Shown {
  detail: RunDetail;
}

/** The run, or null where there is none of this id. */
async function fetchKnown(id: string, signal: AbortSignal): Promise<Fetched | null> {
  try {
    return await fetchRun(id, signal);
  } catch (problem) {
    if (problem instanceof Problem && problem.status === 404) return null;
    throw problem;
  }
}

async function fetchRun(id: string, signal: AbortSignal): Promise<Fetched> {
  const path = runPath(id);
  const [detail, { series }, { events }] = await Promise.all([
    ask<RunDetail>(path, signal),
    ask<{ series: SeriesInfo[] }>(`${path}/series`, signal),
    ask<{ events: EventInfo[] }>(`${path}/alerts`, signal),
  ]);
  const { started, step = null } = detail;
  return { id, name: runName(detail), started, step, series, alerts: events, detail };
}

/** Runs of one name are told apart by their ids. */
function distinct(runs: readonly Fetched[]): Shown[] {
  const names = runs.map((run) => run.name);
  return runs.map((run) => ({
    ...run,
    name: names.filter((name) => name === run.name).length > 1 ? `${run.name} (${run.id})` : run.name,
  }));
}

function head(run: RunDetail): (Node | string)[] {
  const loss = run.last_loss ? `${run.last_loss.name} ${lossText(run.last_loss)}` : "";
  return [
    h("a", { href: runAddress(run.id) }, runName(run)),
    stateBadge(run.state, run.exit_code),
    h("span", {}, "step ", progress(run.step, null)),
    h("span", {}, loss),
  ];
}

function told(gone: readonly string[]): string {
  const all = gone.length === 1 ? `Run ${gone[0]} is` : `Runs ${gone.join(", ")} are`;
  return `${all} not here: let go of by the store's limits, or never in this collector.`;
}

function missing(gone: readonly string[], known: readonly string[]): HTMLElement {
  const found = params();
  found.set("runs", known.join(","));
  return h(
    "p",
    { class: "ending", role: "status" },
    told(gone),
    " ",
    h("a", { href: `/compare?${found}` }, "Go on without"),
  );
}

/** Fewer than two are left: what became of the others, and the way to the one that is there. */
function tooFew(root: HTMLElement, runs: readonly Fetched[], gone: readonly string[]): void {
  fill(
    root,
    h(
      "div",
      { class: "notice", role: "alert" },
      h("h1", {}, "Nothing to compare"),
      h("p", {}, told(gone)),
      runs.map((run) => h("a", { href: runAddress(run.id), class: "button" }, `Open ${run.name}`)),
      h("a", { href: "/", class: "button" }, "All runs"),
    ),
  );
}

function without(ids: readonly string[], id: string): HTMLElement | string {
  if (ids.length < 3) return "";
  const found = params();
  found.set("runs", ids.filter((one) => one !== id).join(","));
  return h("a", { href: `/compare?${found}`, class: "quiet", "aria-label": `Without ${id}` }, "×");
}

type Marker = (place: number) => HTMLElement;

function heads(comparison: Comparison, marker: Marker): HTMLElement[] {
  return comparison.runs.map((run, place) => h("span", {}, marker(place), runName(run)));
}

function differences(comparison: Comparison, marker: Marker): HTMLElement {
  const found = Object.entries(comparison.config);
  if (!found.length) return h("p", { class: "hint" }, "Their configs are alike.");
  const rows = found.map(([path, values]) => [
    h("code", {}, path),
    ...values.map((one) => h("span", { class: one === null ? "absent" : "value" }, value(one))),
  ]);
  return h(
    "details",
    { class: "differences", open: true },
    h(
      "summary",
      {},
      found.length === 1
        ? "One value of their configs differs"
        : `${whole(found.length)} values of their configs differ`,
    ),
    table(["Config", ...heads(comparison, marker)], rows, "Where the configs differ"),
  );
}

function best(comparison: Comparison, marker: Marker): HTMLElement {
  const rows = comparison.metrics.map((metric) => [
    h(
      "span",
      {},
      h("code", {}, metric.name),
      metric.goal ? h("small", {}, metric.goal === "min" ? " less is better" : " more is better") : null,
    ),
    ...metric.last.map((last, place) => {
      const found = metric.best[place] ?? null;
      const won = metric.winner === place;
      const shown = won
        ? h("strong", { class: "won" }, number(found), " ★", h("span", { class: "sr-only" }, " best of all"))
        : number(found);
      return h("span", { class: "last-best" }, number(last), found === null ? null : h("small", {}, " best ", shown));
    }),
  ]);
  return h(
    "section",
    { class: "best" },
    h("h2", {}, "Last and best values"),
    comparison.metrics.length
      ? table(["Metric", ...heads(comparison, marker)], rows, "Last and best values")
      : h("p", { class: "empty" }, "None of them logged a metric."),
  );
}
