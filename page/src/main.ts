/** Begins the page: the bar at its top, the keys, and the view that the address names. */

import "uplot/dist/uPlot.min.css";
import "./styles/base.css";
import "./styles/marks.css";
import "./styles/lists.css";
import "./styles/charts.css";
import "./styles/views.css";
import "./styles/media.css";
import "./styles/phone.css";
import { h } from "./dom";
import { showHelp, startKeys } from "./keys";
import { go, start } from "./router";
import { applyTheme, setTheme, type Theme, theme } from "./theme";
import { showCompare } from "./views/compare";
import { showRun } from "./views/run";
import { showRuns } from "./views/runs";
import { showSinks } from "./views/sinks";

const NAMES: Record<Theme, string> = { auto: "Auto", light: "Light", dark: "Dark" };
const NEXT: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };

function themeSwitch(): HTMLElement {
  const button = h("button", { type: "button", class: "quiet", title: "Light, dark, or as the machine has it" });
  const tell = () => {
    button.textContent = NAMES[theme()];
    button.setAttribute("aria-label", `Colours: ${NAMES[theme()]}`);
  };
  button.addEventListener("click", () => {
    setTheme(NEXT[theme()]);
    tell();
  });
  tell();
  return button;
}

function bar(): HTMLElement {
  const links = [
    h("a", { href: "/" }, "Runs"),
    h("a", { href: "/sinks" }, "Sinks"),
    h("a", { href: "/api/docs", target: "_self" }, "API"),
  ];
  addEventListener("shown", () => {
    for (const link of links) {
      const here =
        link.pathname === "/" ? /^\/($|runs|compare)/.test(location.pathname) : link.pathname === location.pathname;
      if (here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  });
  return h(
    "header",
    { class: "bar" },
    h(
      "a",
      { href: "/", class: "mark-name", "aria-label": "Wayside, all runs" },
      h("span", { class: "signal", "aria-hidden": "true" }),
      "Wayside",
    ),
    h("nav", { "aria-label": "Main" }, links),
    h("span", { class: "space" }),
    themeSwitch(),
    h("button", { type: "button", class: "quiet", onclick: showHelp, "aria-label": "Keys", title: "Keys (?)" }, "?"),
  );
}

applyTheme();
startKeys([
  { key: "?", told: "this help", act: showHelp },
  { key: "r", told: "all runs", act: () => go("/") },
  { key: "s", told: "the sinks", act: () => go("/sinks") },
]);
const main = h("main", { id: "main", tabindex: -1 });
document.body.append(h("a", { href: "#main", class: "skip", target: "_self" }, "To the content"), bar(), main);
start(main, [
  { path: /^\/$/, show: showRuns },
  { path: /^\/runs\/([^/]+)$/, show: showRun },
  { path: /^\/compare$/, show: showCompare },
  { path: /^\/sinks$/, show: showSinks },
]);
