/** A run's config and summary: every value by its path, found by words; and its metrics in numbers. */

import { ask, runPath } from "../api";
import { type Child, fill, h, inputOf } from "../dom";
import { inUnit, number, toNumber, value, whole } from "../format";
import { showProblem } from "../notice";
import { table } from "../parts";
import type { SeriesInfo } from "../types";

export async function showConfig(root: HTMLElement, id: string, signal: AbortSignal): Promise<void> {
  try {
    const config = await ask<Record<string, unknown>>(`${runPath(id)}/config`, signal);
    const leaves = flatten(config);
    if (!leaves.length)
      fill(
        root,
        h(
          "p",
          { class: "empty" },
          "This run has no config. ",
          h("code", {}, "wayside.init(config={…})"),
          " or ",
          h("code", {}, "wayside.config.update(…)"),
          " would set it.",
        ),
      );
    else
      fill(
        root,
        searched("Find a value", leaves, (found) => pairs(found, "Config")),
      );
  } catch (problem) {
    showProblem(root, problem, signal);
  }
}

export async function showSummary(
  root: HTMLElement,
  id: string,
  series: readonly SeriesInfo[],
  signal: AbortSignal,
): Promise<void> {
  try {
    const summary = flatten(await ask<Record<string, unknown>>(`${runPath(id)}/summary`, signal));
    const metrics = series.map((one): [string, SeriesInfo] => [one.name, one]);
    fill(
      root,
      summary.length ? [h("h2", {}, "Set by the run"), pairs(summary, "Summary")] : null,
      h("h2", {}, "Metrics"),
      metrics.length
        ? searched("Find a metric", metrics, numbers)
        : h("p", { class: "empty" }, "No metric was logged yet."),
    );
  } catch (problem) {
    showProblem(root, problem, signal);
  }
}

/** What is in nested objects, by paths with dots. */
export function flatten(found: Record<string, unknown>, above = ""): [string, unknown][] {
  return Object.entries(found).flatMap(([key, inner]): [string, unknown][] => {
    const path = above ? `${above}.${key}` : key;
    const nested = inner !== null && typeof inner === "object" && !Array.isArray(inner) && Object.keys(inner).length;
    return nested ? flatten(inner as Record<string, unknown>, path) : [[path, inner]];
  });
}

export function pairs(found: readonly [string, unknown][], label: string): HTMLElement {
  return table(
    ["Name", "Value"],
    found.map(([path, inner]) => [h("code", {}, path), h("span", { class: "value" }, value(inner))]),
    label,
  );
}

/** A field to search by, and what is found. */
export function searched<T>(
  label: string,
  all: readonly [string, T][],
  shown: (found: [string, T][]) => Child,
): HTMLElement {
  const list = h("div");
  const show = (text: string) => {
    const words = text.toLowerCase().split(/\s+/).filter(Boolean);
    const found = all.filter(([name, inner]) =>
      words.every((word) => `${name} ${typeof inner === "object" ? "" : inner}`.toLowerCase().includes(word)),
    );
    fill(list, found.length ? shown(found) : h("p", { class: "empty" }, "Nothing here has this in it."));
  };
  show("");
  const search = h("input", {
    type: "search",
    placeholder: label,
    "aria-label": label,
    oninput: (event) => show(inputOf(event).value),
  });
  return h("div", {}, all.length > 8 ? search : null, list);
}

const SHOWN = 500; // rows of a table; the search finds the rest

function numbers(found: readonly [string, SeriesInfo][]): Child {
  const tell = (one: SeriesInfo, told: SeriesInfo["last"] | null) =>
    one.kind === "system" && told !== null ? inUnit(one.name, toNumber(told)) : number(told);
  const rows = found
    .slice(0, SHOWN)
    .map(([name, one]) => [
      h("code", {}, name),
      one.kind === "system" ? one.host : one.rank === null ? "–" : `rank ${one.rank}`,
      tell(one, one.last),
      one.best === null
        ? "–"
        : h("span", { title: `${one.goal} at step ${whole(one.best_step)}` }, tell(one, one.best)),
      tell(one, one.min),
      tell(one, one.max),
      tell(one, one.mean),
      whole(one.count),
      one.count > one.finite ? whole(one.count - one.finite) : "",
    ]);
  const heads = ["Metric", "Of", "Last", "Best", "Min", "Max", "Mean", "Points", "Not finite"];
  return [
    table(heads, rows, "Metrics"),
    found.length > SHOWN && h("p", {}, `and ${whole(found.length - SHOWN)} more: search for them`),
  ];
}
