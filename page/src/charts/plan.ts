/** Which charts a run's series make, and in which groups. Pure. */

import type { SeriesInfo } from "../types";

/** One chart. metrics: drawn in it, each with what it is called there. rate: growth a second is drawn, not the count. */
export interface Plan {
  id: string;
  title: string;
  kind: "run" | "system";
  rate: boolean;
  metrics: { name: string; label: string }[];
}

export interface Group {
  name: string;
  kind: "run" | "system";
  plans: Plan[];
}

const FIRST = ["train", "val", "valid", "validation", "eval", "test"];
const HARDWARE = ["gpu", "host", "container"];
const NOT_DRAWN = new Set(["target_iteration"]); // told as the run's progress

/** Groups by the name before the first slash: training first, hardware last. Of the hardware's, all devices share a
 * chart: `gpu/0/power_watts` and `gpu/1/power_watts` are two lines of one.
 */
export function planCharts(series: readonly Pick<SeriesInfo, "name" | "kind">[]): Group[] {
  const groups = new Map<string, Group>();
  const plans = new Map<string, Plan>();
  for (const { name, kind } of series) {
    if (NOT_DRAWN.has(name)) continue;
    const { group, title, label } = kind === "system" ? placeSystem(name) : placeOwn(name);
    const id = `${kind === "system" ? "~" : ""}${group}/${title}`;
    let plan = plans.get(id);
    if (!plan) {
      plan = { id, title, kind, rate: kind === "system" && name.endsWith("_total"), metrics: [] };
      plans.set(id, plan);
      const found = groups.get(`${kind} ${group}`) ?? { name: group, kind, plans: [] };
      groups.set(`${kind} ${group}`, found);
      found.plans.push(plan);
    }
    if (!plan.metrics.some((metric) => metric.name === name)) plan.metrics.push({ name, label });
  }
  for (const group of groups.values())
    group.plans.sort((a, b) => weight(a) - weight(b) || a.title.localeCompare(b.title, "en", { numeric: true }));
  return [...groups.values()].sort((a, b) => order(a) - order(b) || a.name.localeCompare(b.name));
}

/** Those charts whose name holds every word of the filter. */
export function filterGroups(groups: readonly Group[], filter: string, source: string): Group[] {
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = (group: Group, plan: Plan) => {
    const text = `${group.name}/${plan.title}`.toLowerCase();
    return words.every((word) => text.includes(word));
  };
  return groups
    .filter((group) => source === "all" || group.kind === source)
    .map((group) => ({ ...group, plans: group.plans.filter((plan) => fits(group, plan)) }))
    .filter((group) => group.plans.length);
}

function placeOwn(name: string): { group: string; title: string; label: string } {
  const cut = name.indexOf("/");
  if (cut <= 0 || cut === name.length - 1) return { group: "metrics", title: name, label: name };
  return { group: name.slice(0, cut), title: name.slice(cut + 1), label: name.slice(cut + 1) };
}

function placeSystem(name: string): { group: string; title: string; label: string } {
  const parts = name.split("/");
  const title = parts[parts.length - 1] ?? name;
  if (parts.length < 2) return { group: "host", title: name, label: "" };
  const middle = parts.slice(1, -1);
  // A process's number is no device: its memory is told beside the others', not as one of them.
  const about = middle.filter((part) => /^(process|mig|link|fan)$/.test(part)).join(" ");
  return {
    group: parts[0] ?? "host",
    title: about ? `${about} ${title}` : title,
    label: middle.join("/"),
  };
}

/** What most people look for first stands first. */
function weight(plan: Plan): number {
  if (plan.kind === "system") return /utilization_ratio$/.test(plan.title) ? 0 : 1;
  return /loss(?!.?scale)/i.test(plan.title) ? 0 : 1;
}

function order(group: Group): number {
  const place = (group.kind === "run" ? FIRST : HARDWARE).indexOf(group.name);
  return (group.kind === "run" ? 0 : 1000) + (place < 0 ? 100 : place);
}
