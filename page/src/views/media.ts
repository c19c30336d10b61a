/** Pictures, tables, histograms and what else was logged beside numbers: each name a card, with a slider over its steps. */

import { ask, isAbort, query, runPath } from "../api";
import { fill, h } from "../dom";
import { moment as clock, value, whole } from "../format";
import { showProblem } from "../notice";
import type { MediaItem, MediaName, Moment, RunDetail } from "../types";

const CARDS = 24; // names shown at once: each asks twice
const BARS = 64; // of a histogram, at most

export async function showMedia(root: HTMLElement, run: RunDetail, signal: AbortSignal): Promise<void> {
  let names: MediaName[];
  try {
    names = (await ask<{ media: MediaName[] }>(`${runPath(run.id)}/media`, signal)).media;
  } catch (problem) {
    showProblem(root, problem, signal);
    return;
  }
  const cards = h("div", { class: "media" });
  const more = h("button", { type: "button", class: "more" }, "Show more");
  const add = () => {
    for (const name of names.splice(0, CARDS)) cards.append(new Card(run, name, signal).element);
    more.hidden = !names.length;
  };
  more.onclick = add;
  const empty = h("p", { class: "empty" }, "No pictures, tables or histograms were logged.");
  const none = !names.length;
  add();
  fill(root, none ? empty : [cards, more]);
}

/** What was logged under one name, at the moment that is chosen. */
class Card {
  readonly element = h("section", { class: "medium" });
  private readonly where = h("output", { class: "where" });
  private readonly body = h("div", { class: "items" });
  private moments: Moment[] = [];
  private asked = 0;

  constructor(
    private readonly run: RunDetail,
    private readonly name: MediaName,
    private readonly signal: AbortSignal,
  ) {
    this.element.dataset.media = name.name;
    fill(
      this.element,
      h("h3", {}, name.name, h("span", { class: "kind" }, ` ${name.type} · ${whole(name.count)}`)),
      this.body,
    );
    void this.begin();
  }

  private get path(): string {
    return `${runPath(this.run.id)}/media`;
  }

  private async begin(): Promise<void> {
    try {
      const { moments } = await ask<{ moments: Moment[] }>(
        `${this.path}/moments${query({ name: this.name.name })}`,
        this.signal,
      );
      this.moments = moments;
    } catch (problem) {
      this.fail(problem);
      return;
    }
    const last = this.moments.length - 1;
    if (last > 0) {
      const slider = h("input", {
        type: "range",
        min: 0,
        max: last,
        value: last,
        "aria-label": `Step of ${this.name.name}`,
      });
      slider.oninput = () => void this.show(Number(slider.value));
      this.element.append(h("p", { class: "slider" }, slider, this.where));
    } else this.element.append(h("p", { class: "slider" }, this.where));
    await this.show(last);
  }

  private async show(place: number): Promise<void> {
    const at = this.moments[place];
    if (!at) return;
    const asked = ++this.asked;
    this.where.textContent = at.step === null ? clock(at.time) : `step ${whole(at.step)}`;
    const when = at.step === null ? { time: at.time } : { step: at.step };
    try {
      const path = `${this.path}/items${query({ name: this.name.name, ...when })}`;
      const { items } = await ask<{ items: MediaItem[] }>(path, this.signal);
      if (asked === this.asked)
        fill(
          this.body,
          items.map((item) => this.item(item)),
        );
    } catch (problem) {
      this.fail(problem);
    }
  }

  private fail(problem: unknown): void {
    if (!isAbort(problem) && !this.signal.aborted)
      fill(this.body, h("p", { class: "empty" }, problem instanceof Error ? problem.message : String(problem)));
  }

  private item(item: MediaItem): HTMLElement {
    const { data } = item;
    const caption = [
      typeof data.caption === "string" ? data.caption : "",
      item.rank !== null && this.run.sessions.length > 1 ? `rank ${item.rank}` : "",
    ].filter(Boolean);
    return h("figure", {}, this.shown(item), caption.length ? h("figcaption", {}, caption.join(" · ")) : null);
  }

  private shown(item: MediaItem): HTMLElement {
    const { data } = item;
    const values = data.values as { edges?: number[]; counts?: number[]; columns?: string[]; rows?: unknown[][] };
    if (values?.rows) return this.table(item, values.columns ?? [], values.rows);
    if (values?.counts) return bars(values.edges ?? [], values.counts);
    if (!item.contents.includes(0))
      return h("p", { class: "empty" }, `Its bytes are not here${data.lost ? `: ${data.lost}` : " any more"}.`);
    return this.content(item, 0, String(data.type), String(data.format ?? ""));
  }

  /** Shown by the browser as what it is; a page in a frame from which it cannot reach ours. */
  private content(item: MediaItem, number: number, type: string, format: string): HTMLElement {
    const src = `${this.path}/${item.session}/${item.seq}/${number}/content`;
    const alt = `${this.name.name}, step ${item.step ?? "unknown"}`;
    if (format === "html") return h("iframe", { src, sandbox: "allow-scripts", title: alt, loading: "lazy" });
    if (type === "image" || type === "plot") return h("a", { href: src }, h("img", { src, alt, loading: "lazy" }));
    if (type === "video") return h("video", { src, controls: true, preload: "metadata" });
    if (type === "audio") return h("audio", { src, controls: true, preload: "none" });
    return h("a", { href: src, download: true }, `Save (${format || "file"})`);
  }

  private table(item: MediaItem, columns: string[], rows: unknown[][]): HTMLElement {
    let number = 0;
    const cell = (one: unknown): HTMLElement => {
      const media = (one as { media?: Record<string, unknown> } | null)?.media;
      if (!media) return h("td", {}, one === null ? "" : typeof one === "string" ? one : value(one));
      number += 1;
      if (!item.contents.includes(number)) return h("td", { class: "empty" }, String(media.lost ?? "not kept"));
      return h("td", {}, this.content(item, number, String(media.type), String(media.format ?? "")));
    };
    const body = rows.map((row) => h("tr", {}, row.map(cell)));
    const left = (item.rows ?? rows.length) - rows.length;
    return h(
      "div",
      { class: "wide" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            columns.map((one) => h("th", {}, one)),
          ),
        ),
        h("tbody", {}, body),
      ),
      left > 0 ? h("p", { class: "empty" }, `and ${whole(left)} more rows`) : null,
    );
  }
}

/** A histogram as bars of equal width; of very many bins some are drawn as one. */
export function bars(edges: number[], counts: number[]): HTMLElement {
  const each = Math.ceil(counts.length / BARS) || 1;
  const sums: number[] = [];
  for (let at = 0; at < counts.length; at += each)
    sums.push(counts.slice(at, at + each).reduce((sum, one) => sum + one, 0));
  const most = Math.max(...sums, 1);
  const drawn = sums.map((sum, place) => {
    const [from, to] = [edges[place * each], edges[Math.min((place + 1) * each, edges.length - 1)]];
    return h("i", { style: `height: ${(100 * sum) / most}%`, title: `${value(from)} to ${value(to)}: ${value(sum)}` });
  });
  const [first, last] = [edges[0], edges[edges.length - 1]];
  return h(
    "div",
    { class: "histogram", role: "img", "aria-label": `${counts.length} bins from ${value(first)} to ${value(last)}` },
    h("div", { class: "bars" }, drawn),
    h("p", { class: "ends" }, h("span", {}, value(first)), h("span", {}, value(last))),
  );
}
