/** How numbers, times and sizes read, and what smoothing makes of them. */

import { expect, test } from "vitest";
import { ago, bytes, clock, duration, inUnit, number, short, whole } from "../src/format";
import { smooth } from "../src/smooth";

test.each([
  [0, "0"],
  [0.123456789, "0.12346"],
  [-3, "−3"],
  [40258.4, "40,258"],
  [123456789, "123,456,789"],
  [2e-5, "2e-5"],
  [6.02e23, "6.02e23"],
  ["NaN", "NaN"],
  ["Infinity", "∞"],
  ["-Infinity", "−∞"],
  [null, "–"],
] as const)("the value %s reads %s", (value, text) => {
  expect(number(value)).toBe(text);
});

test.each([
  [1500, "1.5k"],
  [2_000_000, "2M"],
  [0.0005, "5e-4"],
  [-0.25, "−0.25"],
])("the tick %s reads %s", (value, text) => {
  expect(short(value)).toBe(text);
});

test("a sampler's name tells the unit", () => {
  expect(inUnit("gpu/0/memory_used_bytes", 3 * 2 ** 30)).toBe("3 GiB");
  expect(inUnit("utilization_ratio", 0.985)).toBe("98.5 %");
  expect(inUnit("receive_bytes_total", 2048, true)).toBe("2 KiB/s");
  expect(inUnit("energy_joules_total", 640, true)).toBe("640 W");
  expect(inUnit("train/loss", Number.NaN)).toBe("NaN");
});

test("times read as people say them", () => {
  expect(duration(59.4)).toBe("59 s");
  expect(duration(3 * 3600 + 300)).toBe("3 h 05 min");
  expect(duration(200_000)).toBe("2 d 7 h");
  expect(clock(3723)).toBe("1:02:03");
  expect(ago(100, 103)).toBe("now");
  expect(bytes(0)).toBe("0 B");
  expect(whole(null)).toBe("–");
});

test("smoothing begins at the first value, not at zero", () => {
  expect(smooth([4, 4, 4], 0.9)).toEqual([4, 4, 4].map((one) => expect.closeTo(one, 9)));
});

test("smoothing weighs the past, and passes over what is no number", () => {
  const found = smooth([1, Number.NaN, 3], 0.5);
  expect(found[0]).toBeCloseTo(1);
  expect(found[1]).toBeNaN();
  expect(found[2]).toBeCloseTo((1 * 0.25 + 3 * 0.5) / 0.75);
});
