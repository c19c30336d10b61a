/** A board with its toolbar and keys, tied to the address: what the run's view and the comparison share. */

import { bind } from "../keys";
import { note, params } from "../router";
import { readView, type View, writeView } from "../state";
import { Board } from "./board";
import type { Shown } from "./lines";
import { Toolbar } from "./toolbar";

const STEP_OF_ZOOM = 0.5;

export class ChartView {
  readonly board: Board;
  readonly toolbar: Toolbar;
  private view: View;

  constructor(
    private runs: readonly Shown[],
    signal: AbortSignal,
  ) {
    this.view = readView(params());
    const series = runs.flatMap((run) => run.series);
    const own = series.filter((one) => one.kind === "run"); // none yet: steps may come
    const some = runs.some((run) => run.step !== null) || own.some((one) => one.last_step !== null);
    const stepless = this.view.axis === "step" && own.length > 0 && !some;
    if (stepless) this.view.axis = "time";
    const change = (changed: Partial<View>) => this.change(changed);
    this.board = new Board(runs, this.view, change, signal);
    const ranks = [...new Set(series.map((one) => one.rank))].filter((rank) => rank !== null).sort((a, b) => a - b);
    this.toolbar = new Toolbar(
      this.view,
      { ranks, stepless, hardware: series.some((one) => one.kind === "system") },
      change,
    );
    bind(
      [
        { key: "/", told: "find a chart", act: () => this.toolbar.filter.focus() },
        { key: "+", told: "zoom in", act: () => this.zoom(STEP_OF_ZOOM) },
        { key: "-", told: "zoom out", act: () => this.zoom(1 / STEP_OF_ZOOM) },
        { key: "ArrowLeft", told: "earlier", act: () => this.pan(-0.5) },
        { key: "ArrowRight", told: "later", act: () => this.pan(0.5) },
        { key: "0", told: "show all", act: () => this.change({ from: null, to: null }) },
      ],
      signal,
    );
  }

  get isZoomed(): boolean {
    return this.view.from !== null;
  }

  update(runs: readonly Shown[]): void {
    this.runs = runs;
    this.board.update(runs);
  }

  private change(changed: Partial<View>): void {
    const zooms = "from" in changed && (changed.from !== this.view.from || changed.to !== this.view.to);
    this.view = { ...this.view, ...changed };
    note(writeView(this.view, params()), zooms);
    this.toolbar.apply(this.view);
    this.board.apply(this.view);
  }

  /** Where the axis begins and ends, by what is known of the series. */
  private extent(): [number, number] {
    const { axis } = this.view;
    const own = this.runs.flatMap((run) => run.series.filter((one) => one.kind === "run").map((one) => ({ run, one })));
    const ends = own.map(
      ({ run, one }) =>
        (axis === "step" ? one.last_step : (one.last_time ?? 0) - (axis === "elapsed" ? run.started : 0)) ?? 0,
    );
    const begins = axis === "time" ? Math.min(...this.runs.map((run) => run.started)) : 0;
    return [begins, Math.max(begins + 1, ...ends)];
  }

  private zoom(share: number): void {
    const [low, high] = this.extent();
    const [from, to] = [this.view.from ?? low, this.view.to ?? high];
    const middle = (from + to) / 2;
    const half = ((to - from) * share) / 2;
    const [first, last] = [Math.max(low, middle - half), Math.min(high, middle + half)];
    this.change(first <= low && last >= high ? { from: null, to: null } : { from: first, to: last });
  }

  private pan(share: number): boolean {
    const { from, to } = this.view;
    if (from === null || to === null) return false;
    const by = (to - from) * share;
    this.change({ from: from + by, to: to + by });
    return true;
  }
}
