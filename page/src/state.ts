/** What is looked at, and how: all of it stands in the address, so that an address can be sent to somebody. Pure. */

export type Axis = "step" | "time" | "elapsed";
export type Source = "all" | "run" | "system";

/** Which ranks: the one that speaks for the run, all, or some. */
export type Ranks = "primary" | "all" | number[];

/** from, to: the part of the axis that is shown, or null for all of it. wide: ids of charts shown large. hidden: those
 * are shown, too, that the run wants no chart of.
 */
export interface View {
  axis: Axis;
  from: number | null;
  to: number | null;
  smooth: number;
  log: boolean;
  band: boolean;
  ranks: Ranks;
  source: Source;
  filter: string;
  wide: string[];
  closed: string[];
  hidden: boolean;
}

export const PLAIN: View = {
  axis: "step",
  from: null,
  to: null,
  smooth: 0,
  log: false,
  band: true,
  ranks: "primary",
  source: "all",
  filter: "",
  wide: [],
  closed: [],
  hidden: false,
};

/** The view that an address tells; what it does not tell, or tells wrongly, is plain. */
export function readView(params: URLSearchParams): View {
  const from = finite(params.get("from"));
  const to = finite(params.get("to"));
  const zoomed = from !== null && to !== null && from < to;
  const smooth = finite(params.get("smooth")) ?? 0;
  return {
    axis: oneOf(params.get("axis"), ["step", "time", "elapsed"]) ?? "step",
    from: zoomed ? from : null,
    to: zoomed ? to : null,
    smooth: Math.min(0.999, Math.max(0, smooth)),
    log: params.get("log") === "1",
    band: params.get("band") !== "0",
    ranks: readRanks(params.get("ranks")),
    source: oneOf(params.get("source"), ["all", "run", "system"]) ?? "all",
    filter: params.get("show") ?? "",
    wide: params.getAll("wide"),
    closed: params.getAll("closed"),
    hidden: params.get("hidden") === "1",
  };
}

/** Write a view into the parameters of an address; what is plain is left out. */
export function writeView(view: View, params: URLSearchParams): URLSearchParams {
  const found = new URLSearchParams(params);
  const put = (name: string, value: string | null) => (value === null ? found.delete(name) : found.set(name, value));
  put("axis", view.axis === "step" ? null : view.axis);
  put("from", view.from === null ? null : String(view.from));
  put("to", view.to === null ? null : String(view.to));
  put("smooth", view.smooth ? String(view.smooth) : null);
  put("log", view.log ? "1" : null);
  put("band", view.band ? null : "0");
  put("ranks", view.ranks === "primary" ? null : view.ranks === "all" ? "all" : view.ranks.join(","));
  put("source", view.source === "all" ? null : view.source);
  put("show", view.filter || null);
  put("hidden", view.hidden ? "1" : null);
  for (const [name, values] of [
    ["wide", view.wide],
    ["closed", view.closed],
  ] as const) {
    found.delete(name);
    for (const value of values) found.append(name, value);
  }
  return found;
}

function readRanks(text: string | null): Ranks {
  if (text === "all") return "all";
  const found = (text ?? "").split(",").filter((word) => /^\d{1,7}$/.test(word));
  return found.length ? [...new Set(found.map(Number))] : "primary";
}

function finite(text: string | null): number | null {
  if (text === null || text.trim() === "") return null;
  const found = Number(text);
  return Number.isFinite(found) ? found : null;
}

function oneOf<T extends string>(text: string | null, choices: readonly T[]): T | null {
  return choices.find((choice) => choice === text) ?? null;
}
