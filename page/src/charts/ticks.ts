/** What stands at the ticks of an axis, and how far apart they may be. Pure. */

import type { Axis } from "../state";
import { clock, moment, short } from "../format";

const STEPS = Array.from({ length: 13 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();
const SECONDS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800, 2592000,
];
const MINUTE = 60;
const DAY = 86_400;
const ONE_LINE = 26; // pixels of height
const TWO_LINES = 40;
const DATE = 66; // pixels of width that a date wants

/** What of uPlot's axis options differs by what the axis tells. */
export interface Ticks {
  values: (plot: unknown, at: number[], axis: number, space: number, apart: number) => string[];
  size: number;
  incrs?: number[];
  space?: number;
}

export function ticks(axis: Axis): Ticks {
  if (axis === "step") return { values: (_, at) => at.map(short), incrs: STEPS, size: ONE_LINE };
  if (axis === "elapsed") return { values: (_, at) => at.map(clock), incrs: SECONDS, size: ONE_LINE };
  return { values: (_plot, at, _axis, _space, apart) => times(at, apart), size: TWO_LINES, space: DATE };
}

/** Times of day, local and of 24 hours, with the date below the first of each day; from a day apart on, days with
 * their year.
 */
export function times(at: readonly number[], apart: number): string[] {
  let before = "";
  return at.map((time) => {
    const [date = "", clockTime = ""] = moment(time).split(" ");
    const days = apart >= DAY;
    const below = days ? date.slice(0, 4) : date;
    const above = days ? date.slice(5) : apart >= MINUTE ? clockTime.slice(0, 5) : `${clockTime}${parts(time, apart)}`;
    const told = below === before ? above : `${above}\n${below}`;
    before = below;
    return told;
  });
}

/** Parts of a second, where ticks are less than one apart. */
function parts(time: number, apart: number): string {
  return apart >= 1 ? "" : `.${String(Math.round((time % 1) * 1000) % 1000).padStart(3, "0")}`;
}
