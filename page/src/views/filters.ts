/** What the list of runs is searched and filtered by. */

import { h, inputOf } from "../dom";

const TYPED = 200; // milliseconds after the last letter
const STATES = ["running", "finished", "failed", "crashed"];

/** set: a value that stands alone, empty for none. unset: one of several is not wanted any more. */
export interface FilterEvents {
  set(name: string, value: string): void;
  unset(name: string, value: string): void;
}

/** asked: the address's parameters. workloads: whether those are listed. */
export function filters(
  asked: URLSearchParams,
  workloads: boolean,
  change: FilterEvents,
): { element: HTMLElement; search: HTMLInputElement } {
  let timer = 0;
  const search = h("input", {
    type: "search",
    class: "search",
    placeholder: workloads ? "Search workloads" : "Search runs by name, id, notes or project",
    "aria-label": "Search",
    value: asked.get("q") ?? "",
    oninput: (event) => {
      const { value } = inputOf(event);
      clearTimeout(timer);
      timer = window.setTimeout(() => change.set("q", value), TYPED);
    },
  });
  const tab = (view: string | null, text: string) =>
    h(
      "a",
      {
        href: view ? `/?view=${view}` : "/",
        "aria-current": (view === "workloads") === workloads ? "true" : null,
      },
      text,
    );
  const state = h(
    "select",
    {
      "aria-label": "State",
      onchange: (event) => change.set("state", (event.currentTarget as HTMLSelectElement).value),
    },
    h("option", { value: "" }, "any state"),
    STATES.map((one) => h("option", { value: one, selected: asked.get("state") === one }, one)),
  );
  const set = (["project", "group", "workload"] as const).flatMap((name) =>
    asked.getAll(name).map((value) => [name, value] as const),
  );
  const chips = [...set, ...asked.getAll("tag").map((value) => ["tag", value] as const)].map(([name, value]) =>
    h(
      "button",
      {
        type: "button",
        class: "chip",
        "aria-label": `Without ${name} ${value}`,
        onclick: () => change.unset(name, value),
      },
      `${name} ${value} ×`,
    ),
  );
  const element = h(
    "form",
    { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() },
    h("nav", { class: "switch", "aria-label": "What is listed" }, tab(null, "Runs"), tab("workloads", "Workloads")),
    search,
    workloads ? null : state,
    chips,
  );
  return { element, search };
}
