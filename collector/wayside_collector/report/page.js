"use strict";
// The values under the pointer. Everything else on this page works without a script.
for (const chart of document.querySelectorAll("svg.chart")) {
  const lines = JSON.parse(chart.nextElementSibling.textContent);
  const [left, right, top, bottom, low, high] = chart.dataset.frame.split(",").map(Number);
  const { width, height } = chart.viewBox.baseVal;
  const cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
  const tip = document.createElement("output");
  tip.className = "tip";
  tip.hidden = true;
  cursor.setAttribute("class", "cursor");
  cursor.setAttribute("y1", top);
  cursor.setAttribute("y2", height - bottom);
  chart.after(tip);

  const nearest = (xs, x) => {
    let best = -1;
    for (let place = 0; place < xs.length; place++)
      if (xs[place] !== null && (best < 0 || Math.abs(xs[place] - x) < Math.abs(xs[best] - x))) best = place;
    return best;
  };
  const told = (x) => (chart.dataset.axis === "time" ? `${Math.round(x)} s` : `step ${x}`);

  chart.addEventListener("pointermove", (event) => {
    const box = chart.getBoundingClientRect();
    const share = (((event.clientX - box.left) / box.width) * width - left) / (width - left - right);
    const x = low + Math.min(1, Math.max(0, share)) * (high - low);
    const words = [];
    for (const line of lines) {
      const place = nearest(line.x, x);
      if (place >= 0) words.push(`${line.label}  ${line.y[place]}  at ${told(line.x[place])}`);
    }
    const at = left + ((x - low) / (high - low)) * (width - left - right);
    cursor.setAttribute("x1", at);
    cursor.setAttribute("x2", at);
    chart.append(cursor);
    tip.textContent = words.join("\n");
    tip.hidden = false;
  });
  chart.addEventListener("pointerleave", () => {
    cursor.remove();
    tip.hidden = true;
  });
}
// Printed, nothing is folded.
addEventListener("beforeprint", () => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
});
