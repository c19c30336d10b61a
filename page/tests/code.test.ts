/** What is shown of a run's code: whose word it is, and a command that can be pasted. */

import { expect, test } from "vitest";
import type { EventInfo, RunDetail } from "../src/types";
import { findAbout, quoted } from "../src/views/code";

const told = (rank: number, told: string, session = `s${rank}`) =>
  ({ rank, session, kind: "about", data: { told } }) as unknown as EventInfo;

/** A run of these sessions, and its events in pages of a hundred; asked: for which pages. */
function running(events: EventInfo[], sessions = events.map(({ rank, session }) => ({ rank, id: session }))) {
  const asked: string[] = [];
  const fetched = async (path: string) => {
    asked.push(path);
    const from = Number(new URLSearchParams(path.split("?")[1]).get("after") ?? 0);
    const next = from + 100 < events.length ? String(from + 100) : null;
    return { events: events.slice(from, from + 100), next };
  };
  return { run: { id: "a b", sessions } as unknown as RunDetail, fetched, asked };
}

test("of many ranks the lowest is found, wherever its word stands", async () => {
  const { run, fetched, asked } = running([
    ...Array.from({ length: 250 }, (_, i) => told(250 - i, "")),
    told(0, "code"),
  ]);
  expect((await findAbout(run, fetched))?.data).toEqual({ told: "code" });
  expect(asked).toHaveLength(3);
  expect(asked[1]).toBe("/api/v1/runs/a%20b/events?kind=about&limit=100&after=100");
});

test("nothing more is asked for once the lowest rank's last process has spoken", async () => {
  const { run, fetched, asked } = running([
    told(0, "first"),
    told(0, "again", "s0b"),
    ...Array.from({ length: 250 }, (_, i) => told(i + 1, "")),
  ]);
  expect((await findAbout(run, fetched))?.data).toEqual({ told: "again" });
  expect(asked).toHaveLength(1);
});

test("where the lowest rank told nothing, the next one speaks; and pages have an end", async () => {
  const silent = running([told(3, "code")], [{ rank: 0, id: "s0" }]);
  expect((await findAbout(silent.run, silent.fetched))?.data).toEqual({ told: "code" });
  const endless = running(
    Array.from({ length: 9000 }, () => told(1, "")),
    [{ rank: 0, id: "s0" }],
  );
  await findAbout(endless.run, endless.fetched);
  expect(endless.asked).toHaveLength(20);
  const none = running([]);
  expect(await findAbout(none.run, none.fetched)).toBeUndefined();
});

test("a word of the command is what a shell reads back", () => {
  expect(["--lr=2e-4", "llama 8b", "it's", ""].map(quoted)).toEqual(["--lr=2e-4", "'llama 8b'", "'it'\\''s'", "''"]);
});
