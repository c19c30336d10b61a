/** Light, dark, or as the machine has it; and the colours of lines, which a canvas cannot take from a style sheet. */

export type Theme = "auto" | "light" | "dark";
const KEPT = "wayside-theme";
const LINES = 8;

export function theme(): Theme {
  const kept = localStorage.getItem(KEPT);
  return kept === "light" || kept === "dark" ? kept : "auto";
}

export function setTheme(chosen: Theme): void {
  localStorage.setItem(KEPT, chosen);
  applyTheme();
}

export function applyTheme(): void {
  document.documentElement.dataset.theme = theme();
  dispatchEvent(new Event("themechange"));
}

/** Calls back whenever colours may have changed. */
export function onTheme(changed: () => void, signal: AbortSignal): void {
  addEventListener("themechange", changed, { signal });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", changed, { signal });
}

/** A colour of the style sheet as it is now, by its custom property. */
export function color(name: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

/** The custom property of a line's colour. */
export function lineColor(place: number): string {
  return `line-${place % LINES}`;
}

/** The same colour, seen through. */
export function faint(rgb: string, share: number): string {
  const parts = rgb.match(/[\d.]+/g) ?? ["128", "128", "128"];
  return `rgba(${parts.slice(0, 3).join(", ")}, ${share})`;
}
