/** From the address to what is shown. A view lives until its signal is aborted: then it must let go of everything. */

/** Shows itself in `root`. id: the run's, where the address names one. */
export type Show = (root: HTMLElement, signal: AbortSignal, id: string) => void;

export interface Page {
  path: RegExp;
  show: Show;
}

let current = new AbortController();
let pages: readonly Page[] = [];
let root: HTMLElement | null = null;

export function start(into: HTMLElement, known: readonly Page[]): void {
  root = into;
  pages = known;
  addEventListener("popstate", render);
  document.addEventListener("click", follow);
  render();
}

/** Go to another address of the page. */
export function go(address: string): void {
  history.pushState(null, "", address);
  render();
  scrollTo(0, 0);
}

/** Tell the same view in another address. keep: whether the browser's Back comes to the present one. */
export function note(params: URLSearchParams, keep = false): void {
  const text = params.toString();
  const address = location.pathname + (text ? `?${text}` : "");
  if (address === location.pathname + location.search) return;
  if (keep) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}

export function params(): URLSearchParams {
  return new URLSearchParams(location.search);
}

/** Show the present address anew. */
export function render(): void {
  current.abort(new DOMException("another view", "AbortError"));
  current = new AbortController();
  if (!root) return;
  root.replaceChildren();
  for (const { path, show } of pages) {
    const found = path.exec(location.pathname);
    if (!found) continue;
    show(root, current.signal, decoded(found[1] ?? ""));
    dispatchEvent(new Event("shown"));
    return;
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a % that is no escape
  }
}

function follow(event: MouseEvent): void {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || event.defaultPrevented)
    return;
  const link = (event.target as Element).closest("a");
  if (!link || link.target || link.origin !== location.origin) return;
  if (!pages.some(({ path }) => path.test(link.pathname))) return;
  event.preventDefault();
  go(link.pathname + link.search);
}
