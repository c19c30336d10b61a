/** What changes, as the collector tells it: server-sent events while the page is seen, and never otherwise. */

/** told: by the event's name. lost: the collector does not answer. found: it does again. */
export interface Listener {
  told: Record<string, (data: unknown) => void>;
  lost?: () => void;
  found?: () => void;
}

const AGAIN = 3000; // milliseconds until the next attempt

export function listen(path: string, listener: Listener, signal: AbortSignal): void {
  let source: EventSource | null = null;
  let timer = 0;
  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = null;
  };
  const open = () => {
    close();
    if (signal.aborted || document.hidden) return;
    const opened = new EventSource(path);
    source = opened;
    opened.onopen = () => listener.found?.();
    opened.onerror = () => {
      // A browser gives up for good after an answer that is none, such as a proxy's while the collector starts again.
      fetch("/livez").catch(() => listener.lost?.());
      close();
      timer = window.setTimeout(open, AGAIN);
    };
    for (const [name, told] of Object.entries(listener.told))
      opened.addEventListener(name, (event) => {
        if (name === "end") close();
        told(JSON.parse((event as MessageEvent<string>).data));
      });
  };
  document.addEventListener("visibilitychange", open, { signal });
  signal.addEventListener("abort", close);
  open();
}

/** Calls back every so many milliseconds while the page is seen. */
export function every(interval: number, act: () => void, signal: AbortSignal): void {
  const timer = setInterval(() => {
    if (!document.hidden) act();
  }, interval);
  signal.addEventListener("abort", () => clearInterval(timer));
}
