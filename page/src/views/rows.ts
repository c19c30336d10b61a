/** What stands in the lists of runs and workloads. */

import { h } from "../dom";
import { whole } from "../format";
import { lossText, now, progress, ran, runAddress, runName, stateBadge, tags, when } from "../parts";
import type { RunInfo, WorkloadInfo } from "../types";

/** A run in the list. at: whether the keys are there. toggle: it is chosen for comparison, or not any more. */
export function runRow(run: RunInfo, state: { at: boolean; chosen: boolean }, toggle: () => void): HTMLElement {
  const time = now();
  const choose = h("input", {
    type: "checkbox",
    "aria-label": `Compare ${runName(run)}`,
    checked: state.chosen,
    onchange: toggle,
  });
  const name = h("a", { href: runAddress(run.id), class: "run-name" }, runName(run));
  const cell = (label: string, ...inner: (Node | string | null)[]) => h("td", { "data-label": label }, inner);
  return h(
    "tr",
    { "data-run": run.id, class: state.at ? "at" : null },
    cell("", choose),
    cell(
      "",
      name,
      run.name && run.name !== run.id ? h("small", { class: "id" }, run.id) : null,
      h("span", { class: "tags" }, tags(run.tags)),
    ),
    cell("State", stateBadge(run.state, run.exit_code)),
    cell("Project", run.project ? h("a", { href: `/?project=${encodeURIComponent(run.project)}` }, run.project) : "–"),
    cell("Step", progress(run.step, null)),
    cell("Last loss", h("span", { title: run.last_loss?.name ?? "" }, lossText(run.last_loss))),
    cell("Ran for", ran(run, time)),
    cell("Begun", when(run.started, time)),
  );
}

/** An empty list. filtered: something was looked for. */
export function nothing(filtered: boolean): HTMLElement {
  if (filtered) return h("p", { class: "empty" }, "No run is like this. ", h("a", { href: "/" }, "Show all"));
  return h(
    "div",
    { class: "notice" },
    h("h2", {}, "No runs yet"),
    h("p", {}, "A run appears here with its first row. On this machine:"),
    h("pre", {}, 'import wayside\n\nwayside.init(project="demo")\nwayside.log({"train/loss": 0.5}, step=1)'),
  );
}

/** The list of workloads. */
export function workloadTable(found: readonly WorkloadInfo[]): HTMLElement {
  const at = now();
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
  return rows.length
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
    : h("p", { class: "empty" }, "No workload is like this.");
}
