/** What is said when something cannot be shown: what it is, and what to do. */

import { isAbort, Problem } from "./api";
import { fill, h } from "./dom";
import { render } from "./router";

/** Put the problem in place of what could not be shown. again: tried anew by itself while the collector is away. */
export function showProblem(root: Element, problem: unknown, signal: AbortSignal, again: () => void = render): void {
  if (isAbort(problem) || signal.aborted) return;
  const status = problem instanceof Problem ? problem.status : -1;
  const text = problem instanceof Error ? problem.message : String(problem);
  const button = (label: string, act: () => void) => h("button", { type: "button", onclick: act }, label);
  const told = (title: string, ...rest: (Node | string)[]) =>
    fill(
      root,
      h(
        "div",
        { class: "notice", role: "alert" },
        h("h1", {}, title),
        rest.map((one) => (one instanceof Node ? one : h("p", {}, one))),
      ),
    );
  if (status === 403) {
    told("Not for this token", text, h("a", { href: "/", class: "button" }, "All runs"));
  } else if (status === 401) {
    told(
      "You are not logged in",
      "This collector shows its runs to those who have a token.",
      button("Log in", () => location.reload()),
    );
  } else if (status === 404) {
    told(
      "Not here",
      text,
      "It may have been let go of by the store's limits, or never have reached this collector.",
      h("a", { href: "/", class: "button" }, "All runs"),
    );
  } else if (status === 503) {
    told(
      "No history to show",
      text,
      "Charts come from the store. It is on by default; where the configuration names its sinks, it must name it, too:",
      h("pre", {}, "sinks:\n  store: {}"),
      h("a", { href: "/sinks", class: "button" }, "Look at the sinks"),
    );
  } else if (status === 0) {
    told(
      "The collector does not answer",
      "It may be starting again. This page tries again by itself.",
      button("Try now", again),
    );
    const timer = setTimeout(again, 3000);
    signal.addEventListener("abort", () => clearTimeout(timer));
  } else told("This could not be shown", text, button("Try again", again));
}

/** A line at the top while the collector is away; what was there stays. */
export function showAway(away: boolean): void {
  const shown = document.querySelector(".away");
  if (!away) shown?.remove();
  else if (!shown)
    document.body.prepend(
      h(
        "p",
        { class: "away", role: "status" },
        "The collector does not answer; what you see is the last that it told.",
      ),
    );
}
