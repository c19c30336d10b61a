/** Of which code, with which command, and on what the run was made: what it told of itself, and its processes. */

import { ask, query, runPath } from "../api";
import { fill, h } from "../dom";
import { duration, value, whole } from "../format";
import { showProblem } from "../notice";
import { now, table, when } from "../parts";
import type { EventInfo, RunDetail, SessionInfo } from "../types";
import { flatten, pairs, searched } from "./values";

const APART = new Set(["git", "packages", "command", "problems"]);
const SHOWN = 200; // sessions
const PAGE = 100; // events asked for at once: each may hold some hundred packages
const MOST_PAGES = 20; // of them, where the rank awaited told nothing

interface EventsTold {
  events: EventInfo[];
  next: string | null;
}

export async function showCode(root: HTMLElement, run: RunDetail, signal: AbortSignal): Promise<void> {
  try {
    const about = (await findAbout(run, (path) => ask(path, signal)))?.data;
    fill(
      root,
      about
        ? [command(about), git(about), environment(about), packages(about)]
        : h("p", { class: "empty" }, "This run told nothing of its code yet."),
      sessions(run.sessions),
    );
  } catch (problem) {
    showProblem(root, problem, signal);
  }
}

/** What the lowest rank told last: every rank tells the same of the code, and one that begins again tells it anew. */
export async function findAbout(run: RunDetail, fetched: (path: string) => Promise<EventsTold>) {
  const lowest = Math.min(...run.sessions.map(rankOf));
  const awaited = run.sessions.filter((one) => rankOf(one) === lowest).pop();
  let found: EventInfo | undefined;
  let after: string | null = null;
  for (let page = 0; page < MOST_PAGES; page++) {
    const { events, next }: EventsTold = await fetched(
      `${runPath(run.id)}/events${query({ kind: "about", limit: PAGE, after })}`,
    );
    for (const event of events) if (!found || rankOf(event) <= rankOf(found)) found = event;
    if (next === null || (found && found.session === awaited?.id)) break;
    after = next;
  }
  return found;
}

function rankOf({ rank }: { rank: number | null }): number {
  return rank ?? -1;
}

/** A word as a shell reads it back. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function command(about: Record<string, unknown>): HTMLElement | null {
  const words = about.command;
  if (!Array.isArray(words)) return null;
  return h("section", {}, h("h2", {}, "Command"), h("pre", {}, words.map((word) => quoted(String(word))).join(" ")));
}

function git(about: Record<string, unknown>): HTMLElement {
  const found = about.git as Record<string, unknown> | undefined;
  if (!found)
    return h(
      "section",
      {},
      h("h2", {}, "Code"),
      h("p", { class: "empty" }, "Not in a git working copy, or not to be looked at."),
    );
  const { diff, ...rest } = found;
  return h(
    "section",
    {},
    h("h2", {}, "Code"),
    pairs(flatten(rest), "Code"),
    diff
      ? h(
          "details",
          {},
          h("summary", {}, "Changes that were not committed"),
          h("pre", { class: "diff" }, colored(String(diff))),
        )
      : null,
  );
}

function colored(diff: string): HTMLElement[] {
  const kind = (line: string) =>
    line.startsWith("@@")
      ? "hunk"
      : /^(\+\+\+|---|diff|index)/.test(line)
        ? "file"
        : line.startsWith("+")
          ? "plus"
          : line.startsWith("-")
            ? "minus"
            : "";
  return diff.split("\n").map((line) => h("span", { class: kind(line) }, `${line}\n`));
}

function environment(about: Record<string, unknown>): HTMLElement {
  const rest = Object.fromEntries(Object.entries(about).filter(([name, inner]) => !APART.has(name) && inner !== null));
  const problems = about.problems as string[] | undefined;
  return h(
    "section",
    {},
    h("h2", {}, "Environment"),
    pairs(flatten(rest), "Environment"),
    problems?.length ? h("p", { class: "hint" }, `Not all could be found out: ${problems.join("; ")}`) : null,
  );
}

function packages(about: Record<string, unknown>): HTMLElement | null {
  const found = Object.entries((about.packages ?? {}) as Record<string, string>);
  if (!found.length) return null;
  return h(
    "details",
    {},
    h("summary", {}, `${whole(found.length)} packages`),
    searched("Find a package", found, (some) => pairs(some, "Packages")),
  );
}

function sessions(found: readonly SessionInfo[]): HTMLElement {
  const at = now();
  const rows = found
    .slice(-SHOWN)
    .map((one) => [
      one.rank === null ? "–" : String(one.rank),
      one.host,
      value(one.record.pid),
      one.finished === null ? "open or crashed" : one.exit_code === null ? "ended" : `exit ${one.exit_code}`,
      whole(one.rows),
      whole(one.points),
      when(one.started, at),
      duration((one.finished ?? one.active) - one.started),
    ]);
  const heads = ["Rank", "Host", "Process", "State", "Rows", "Points", "Begun", "Heard for"];
  return h(
    "section",
    {},
    h("h2", {}, found.length === 1 ? "Process" : `${whole(found.length)} processes`),
    table(heads, rows, "Processes"),
  );
}
