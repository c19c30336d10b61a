/** The collector's own health: each sink's books, which must balance, and what the spool, the samplers and clients say. */

import { ask } from "../api";
import { fill, h } from "../dom";
import { ago, bytes, duration, value, whole } from "../format";
import { every } from "../live";
import { showAway, showProblem } from "../notice";
import { now, table } from "../parts";
import { note, params } from "../router";
import type { Books, SinkStatus, Status } from "../types";

const RENEWED = 2000; // milliseconds
const UNITS = ["points", "rows", "events"] as const;
type Unit = (typeof UNITS)[number];

export function showSinks(root: HTMLElement, signal: AbortSignal): void {
  document.title = "Sinks · Wayside";
  const body = h("div");
  let shown = false;
  const look = async () => {
    try {
      const status = await ask<Status>("/status", signal);
      if (!shown) fill(root, h("h1", {}, "Sinks"), body);
      shown = true;
      showAway(false);
      fill(
        body,
        health(status),
        ...Object.entries(status.sinks).map(([name, sink]) => card(name, sink)),
        collector(status),
      );
    } catch (problem) {
      if (signal.aborted) return;
      if (shown) showAway(true);
      else showProblem(root, problem, signal);
    }
  };
  signal.addEventListener("abort", () => showAway(false));
  addEventListener("unitchange", () => void look(), { signal });
  every(RENEWED, () => shown && void look(), signal);
  void look();
}

function unit(): Unit {
  return UNITS.find((one) => one === params().get("unit")) ?? "points";
}

function health(status: Status): HTMLElement {
  const ready =
    status.ready === true
      ? h("span", { class: "state state-finished" }, h("i", {}, "✓"), "takes rows")
      : h("span", { class: "state state-failed" }, h("i", {}, "✕"), status.ready.join("; "));
  const open = status.sessions.filter((one) => one.state === "open").length;
  const choose = (one: Unit) => () => {
    const found = params();
    if (one === "points") found.delete("unit");
    else found.set("unit", one);
    note(found);
    dispatchEvent(new Event("unitchange"));
  };
  return h(
    "p",
    { class: "health" },
    ready,
    h("span", {}, `version ${status.version}`),
    h("span", {}, `up ${duration(now() - status.started)}`),
    h("span", {}, open === 1 ? "1 session open" : `${whole(open)} sessions open`),
    h(
      "span",
      { class: "switch", role: "group", "aria-label": "Counted in" },
      UNITS.map((one) =>
        h("button", { type: "button", "aria-pressed": String(one === unit()), onclick: choose(one) }, one),
      ),
    ),
  );
}

function card(name: string, sink: SinkStatus): HTMLElement {
  const chosen = unit();
  const books: Books = chosen === "points" ? sink : sink[chosen];
  const dropped = Object.values(books.dropped).reduce((sum, one) => sum + one, 0);
  const balanced = books.received === books.delivered + books.waiting + dropped;
  const term = (label: string, count: number, kind = "") =>
    h("span", { class: `term ${kind}` }, h("b", {}, whole(count)), h("small", {}, label));
  const reasons = Object.entries(books.dropped).filter(([, count]) => count);
  const trouble = sink.failures > 0 && sink.last_error;
  const state = trouble
    ? h("span", { class: "state state-failed" }, h("i", {}, "✕"), `failing, ${sink.failures} in a row`)
    : h("span", { class: "state state-finished" }, h("i", {}, "✓"), "well");
  const beside = [
    `lag ${sink.lag_seconds < 1 ? "under 1 s" : duration(sink.lag_seconds)}`,
    books.filtered ? `${whole(books.filtered)} left out by its options` : "",
    books.redelivered ? `${whole(books.redelivered)} sent again` : "",
    sink.dead_letters ? `${whole(sink.dead_letters)} dead letters (wayside-collector dead-letters)` : "",
    ...Object.entries(sink.counters).map(([counter, count]) => `${counter.replaceAll("_", " ")} ${whole(count)}`),
  ].filter(Boolean);
  return h(
    "section",
    { class: "sink", "data-sink": name },
    h("h2", {}, name, state),
    h(
      "p",
      { class: "books", "aria-label": `Books of ${name} in ${chosen}` },
      term("received", books.received),
      h("i", { title: balanced ? "the books balance" : "being counted at this moment" }, balanced ? "=" : "≠"),
      term("delivered", books.delivered),
      h("i", {}, "+"),
      term("waiting", books.waiting, books.waiting ? "some" : ""),
      h("i", {}, "+"),
      term("dropped", dropped, dropped ? "lost" : ""),
    ),
    reasons.length
      ? h(
          "p",
          { class: "lost" },
          "Dropped: ",
          reasons.map(([reason, count]) => `${whole(count)} ${reason.replaceAll("_", " ")}`).join(", "),
        )
      : null,
    sink.last_error
      ? h("p", { class: trouble ? "trouble" : "hint" }, trouble ? "" : "Last trouble, over since: ", sink.last_error)
      : null,
    h("p", { class: "hint" }, beside.join(" · ")),
  );
}

function collector(status: Status): HTMLElement {
  const { spool } = status;
  const share = spool.bytes / spool.max_bytes;
  const counted = Object.entries(status.ingest).map(([name, count]) => [
    name.replaceAll("_", " "),
    typeof count === "number" ? whole(count) : value(count),
  ]);
  const sources = Object.entries(status.sources);
  return h(
    "section",
    {},
    h("h2", {}, "Spool"),
    h(
      "p",
      {},
      h("progress", { value: share, max: 1, "aria-label": "How full the spool is" }),
      ` ${bytes(spool.bytes)} of at most ${bytes(spool.max_bytes)} in `,
      h("code", {}, spool.path),
    ),
    spool.last_error ? h("p", { class: "trouble" }, spool.last_error) : null,
    status.client_losses.length
      ? h(
          "p",
          { class: "trouble" },
          `Clients lost rows before they came here, ${whole(status.client_losses.length)} times: see /status.`,
        )
      : null,
    sources.length
      ? [
          h("h2", {}, "Sources"),
          table(
            ["Source", ...Object.keys(sources[0]?.[1] ?? {}).map((name) => name.replaceAll("_", " "))],
            sources.map(([name, one]) => [name, ...Object.entries(one).map(told)]),
            "Sources",
          ),
        ]
      : null,
    h("h2", {}, "Taken in"),
    table(["What", "Count"], counted, "Taken in"),
    h(
      "p",
      { class: "hint" },
      h("a", { href: "/status", target: "_self" }, "/status"),
      " as JSON, ",
      h("a", { href: "/metrics", target: "_self" }, "/metrics"),
      " for Prometheus",
    ),
  );
}

function told([name, found]: [string, unknown]): string {
  if (typeof found === "number" && name.endsWith("_time")) return ago(found, now());
  if (typeof found === "number" && !Number.isInteger(found)) return found.toPrecision(3);
  return Array.isArray(found) && !found.length ? "" : value(found);
}
