// The two drawings: success over episodes with its band, and Q against the return that followed.
const NS = "http://www.w3.org/2000/svg";
export function draw(svg, parts) {
  svg.replaceChildren(...parts.map(([tag, attributes, text]) => {
    const one = document.createElementNS(NS, tag);
    for (const [name, value] of Object.entries(attributes)) one.setAttribute(name, value);
    if (text !== undefined) one.textContent = text;
    return one;
  }));
}
export function successCurve(svg, curve) {
  const n = curve.rate.length, left = 34, right = 298, top = 5, bottom = 58;
  const x = (i) => left + ((right - left) * i) / Math.max(1, n - 1), y = (v) => bottom - (bottom - top) * v;
  const line = (values) => values.map((v, i) => `${x(i).toFixed(1)},${y(v).toFixed(1)}`);
  const parts = [0, 0.5, 1].flatMap((v) => [
    ["line", { class: "axis", x1: left, x2: right, y1: y(v), y2: y(v) }],
    ["text", { x: left - 4, y: y(v) + 3, "text-anchor": "end" }, `${100 * v} %`],
  ]);
  if (n > 1) {
    parts.push(["polygon", { class: "band", points: [...line(curve.hi), ...line(curve.lo).reverse()].join(" ") }]);
    parts.push(["polyline", { class: "curve", points: line(curve.rate).join(" ") }]);
  }
  draw(svg, parts);
}
export function promises(svg, kept) {
  if (!kept.length) return draw(svg, []);
  const all = kept.flatMap((one) => [one.q, one.ret]), margin = 0.5 + 0.05 * (Math.max(...all) - Math.min(...all));
  const low = Math.min(...all) - margin, high = Math.max(...all) + margin;
  const left = 30, right = 196, top = 4, bottom = 102, at = (v, a, b) => a + ((b - a) * (v - low)) / (high - low);
  const x = (v) => at(v, left, right), y = (v) => at(v, bottom, top);
  const parts = [
    ["rect", { class: "axis", x: left, y: top, width: right - left, height: bottom - top }],
    ["line", { class: "same", x1: left, y1: bottom, x2: right, y2: top }],
    ["text", { x: left - 3, y: top + 8, "text-anchor": "end" }, high.toFixed(0)],
    ["text", { x: left - 3, y: bottom, "text-anchor": "end" }, low.toFixed(0)],
    ["text", { x: (left + right) / 2, y: bottom + 13, "text-anchor": "middle" }, "return that followed"],
    ["text", { x: 9, y: (top + bottom) / 2 + 3 }, "Q"],
  ];
  for (const one of kept) parts.push(["circle", { class: one.cut ? "cut" : "dot", cx: x(one.ret), cy: y(one.q), r: 2.6 }]);
  draw(svg, parts);
}
