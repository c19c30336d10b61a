/** One uPlot in an element: lines with their bands, alerts as marks, zoom by dragging, a cursor all charts share. */

import uPlot from "uplot";
import { h } from "../dom";
import { color, faint } from "../theme";
import { ticks } from "./ticks";
import { type Drawing, drawing, hasPoints, type Style, type Trace } from "./trace";

/** An alert on the axis. level: INFO, WARN or ERROR. */
export interface Mark {
  at: number;
  level: string;
  text: string;
}

/** What is to be drawn. from, to: the part of the axis shown; null for all there is. unit: how values are told. */
export interface Scene {
  traces: readonly Trace[];
  style: Style;
  from: number | null;
  to: number | null;
  marks: readonly Mark[];
  unit: (value: number) => string;
}

/** zoom: a part of the axis was chosen. reset: all of it is wanted. point: the cursor stands at this place of the
 * drawing, or at none.
 */
export interface PlotEvents {
  zoom(from: number, to: number): void;
  reset(): void;
  point(at: number | null): void;
}

const MAX_MARKS = 40; // of a chart: more would hide the lines
const AROUND = 5; // seconds shown on both sides of a single point
const LEAST_DRAG = 5; // pixels; less is a click
const FONT = '11px system-ui, -apple-system, "Segoe UI", sans-serif';

export class Plot {
  drawing: Drawing = { data: [[]], places: [] };
  private plot: uPlot | null = null;
  private shape = "";
  private scene: Scene | null = null;
  private marks: { mark: Mark; element: HTMLElement }[] = [];

  constructor(
    private readonly host: HTMLElement,
    private readonly events: PlotEvents,
  ) {}

  /** Whether there is a point to see. Without one there are no axes either, unless the part shown was chosen. */
  draw(scene: Scene, size: { width: number; height: number }): boolean {
    this.scene = scene;
    this.drawing = drawing(scene.traces, scene.style);
    const some = hasPoints(this.drawing);
    if (some || scene.from !== null) this.put(scene, size);
    else this.destroy();
    return some;
  }

  private put(scene: Scene, size: { width: number; height: number }): void {
    const shape = JSON.stringify([scene.traces.map((one) => one.color), scene.style, this.drawing.places, size]);
    if (this.plot && shape === this.shape) this.plot.setData(this.drawing.data);
    else {
      this.plot?.destroy();
      this.plot = new uPlot(this.options(scene, size), this.drawing.data, this.host);
      this.shape = shape;
    }
    this.putMarks(scene);
  }

  /** Where the cursor stands, in places of the drawing. */
  get cursor(): number | null {
    return this.plot?.cursor.idx ?? null;
  }

  /** Draw it anew with the colours of now. */
  restyle(): void {
    this.shape = "";
  }

  resize(width: number, height: number): void {
    this.plot?.setSize({ width, height });
  }

  destroy(): void {
    this.plot?.destroy();
    this.plot = null;
    this.shape = "";
  }

  private options(scene: Scene, size: { width: number; height: number }): uPlot.Options {
    const { axis, log } = scene.style;
    const ink = color("muted");
    const grid = { stroke: color("grid"), width: 1 };
    return {
      ...size,
      padding: [10, axis === "step" ? 10 : 28, 0, 0], // half of a time that stands at the right end
      legend: { show: false },
      scales: {
        x: { time: axis === "time", range: () => this.extent() },
        y: { distr: log ? 3 : 1 },
      },
      axes: [
        { stroke: ink, grid, ticks: { show: false }, font: FONT, ...ticks(axis) },
        {
          stroke: ink,
          grid,
          ticks: { show: false },
          font: FONT,
          size: 54,
          gap: 6,
          values: (_, found) => found.map((value) => (value === null ? "" : scene.unit(value))),
        },
      ],
      series: [{}, ...this.series(scene)],
      bands: this.drawing.places.flatMap(({ high, low }, i) =>
        high && low ? [{ series: [high, low] as [number, number], fill: faint(color(colorAt(scene, i)), 0.14) }] : [],
      ),
      cursor: {
        y: false,
        points: { size: 6 },
        drag: { x: true, y: false, setScale: false },
        sync: {
          key: `wayside-${axis}`,
          scales: ["x", null],
          filters: { pub: (type) => type.startsWith("mouse") && !/down|up/.test(type) },
        },
        bind: {
          dblclick: () => () => {
            this.events.reset();
            return null;
          },
        },
      },
      hooks: {
        setCursor: [(plot) => this.events.point(plot.cursor.idx ?? null)],
        setSelect: [(plot) => this.chosen(plot)],
        draw: [(plot) => this.placeMarks(plot)],
      },
    };
  }

  private series(scene: Scene): uPlot.Series[] {
    const found: uPlot.Series[] = [];
    this.drawing.places.forEach((place, i) => {
      const ink = color(colorAt(scene, i));
      const put = (at: number, one: uPlot.Series) => {
        if (at) found[at - 1] = one;
      };
      const edge = { stroke: faint(ink, 0.35), width: 1, points: { show: false } };
      put(place.high, edge);
      put(place.low, edge);
      put(place.line, {
        stroke: place.smooth ? faint(ink, 0.3) : ink,
        width: place.smooth ? 1 : 1.5,
        points: place.smooth ? { show: false } : { size: 4 },
      });
      put(place.smooth, { stroke: ink, width: 1.75, points: { show: false } });
    });
    return found;
  }

  /** What of the axis is shown. uPlot's own idea of a single point would be a range of years. */
  private extent(): [number, number] {
    const { from, to, style } = this.scene ?? { from: null, to: null, style: null };
    if (from !== null && to !== null) return [from, to];
    const xs = this.drawing.data[0] ?? [];
    const [low, high] = [xs[0], xs[xs.length - 1]];
    if (low == null || high == null) return [0, 1];
    const around = style?.axis === "step" ? 0.5 : AROUND;
    return low === high ? [low - around, high + around] : [low, high];
  }

  private chosen(plot: uPlot): void {
    const { left, width } = plot.select;
    if (width < LEAST_DRAG) return;
    const [from, to] = [plot.posToVal(left, "x"), plot.posToVal(left + width, "x")];
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    if (from < to) this.events.zoom(from, to);
  }

  private putMarks(scene: Scene): void {
    for (const { element } of this.marks) element.remove();
    this.marks = [];
    if (!this.plot) return;
    for (const mark of scene.marks.slice(-MAX_MARKS)) {
      const element = h("span", {
        class: `mark mark-${mark.level.toLowerCase()}`,
        role: "img",
        "aria-label": `Alert: ${mark.text}`,
        title: mark.text,
      });
      this.plot.over.append(element);
      this.marks.push({ mark, element });
    }
    this.placeMarks(this.plot);
  }

  private placeMarks(plot: uPlot): void {
    const { min, max } = plot.scales.x ?? {};
    for (const { mark, element } of this.marks) {
      const seen = min != null && max != null && mark.at >= min && mark.at <= max;
      element.hidden = !seen;
      if (seen) element.style.left = `${plot.valToPos(mark.at, "x")}px`;
    }
  }
}

function colorAt(scene: Scene, place: number): string {
  return scene.traces[place]?.color ?? "line-0";
}
