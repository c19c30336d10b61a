/** Asks the collector. Every failure is a `Problem`, whose status tells what can be done about it. */

/** status: of the answer; 0 when there was none. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(message);
  }
}

const PATIENCE = 30_000;

/** A JSON answer. Aborting rejects with an AbortError, which is nobody's problem. */
export async function ask<T>(path: string, signal?: AbortSignal): Promise<T> {
  const limit = AbortSignal.timeout(PATIENCE);
  let answer: Response;
  try {
    answer = await fetch(path, {
      headers: { Accept: "application/json" },
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    if (answer.ok) return (await answer.json()) as T;
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, "The collector does not answer.");
  }
  throw new Problem(answer.status, await reason(answer));
}

export function isAbort(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError";
}

/** Query text of what is given; lists become repeated names, and empty things are left out. */
export function query(given: Record<string, string | number | null | undefined | (string | number)[]>): string {
  const found = new URLSearchParams();
  for (const [name, value] of Object.entries(given)) {
    for (const one of Array.isArray(value) ? value : [value])
      if (one !== null && one !== undefined && one !== "") found.append(name, String(one));
  }
  const text = found.toString();
  return text ? `?${text}` : "";
}

export function runPath(id: string): string {
  return `/api/v1/runs/${encodeURIComponent(id)}`;
}

async function reason(answer: Response): Promise<string> {
  try {
    const body: unknown = await answer.json();
    if (body && typeof body === "object" && "error" in body) return String(body.error);
  } catch {
    return `The collector answered ${answer.status} ${answer.statusText}.`;
  }
  return `The collector answered ${answer.status}.`;
}
