"use strict";
// Reads the columns that html.cc wrote: W.nodes, and W.stage(k), the graph after
// a pass.
const W = (() => {
  const raw = JSON.parse(document.getElementById("data").textContent);
  const text = raw.strings;
  const DIGITS =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  // The numbers of a column.
  function numbers(column) {
    const out = [];
    let n = 0, unit = 1;
    for (const c of column) {
      const digit = DIGITS.indexOf(c);
      n += (digit & 31) * unit;
      unit *= 32;  // beyond 32 bits: no shifts
      if (digit > 31) continue;
      out.push(n % 2 ? -(n + 1) / 2 : n / 2);
      n = 0;
      unit = 1;
    }
    return out;
  }
  // An object with the numbers of all its columns.
  const unpacked = object => Object.fromEntries(Object.entries(object).map(
      ([key, value]) => [key, typeof value === "string" && key !== "name"
                                  ? numbers(value) : value]));
  const KIND = ["compute", "input", "weight", "state", "constant", "any"];
  const nodes = [], nodeOf = new Map(), typeOf = new Map();
  const columns = unpacked(raw.nodes);
  let at = 0, number = 0;
  for (let i = 0; i < columns.op.length; i++) {
    const outs = [];
    for (let k = 0; k < columns.count[i]; k++, at++) {
      number += columns.number[at];
      const [name, dtype, bytes] = raw.types[columns.type[at]];
      outs.push({number, type: name, dtype, bytes});
      nodeOf.set(number, i);
      typeOf.set(number, outs[k]);
    }
    const attrs = text[columns.attrs[i]];
    nodes.push({
      i, op: text[columns.op[i]], kind: KIND[columns.kind[i] & 7],
      view: columns.kind[i] >= 8, name: text[columns.names[i]], outs,
      attrs: attrs ? attrs.split("\n").map(a => a.split("\t")).filter(a => a[1]) : [],
      where: text[columns.where[i]], by: text[columns.by[i]],
      number: outs[0].number,
      // Weights, states, inputs and constants are written into their readers.
      drawn: (columns.kind[i] & 7) === 0,
    });
  }
  const layers = [];
  const layerOf = numbers(raw.layers);
  for (let i = 0; i < layerOf.length; i += 2)
    layers.push(text[layerOf[i]] + "." + layerOf[i + 1]);

  // Sums of differences.
  const sums = a => { let s = 0; return a.map(d => (s += d)); };
  const made = [];
  const source = k => ("nodes" in raw.stages[k] ? k : source(k - 1));

  function stage(k) {
    if (made[k]) return made[k];
    const from = unpacked(raw.stages[source(k)]);
    const order = sums(from.nodes), layerList = sums(from.layers);
    const s = {
      index: k, name: raw.stages[k].name, order, layer: new Map(),
      inputs: new Map(), users: new Map(), names: new Map(), outputs: [],
      folds: [], fresh: new Set(), rewired: new Set(), gone: [],
    };
    let at = 0;
    order.forEach((n, j) => {
      const inputs = [];
      for (let count = from.inputs[at++]; count > 0; count--)
        inputs.push(nodes[n].number - from.inputs[at++]);
      s.inputs.set(n, inputs);
      s.layer.set(n, layerList[j]);
      for (const v of inputs)
        s.users.has(v) ? s.users.get(v).push(n) : s.users.set(v, [n]);
    });
    for (let i = 0; i < from.names.length; i += 2)
      s.names.set(from.names[i], text[from.names[i + 1]]);
    for (let i = 0; i < from.outputs.length; i += 2)
      s.outputs.push({value: from.outputs[i], name: text[from.outputs[i + 1]]});
    for (let i = 0; i < from.folds.length; i += 3)
      s.folds.push({first: from.folds[i], count: from.folds[i + 1],
                    differs: text[from.folds[i + 2]]});
    findShared(s);
    made[k] = s;
    if (k > 0) compare(s, stage(k - 1));
    return s;
  }

  // Values of no layer that several layers read, a table of rotations say: an
  // edge to each would hide all else, so that they are written into readers.
  function findShared(s) {
    s.shared = new Set();
    for (const [v, users] of s.users) {
      const from = nodeOf.get(v);
      if (nodes[from].drawn && s.layer.get(from) < 0 &&
          new Set(users.map(u => s.layer.get(u))).size > 1)
        s.shared.add(v);
    }
    // What an edge leads to from `v`: the node that is drawn.
    s.linked = v => nodes[nodeOf.get(v)].drawn && !s.shared.has(v);
  }

  function compare(s, before) {
    for (const n of s.order) {
      if (!before.inputs.has(n)) s.fresh.add(n);
      else if (before.inputs.get(n).join() !== s.inputs.get(n).join())
        s.rewired.add(n);
    }
    s.gone = before.order.filter(n => !s.inputs.has(n));
  }

  const plan = raw.plan ? unpacked(raw.plan) : null, steps = new Map(), buffers = new Map(),
        aliases = new Map();
  if (plan) {
    plan.nodes.forEach((n, k) => steps.set(n, {
      step: k, kernels: text[plan.kernels[k]].split("\t"),
      works: raw.works[plan.works[k]].map(w => ({
        weights: w[0], states: w[1], activations: w[2], bytes: w[0] + w[1] + w[2],
        operations: w[3], arithmetic: w[4], least: w[5]})),
    }));
    for (let i = 0; i < plan.buffers.length; i += 5) {
      const [value, offset, bytes, first, last] = plan.buffers.slice(i, i + 5);
      buffers.set(value, {value, offset, bytes, first, last});
    }
    for (let i = 0; i < plan.aliases.length; i += 3)
      aliases.set(plan.aliases[i],
                  {of: plan.aliases[i + 1], view: !!plan.aliases[i + 2]});
  }
  const profiles = raw.profiles.map(p => {
    const times = new Map();
    for (let i = 0; i < p.times.length; i += 5)
      times.set(plan.nodes[p.times[i]], {seconds: p.times[i + 1],
        imbalance: p.times[i + 2], waiting: p.times[i + 3], limit: p.times[i + 4]});
    return {name: p.name, seconds: p.seconds, times};
  });
  const rules = raw.rules.map(r => {
    const list = numbers(r.missed), missed = [];
    for (let i = 0; i < list.length; i += 2)
      missed.push({value: list[i], reason: text[list[i + 1]]});
    return {name: r.name, expected: r.expected, matched: numbers(r.matched),
            missed};
  });
  return {title: raw.title, facts: raw.facts, symbols: raw.symbols, nodes, nodeOf,
          typeOf, layers, stage, stages: raw.stages.map(s => s.name), plan, steps,
          buffers, aliases, profiles, rules};
})();

// ---- Words for numbers ----

function bytesText(n) {
  if (n < 1024) return n + " B";
  const units = ["KiB", "MiB", "GiB", "TiB"];
  let u = -1;
  do { n /= 1024; u++; } while (n >= 1024 && u < 3);
  return (n < 10 ? n.toFixed(2) : n < 100 ? n.toFixed(1) : n.toFixed(0)) + " " + units[u];
}
function shortNumber(n) {
  const units = ["", " k", " M", " G", " T"];
  let u = 0;
  while (Math.abs(n) >= 1000 && u < 4) { n /= 1000; u++; }
  return (u === 0 || n >= 100 ? n.toFixed(0) : n >= 10 ? n.toFixed(1) : n.toFixed(2)) + units[u];
}
function timeText(s) {
  return s >= 1 ? s.toFixed(2) + " s" : s >= 1e-3 ? (s * 1e3).toFixed(2) + " ms"
       : (s * 1e6).toFixed(1) + " \u00b5s";
}
const percent = x => (100 * x).toFixed(x < 0.1 ? 1 : 0) + " %";
// "attn_q.weight" of "blk.3.attn_q.weight".
function shortName(name) {
  const found = name.match(/^.*?\.\d+\.(.+)$/);
  return found ? found[1] : name;
}
