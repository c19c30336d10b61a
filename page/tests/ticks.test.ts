/** What stands at the ticks of the axis of time. */

import { expect, test } from "vitest";
import { times } from "../src/charts/ticks";

const at = (...when: [number, number, number, number?, number?, number?]) => new Date(...when).getTime() / 1000;

test("a day's times have 24 hours, and its date stands below the first of them", () => {
  const found = [at(2026, 10, 21, 23, 30), at(2026, 10, 22, 0, 0), at(2026, 10, 22, 0, 30)];
  expect(times(found, 1800)).toEqual(["23:30\n2026-11-21", "00:00\n2026-11-22", "00:30"]);
});

test("seconds, and parts of them, are told where ticks are so near", () => {
  const found = at(2026, 10, 21, 4, 53, 7);
  expect(times([found, found + 5], 5)).toEqual(["04:53:07\n2026-11-21", "04:53:12"]);
  expect(times([found + 0.25], 0.25)).toEqual(["04:53:07.250\n2026-11-21"]);
});

test("days have their year below", () => {
  expect(times([at(2026, 11, 31), at(2027, 0, 1), at(2027, 0, 2)], 86_400)).toEqual([
    "12-31\n2026",
    "01-01\n2027",
    "01-02",
  ]);
});
