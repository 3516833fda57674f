"use strict";
// The arena over the steps: a bar for each buffer, from its first write to its
// last read.
const Memory = (() => {
  const section = document.getElementById("memory"), lanes = document.getElementById("lanes");
  if (!W.plan) {
    section.hidden = true;
    return {draw() {}, toggle() {}};
  }
  const LEFT = 62, RIGHT = 12, TOP = 8, BOTTOM = 18;
  const steps = W.steps.size, arena = Math.max(1, W.plan.arena);
  document.getElementById("memory-facts").textContent =
    `arena ${bytesText(W.plan.arena)} over ${steps} steps, fullest in step ` +
    `${W.plan.peak_step} with ${bytesText(W.plan.peak)}`;

  // Steps between numbers on the axis, of which there is room for `n`.
  function spacing(n) {
    for (let unit = 1;; unit *= 10)
      for (const k of [1, 2, 5]) if (steps / (unit * k) <= n) return unit * k;
  }

  function draw(view) {
    const w = lanes.clientWidth, h = lanes.clientHeight;
    if (!w || !h) return;
    const x = s => LEFT + (w - LEFT - RIGHT) * s / steps;
    const y = b => h - BOTTOM - (h - TOP - BOTTOM) * b / arena;
    const out = [];
    for (const part of [0, 0.5, 1]) {
      const at = y(arena * part);
      out.push(svg("line", {class: "axis", x1: LEFT, x2: w - RIGHT, y1: at, y2: at}),
               svg("text", {x: LEFT - 6, y: at + 3.5, "text-anchor": "end"},
                   bytesText(Math.round(arena * part))));
    }
    for (let s = 0, by = spacing(w / 70); s < steps; s += by)
      out.push(svg("text", {x: x(s), y: h - 5}, String(s)));
    for (const b of W.buffers.values()) {
      const n = W.nodeOf.get(b.value), top = y(b.offset + b.bytes);
      const r = svg("rect", {
        class: "b" + (n === view.selected ? " selected" : ""), "data-n": n,
        x: x(b.first).toFixed(1), y: top.toFixed(1),
        width: Math.max(1, x(b.last + 1) - x(b.first)).toFixed(1),
        height: Math.max(0.8, y(b.offset) - top).toFixed(1)});
      r.style.fill = view.colour(n).bar;
      out.push(r);
    }
    const peak = x(W.plan.peak_step + 0.5), left = peak > w - 150;
    out.push(svg("line", {class: "peak", x1: peak, x2: peak, y1: TOP - 4, y2: h - BOTTOM}),
             svg("text", {class: "peaktext", x: peak + (left ? -5 : 5), y: TOP + 6,
                          "text-anchor": left ? "end" : "start"},
                 "peak " + bytesText(W.plan.peak)));
    const step = W.steps.get(view.selected);
    if (step) {
      const at = x(step.step + 0.5);
      out.push(svg("line", {class: "at", x1: at, x2: at, y1: TOP - 4, y2: h - BOTTOM}));
    }
    lanes.replaceChildren(...out);
  }

  function toggle() {
    const closed = section.classList.toggle("closed");
    const button = document.getElementById("memory-toggle");
    button.textContent = closed ? "Show" : "Hide";
    button.setAttribute("aria-expanded", String(!closed));
    window.dispatchEvent(new Event("resize"));
  }
  document.getElementById("memory-toggle").onclick = toggle;
  return {draw, toggle};
})();
