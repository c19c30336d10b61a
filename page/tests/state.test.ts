/** What an address tells, and that nothing in one can break the page. */

import { expect, test } from "vitest";
import { PLAIN, readView, type View, writeView } from "../src/state";

test("an address tells the whole view", () => {
  const view: View = {
    axis: "elapsed",
    from: 12.5,
    to: 300,
    smooth: 0.6,
    log: true,
    band: false,
    ranks: [0, 7],
    source: "run",
    filter: "loss & more",
    wide: ["train/loss"],
    closed: ["~gpu", "val"],
    hidden: true,
  };
  expect(readView(writeView(view, new URLSearchParams("tab=charts")))).toEqual(view);
  expect(writeView(view, new URLSearchParams("tab=charts")).get("tab")).toBe("charts");
});

test("a plain view leaves nothing in the address", () => {
  expect(writeView(PLAIN, new URLSearchParams("axis=time&log=1&wide=x")).toString()).toBe("");
});

test.each(["from=1", "from=5&to=5", "from=9&to=1", "from=x&to=y", "from=&to=2", "from=NaN&to=Infinity"])(
  "a range that is none, such as %s, shows all",
  (text) => {
    expect(readView(new URLSearchParams(text))).toEqual(PLAIN);
  },
);

test.each(["axis=x", "ranks=a,-1", "smooth=x", "source=", "band=2", "hidden=2", "ranks="])(
  "nonsense, such as %s, is plain",
  (text) => {
    expect(readView(new URLSearchParams(text))).toEqual(PLAIN);
  },
);

test("smoothing stays below one, where every value would be the first", () => {
  expect(readView(new URLSearchParams("smooth=7")).smooth).toBeLessThan(1);
});
