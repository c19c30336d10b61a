/** What happened beside rows, by time: alerts, changes of the config, texts, the end. */

import { ask, query, runPath } from "../api";
import { fill, h } from "../dom";
import { moment, value, whole } from "../format";
import { showProblem } from "../notice";
import { go, params } from "../router";
import type { EventInfo, RunDetail } from "../types";

const PAGE = 200;
const LONGEST = 400; // characters of an event's data on its line

export async function showEvents(root: HTMLElement, run: RunDetail, signal: AbortSignal): Promise<void> {
  const kind = params().get("kind") ?? "";
  const list = h("ol", { class: "events" });
  const more = h("button", { type: "button", class: "more", hidden: true }, "Show more");
  const fetch = async (after: string | null) => {
    const path = `${runPath(run.id)}/events${query({ kind, limit: PAGE, after })}`;
    const { events, next } = await ask<{ events: EventInfo[]; next: string | null }>(path, signal);
    list.append(...events.map((event) => line(event, run)));
    more.hidden = next === null;
    more.onclick = () => void fetch(next).catch((problem) => showProblem(root, problem, signal));
  };
  try {
    await fetch(null);
  } catch (problem) {
    showProblem(root, problem, signal);
    return;
  }
  const kinds = [
    "",
    "alert",
    "text",
    "config",
    "summary",
    "define_metric",
    "about",
    "detection",
    "media",
    "artifact",
    "save",
    "client",
    "finish",
  ];
  const choose = (event: Event) => {
    const found = params();
    const chosen = (event.currentTarget as HTMLSelectElement).value;
    if (chosen) found.set("kind", chosen);
    else found.delete("kind");
    go(`${location.pathname}?${found}`);
  };
  const option = (one: string) =>
    h("option", { value: one, selected: one === kind }, one.replace("_", " ") || "all kinds");
  fill(
    root,
    h("p", {}, h("select", { "aria-label": "Kind of event", onchange: choose }, kinds.map(option))),
    list.children.length ? list : h("p", { class: "empty" }, "Nothing of this kind."),
    more,
  );
}

function line(event: EventInfo, run: RunDetail): HTMLElement {
  const { kind, data } = event;
  const level = kind === "alert" ? ` level-${String(data.level ?? "info").toLowerCase()}` : "";
  const where = [
    event.rank !== null && run.sessions.length > 1 ? `rank ${event.rank}` : "",
    event.step === null ? "" : `step ${whole(event.step)}`,
  ];
  return h(
    "li",
    { class: `event event-${kind}${level}` },
    h("time", {}, moment(event.time)),
    h("span", { class: "kind" }, kind.replace("_", " ")),
    h("span", { class: "where" }, where.filter(Boolean).join(", ")),
    h("span", { class: "told" }, told(kind, data)),
  );
}

function told(kind: string, data: Record<string, unknown>): (Node | string)[] {
  if (kind === "alert") return [h("b", {}, String(data.title ?? "")), ` ${data.text ?? ""}`];
  if (kind === "text")
    return Object.entries((data.values ?? {}) as object).flatMap(([name, text]) => [h("b", {}, name), ` ${text} `]);
  if (kind === "media")
    return [h("b", {}, String(data.name ?? "")), ` ${data.type ?? ""} ${data.caption ?? data.lost ?? ""}`];
  if (kind === "finish") return [`exit code ${value(data.exit_code)}`];
  const found = JSON.stringify(kind === "config" || kind === "summary" ? (data.set ?? data) : data);
  if (found.length <= LONGEST) return [h("code", {}, found)];
  return [
    h(
      "details",
      {},
      h("summary", {}, h("code", {}, `${found.slice(0, 100)}…`)),
      h("pre", {}, JSON.stringify(data, null, 2)),
    ),
  ];
}
