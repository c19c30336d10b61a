/** Numbers, times and sizes as people read them. Pure. */

import type { Num } from "./types";

const GROUPED = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const PREFIXES: [number, string][] = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];
const LONG_AGO = 7 * 86_400; // seconds; from then on a date says more
const BINARY = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/** A value as sent: words become NaN and the infinities. */
export function toNumber(value: Num | null | undefined): number {
  return value === null || value === undefined ? Number.NaN : Number(value);
}

/** 12345 as 12,345. */
export function whole(value: number | null | undefined): string {
  return value === null || value === undefined ? "–" : GROUPED.format(value);
}

/** A metric's value: five digits, and an exponent only where it helps. */
export function number(value: Num | null | undefined): string {
  if (value === null || value === undefined) return "–";
  const found = Number(value);
  if (Number.isNaN(found)) return "NaN";
  if (!Number.isFinite(found)) return found > 0 ? "∞" : "−∞";
  const size = Math.abs(found);
  if (found === 0) return "0";
  if (size >= 1e9 || size < 1e-4) return minus(Number(found.toPrecision(4)).toExponential().replace("e+", "e"));
  if (Number.isInteger(found) || size >= 1e4) return minus(GROUPED.format(found));
  return minus(String(Number(found.toPrecision(5))));
}

/** A tick of an axis. */
export function short(value: number): string {
  const size = Math.abs(value);
  for (const [unit, prefix] of PREFIXES)
    if (size >= unit && size < 1e15) return minus(`${Number((value / unit).toPrecision(4))}${prefix}`);
  if (size !== 0 && size < 1e-3) return minus(String(Number(value.toPrecision(3)).toExponential()));
  return minus(String(Number(value.toPrecision(4))));
}

export function bytes(value: number): string {
  let size = value;
  let unit = 0;
  while (Math.abs(size) >= 1024 && unit < BINARY.length - 1) {
    size /= 1024;
    unit += 1;
  }
  return minus(`${Number(size.toPrecision(3))} ${BINARY[unit]}`);
}

/** A value of a metric whose name tells its unit, as the samplers' do. perSecond: it is a rate. */
export function inUnit(name: string, value: number, perSecond = false): string {
  if (!Number.isFinite(value)) return number(value as Num);
  const rate = perSecond ? "/s" : "";
  const stem = name.replace(/_total$/, "");
  if (stem.endsWith("_bytes")) return bytes(value) + rate;
  if (stem.endsWith("_ratio")) return `${minus(String(Number((value * 100).toPrecision(3))))} %`;
  if (stem.endsWith("_celsius")) return `${number(value)} °C`;
  if (stem.endsWith("_watts")) return `${number(value)} W`;
  if (stem.endsWith("_joules")) return perSecond ? `${number(value)} W` : `${short(value)}J`;
  if (stem.endsWith("_hertz")) return `${short(value)}Hz`;
  return number(value) + rate;
}

/** Seconds as `4 s`, `12 min`, `3 h 05 min`, `2 d 4 h`. */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${String(minutes % 60).padStart(2, "0")} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** A time of an axis that counts from the start: `1:02:03`. */
export function clock(seconds: number): string {
  const s = Math.round(seconds);
  const two = (n: number) => String(n).padStart(2, "0");
  const [hours, minutes] = [Math.floor(Math.abs(s) / 3600), Math.floor((Math.abs(s) % 3600) / 60)];
  return `${s < 0 ? "−" : ""}${hours ? `${hours}:${two(minutes)}` : minutes}:${two(Math.abs(s) % 60)}`;
}

export function ago(time: number, now: number): string {
  const passed = now - time;
  if (passed > LONG_AGO) return moment(time).slice(0, 10);
  return passed < 5 ? "now" : `${duration(passed)} ago`;
}

/** Unix time as the reader's local time, to the second. */
export function moment(time: number): string {
  const date = new Date(time * 1000);
  const two = (n: number) => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

/** Anything of a config or an event on one line. */
export function value(found: unknown): string {
  if (found === null || found === undefined) return "–";
  if (typeof found === "string") return found;
  if (typeof found === "number") return String(found);
  return JSON.stringify(found);
}

function minus(text: string): string {
  return text.startsWith("-") ? `−${text.slice(1)}` : text;
}
