"use strict";
// What colours nodes: their op, a dtype, or a number of theirs.
function makeColours(view) {
  const HUES = ["#3b6fb6", "#d9822b", "#2e9e6b", "#8a5cc2", "#c94f6d", "#1f9bb0",
                "#a38a1d", "#6d7f3c", "#b5588f", "#5a6fd0", "#8c6d52", "#4c8c8c"];
  // Ops that every model has keep their colours from model to model.
  const KNOWN = {qmatmul: 0, matmul: 0, matmul_by_id: 0, qmatmul_by_id: 0, attention: 1,
    softmax: 1, rms_norm: 2, rms_norm_mul: 2, add_rms_norm: 2, layer_norm: 2,
    layer_norm_mul_add: 2, gated: 3, silu: 3, gelu: 3, quantize: 4, dequant: 4, append: 5,
    rotate: 6, rope_table: 6, qgather: 10, gather_rows: 10, add: 9, mul: 10};
  const hash = s => [...s].reduce((h, c) => (h * 31 + c.charCodeAt(0)) >>> 0, 7);
  const hueOf = (key, known) => HUES[known && key in KNOWN ? KNOWN[key] : hash(key) % HUES.length];
  // Unlike colours for the few dtypes that one model has.
  const dtypes = [...new Set([...W.typeOf.values()].map(t => t.dtype))].sort();

  const mainDtype = n => {
    const weight = view.stage.inputs.get(n)?.map(v => W.nodes[W.nodeOf.get(v)])
      .find(x => x.kind === "weight");
    return (weight || W.nodes[n]).outs[0].dtype;
  };
  const timesOf = () => W.profiles[0]?.times;
  const MEASURES = {
    bytes: {label: "Bytes read and written, decode", of: n => W.steps.get(n)?.works[0]?.bytes, text: bytesText},
    operations: {label: "Operations, decode", of: n => W.steps.get(n)?.works[0]?.operations, text: shortNumber},
    size: {label: "Size of the result", of: n => W.nodes[n].drawn ? W.nodes[n].outs[0].bytes : undefined, text: bytesText},
    time: {label: "Time, measured", of: n => timesOf()?.get(n)?.seconds, text: timeText},
    limit: {label: "Share of the limit, measured", of: n => timesOf()?.get(n)?.limit, text: percent},
  };
  const HOT = "light-dark(#c2410c, #ff8a4c)";
  let most = 1;
  function findMost() {
    const m = MEASURES[view.colourBy];
    if (m) most = Math.max(1e-12, ...view.stage.order.map(n => m.of(n) || 0));
    if (view.colourBy === "limit") most = 1;
  }
  view.colour = n => {
    const node = W.nodes[n], by = view.colourBy, measure = MEASURES[by];
    if (!measure) {
      const hue = by === "op" ? (node.view ? "#8b96a1" : hueOf(node.op, true))
        : HUES[dtypes.indexOf(mainDtype(n)) % HUES.length];
      return {bar: hue, fill: `color-mix(in srgb, ${hue} ${node.view ? 5 : 11}%, var(--card))`};
    }
    const value = measure.of(n);
    if (value === undefined) return {bar: "var(--line)", fill: "var(--card)"};
    const part = Math.min(1, Math.sqrt(value / most));
    const mix = (hot, p) => `color-mix(in srgb, ${hot} ${p}%, var(--card))`;
    // The hottest fill keeps --text at a contrast above 5 to 1, light and dark.
    return {heat: true, bar: mix(HOT, 25 + 75 * part),
            fill: mix("light-dark(#c2410c, #c2551f)", 65 * part)};
  };
  view.corner = n => {
    const m = MEASURES[view.colourBy], value = m && m.of(n);
    return value ? m.text(value) : "";
  };

  function legend() {
    const out = [], measure = MEASURES[view.colourBy];
    const item = (colour, text) => {
      const span = document.createElement("span"), i = document.createElement("i");
      i.style.background = colour;
      span.append(i, text);
      out.push(span);
    };
    if (measure) {
      item(`linear-gradient(90deg, var(--card), ${HOT})`,
           `${measure.label}: 0 to ${measure.text(most)}`);
      out[0].firstChild.className = "ramp";
    } else {
      const count = new Map();
      for (const n of view.stage.order) {
        if (!W.nodes[n].drawn || W.nodes[n].view) continue;
        const key = view.colourBy === "op" ? W.nodes[n].op : mainDtype(n);
        count.set(key, (count.get(key) || 0) + 1);
      }
      for (const [key, c] of [...count].sort((a, b) => b[1] - a[1]).slice(0, 14))
        item(view.colourBy === "op" ? hueOf(key, true) : HUES[dtypes.indexOf(key) % HUES.length],
             `${key} ${c}`);
    }
    document.getElementById("legend").replaceChildren(...out);
  }
  return {findMost, legend, mainDtype};
}
