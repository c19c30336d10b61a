/** Keys: one table for all views, which the help shows as it is. A key typed into a field is the field's. */

import { h } from "./dom";

/** One key. act: returns false when it had nothing to do here. */
export interface Key {
  key: string;
  told: string;
  act: () => unknown;
}

let keys: Key[] = [];

/** Keys of the view that is shown; they go with it. */
export function bind(mine: readonly Key[], signal: AbortSignal): void {
  keys.push(...mine);
  signal.addEventListener("abort", () => {
    keys = keys.filter((key) => !mine.includes(key));
  });
}

export function startKeys(always: readonly Key[]): void {
  keys = [...always];
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const target = event.target as HTMLElement;
    if (event.key === "Escape" && target.matches("input, select, textarea")) {
      target.blur();
      return;
    }
    if (target.matches("input:not([type=checkbox], [type=radio]), select, textarea")) return;
    if (event.key === "Enter" && target.matches("a, button, summary")) return;
    const found = keys.filter((key) => key.key === event.key).pop();
    if (found && found.act() !== false) event.preventDefault();
  });
}

export function showHelp(): void {
  document.querySelector("dialog.help")?.remove();
  const told = [...new Map(keys.map((key) => [key.key, key])).values()];
  const dialog = h(
    "dialog",
    { class: "help", "aria-label": "Keys" },
    h("h2", {}, "Keys"),
    h(
      "dl",
      {},
      told.map(({ key, told: text }) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, text)]),
    ),
    h("p", {}, "On a chart: drag to zoom, double-click to show all."),
    h("form", { method: "dialog" }, h("button", {}, "Close")),
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
}
