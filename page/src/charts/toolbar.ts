/** How charts are shown: axis, range, smoothing, scale, band, ranks and source; each a control with a name. */

import { fill, h, inputOf } from "../dom";
import type { View } from "../state";
import { place } from "./card";

/** What there is to choose from. stepless: no row has a step, so that time was chosen for whoever looks. */
export interface Choices {
  ranks: number[];
  hardware: boolean;
  stepless: boolean;
}

const RANKS_OFFERED = 16; // one by one; more are chosen in the address

export class Toolbar {
  readonly element = h("form", {
    class: "toolbar",
    role: "toolbar",
    "aria-label": "How charts are shown",
    onsubmit: (event) => event.preventDefault(),
  });
  private readonly range = h("span", { class: "range" });
  readonly filter: HTMLInputElement;

  constructor(
    private view: View,
    choices: Choices,
    private readonly change: (view: Partial<View>) => void,
  ) {
    this.filter = h("input", {
      type: "search",
      placeholder: "Find a chart",
      "aria-label": "Find a chart",
      value: view.filter,
      oninput: (event) => change({ filter: inputOf(event).value }),
    });
    fill(
      this.element,
      this.filter,
      this.choice(
        "axis",
        "Axis",
        [
          ["step", "Step"],
          ["time", "Time"],
          ["elapsed", "Elapsed"],
        ],
        (axis) => change({ axis: axis as View["axis"], from: null, to: null }),
      ),
      choices.stepless && h("small", {}, "No row has a step: this is over time."),
      choices.hardware &&
        this.choice(
          "source",
          "Source",
          [
            ["all", "All"],
            ["run", "Training"],
            ["system", "Hardware"],
          ],
          (source) => change({ source: source as View["source"] }),
        ),
      choices.ranks.length > 1 && this.ranks(choices.ranks),
      this.smoothing(),
      this.tick("log", "Log scale"),
      this.tick("band", "Min–max"),
      this.range,
    );
    this.apply(view);
  }

  /** The view as it is now. */
  apply(view: View): void {
    this.view = view;
    if (view.from === null) fill(this.range);
    else {
      const shown = `${place(view.axis, view.from)} – ${place(view.axis, view.to).replace("step ", "")}`;
      const reset = () => this.change({ from: null, to: null });
      const name = `${shown}: show all`;
      fill(
        this.range,
        h("button", { type: "button", onclick: reset, "aria-label": name, title: "Show all (0)" }, `${shown} ×`),
      );
    }
  }

  private choice(
    name: "axis" | "source",
    title: string,
    options: [string, string][],
    chosen: (value: string) => void,
  ): HTMLElement {
    return h(
      "fieldset",
      { class: "choice" },
      h("legend", {}, title),
      options.map(([value, text]) =>
        h(
          "label",
          {},
          h("input", { type: "radio", name, value, checked: this.view[name] === value, onchange: () => chosen(value) }),
          h("span", {}, text),
        ),
      ),
    );
  }

  private ranks(there: readonly number[]): HTMLElement {
    const { ranks } = this.view;
    const kept = Array.isArray(ranks) ? ranks.join(",") : ranks;
    const several =
      Array.isArray(ranks) && (ranks.length > 1 || !there.slice(0, RANKS_OFFERED).includes(ranks[0] ?? -1));
    const option = (value: string, text: string) => h("option", { value, selected: value === kept }, text);
    return h(
      "label",
      { class: "ranks" },
      "Ranks ",
      h(
        "select",
        {
          onchange: (event) => {
            const { value } = event.currentTarget as HTMLSelectElement;
            this.change({ ranks: value === "all" || value === "primary" ? value : value.split(",").map(Number) });
          },
        },
        option("primary", "primary"),
        option("all", `all ${there.length}`),
        several && option(kept, kept),
        there.slice(0, RANKS_OFFERED).map((rank) => option(String(rank), `rank ${rank}`)),
      ),
    );
  }

  private smoothing(): HTMLElement {
    const shown = h("output", {}, tellSmooth(this.view.smooth));
    const moved = (event: Event) => {
      const smooth = Number(inputOf(event).value);
      shown.textContent = tellSmooth(smooth);
      this.change({ smooth });
    };
    return h(
      "label",
      { class: "smoothing" },
      "Smoothing ",
      h("input", {
        type: "range",
        "aria-label": "Smoothing",
        min: 0,
        max: 0.99,
        step: 0.01,
        value: this.view.smooth,
        oninput: moved,
      }),
      shown,
    );
  }

  private tick(name: "log" | "band", text: string): HTMLElement {
    const changed = (event: Event) => this.change({ [name]: inputOf(event).checked });
    return h(
      "label",
      { class: "tick" },
      h("input", { type: "checkbox", checked: this.view[name], onchange: changed }),
      text,
    );
  }
}

function tellSmooth(weight: number): string {
  return weight ? weight.toFixed(2) : "off";
}
