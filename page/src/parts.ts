/** Pieces that several views show alike. */

import { h } from "./dom";
import { ago, duration, moment, number, whole } from "./format";
import type { LastLoss, RunInfo, RunState } from "./types";

const SIGNS: Record<RunState, string> = { running: "●", finished: "✓", failed: "✕", crashed: "⚡" };
const MEANING: Record<RunState, string> = {
  running: "its process is connected, or was a moment ago",
  finished: "it ended by itself",
  failed: "it ended with an error",
  crashed: "it ended without a word",
};

export function stateBadge(state: RunState, exitCode: number | null = null): HTMLElement {
  const code = state === "failed" && exitCode !== null ? ` (exit ${exitCode})` : "";
  return h(
    "span",
    { class: `state state-${state}`, title: `${state}: ${MEANING[state] ?? ""}` },
    h("i", { "aria-hidden": "true" }, SIGNS[state] ?? "?"),
    `${state}${code}`,
  );
}

export function runName(run: Pick<RunInfo, "id" | "name">): string {
  return run.name || run.id;
}

export function runAddress(id: string): string {
  return `/runs/${encodeURIComponent(id)}`;
}

export function tags(found: readonly string[]): HTMLElement[] {
  return found.map((tag) => h("a", { class: "tag", href: `/?tag=${encodeURIComponent(tag)}` }, tag));
}

/** The last step, beside the step it is to end at where that is known. */
export function progress(step: number | null | undefined, target: number | null): HTMLElement | string {
  if (step === null || step === undefined) return "–";
  if (!target || target < step) return whole(step);
  const share = Math.min(1, step / target);
  return h(
    "span",
    { class: "progress", title: `${(share * 100).toFixed(1)} %` },
    h("span", {}, `${whole(step)} / ${whole(target)}`),
    h("progress", { value: share, max: 1, "aria-label": "progress" }),
  );
}

export function lossText(loss: LastLoss | null | undefined): string {
  return loss ? number(loss.value) : "–";
}

/** How long a run went on, or goes on. */
export function ran(run: RunInfo, now: number): string {
  return duration((run.state === "running" ? Math.max(now, run.active) : run.active) - run.started);
}

export function when(time: number, now: number): HTMLElement {
  return h("time", { datetime: new Date(time * 1000).toISOString(), title: moment(time) }, ago(time, now));
}

export function now(): number {
  return Date.now() / 1000;
}

/** A table: heads, and rows of cells. */
export function table(
  heads: readonly (string | Node)[],
  rows: readonly (string | Node | (string | Node)[])[][],
  label: string,
): HTMLElement {
  const cell = (tag: "th" | "td", one: string | Node | (string | Node)[]) =>
    h(tag, tag === "th" ? { scope: "col" } : {}, one);
  return h(
    "div",
    { class: "scroll" },
    h(
      "table",
      { "aria-label": label },
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          heads.map((one) => cell("th", one)),
        ),
      ),
      h(
        "tbody",
        {},
        rows.map((row) =>
          h(
            "tr",
            {},
            row.map((one) => cell("td", one)),
          ),
        ),
      ),
    ),
  );
}
