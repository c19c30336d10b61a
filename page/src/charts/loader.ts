/** Fetches curves: what is asked for in one moment is asked of the collector together, a few metrics a request. */

import { ask, query, runPath } from "../api";
import type { Curve } from "../types";

/** What is wanted of one metric. ranks: those alone; null stands for processes without one, and for hosts. */
export interface Want {
  run: string;
  metric: string;
  axis: "step" | "time";
  from: number | null;
  to: number | null;
  points: number;
  ranks: readonly (number | null)[];
}

interface Waiting {
  want: Want;
  signal: AbortSignal;
  resolve: (curves: Curve[]) => void;
  reject: (problem: unknown) => void;
}

const AT_ONCE = 2; // requests under way: the collector shares its machine with a training job
const TOGETHER = 8; // metrics of a request: small enough that the first charts come soon

export class Loader {
  private waiting: Waiting[] = [];
  private underWay = 0;
  private scheduled = false;

  constructor(private readonly fetched: (path: string) => Promise<{ curves: Curve[] }> = (path) => ask(path)) {}

  /** The metric's curves, one for each rank and host. Rejects with an AbortError when nobody wants them any more. */
  load(want: Want, signal: AbortSignal): Promise<Curve[]> {
    return new Promise((resolve, reject) => {
      this.waiting.push({ want, signal, resolve, reject });
      if (!this.scheduled) {
        this.scheduled = true;
        queueMicrotask(() => {
          this.scheduled = false;
          this.go();
        });
      }
    });
  }

  private go(): void {
    while (this.underWay < AT_ONCE) {
      const lot = this.next();
      if (!lot.length) return;
      this.underWay += 1;
      void this.request(lot).finally(() => {
        this.underWay -= 1;
        this.go();
      });
    }
  }

  /** The first that waits, and others that can be asked for with it. */
  private next(): Waiting[] {
    const left: Waiting[] = [];
    const lot: Waiting[] = [];
    let key = "";
    for (const one of this.waiting) {
      if (one.signal.aborted) one.reject(one.signal.reason);
      else if (lot.length < TOGETHER && (!lot.length || address(one.want, []) === key)) {
        key = address(one.want, []);
        lot.push(one);
      } else left.push(one);
    }
    this.waiting = left;
    return lot;
  }

  private async request(lot: readonly Waiting[]): Promise<void> {
    const first = lot[0];
    if (!first) return;
    const names = [...new Set(lot.map((one) => one.want.metric))];
    try {
      const { curves } = await this.fetched(address(first.want, names));
      for (const one of lot) {
        // While it was under way another part may have been wanted in its place, or the chart have gone.
        if (one.signal.aborted) one.reject(one.signal.reason);
        else one.resolve(curves.filter((curve) => curve.name === one.want.metric));
      }
    } catch (problem) {
      for (const one of lot) one.reject(problem);
    }
  }
}

function address(want: Want, metrics: readonly string[]): string {
  const { axis, from, to, points, ranks } = want;
  const asked = { metric: [...metrics], axis, from, to, max_points: points, rank: ranks.map((rank) => rank ?? "none") };
  return `${runPath(want.run)}/data${query(asked)}`;
}
