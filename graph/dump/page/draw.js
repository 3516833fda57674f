"use strict";
// The scene of a stage: boxes of layers and nodes with their places, and SVG
// for those that are in view.
const SVG = "http://www.w3.org/2000/svg";
function svg(tag, attrs, ...children) {
  const e = document.createElementNS(SVG, tag);
  for (const k in attrs) e.setAttribute(k, attrs[k]);
  for (const c of children) e.append(c);
  return e;
}

const measure = (() => {
  const context = document.createElement("canvas").getContext("2d");
  const style = getComputedStyle(document.documentElement);
  const fonts = {
    op: "600 12px " + style.getPropertyValue("--sans"),
    small: "10px " + style.getPropertyValue("--mono"),
  };
  const known = new Map();
  return (text, font) => {
    const key = font + text;
    if (!known.has(key)) {
      context.font = fonts[font];
      known.set(key, context.measureText(text).width);
    }
    return known.get(key);
  };
})();

// ---- Nodes ----

// The lines of a node's box and its size.
function boxOf(stage, n) {
  const node = W.nodes[n], chips = [], small = [];
  for (const v of stage.inputs.get(n)) {
    const from = W.nodes[W.nodeOf.get(v)];
    if (stage.linked(v)) continue;
    if (from.kind === "weight" || from.kind === "state")
      chips.push({kind: from.kind, text: shortName(from.name) + "  " + W.typeOf.get(v).type});
    else {
      const text = from.name || (from.drawn ? `${from.op} %${v}` : from.kind);
      if (!small.includes(text)) small.push(text);
    }
  }
  if (small.length) chips.push({kind: "input", text: small.join(", ")});
  const title = node.op;
  const name = node.outs.map(o => stage.names.get(o.number)).filter(x => x).join(", ");
  const type = node.outs.map(o => o.type).join(", ");
  if (node.view) {
    const w = measure(title, "op") + 6 + measure(type, "small") + 18;
    return {n, w, h: 21, title, name: "", type, chips: []};
  }
  // Whatever the colours show stands beside the title, however it changes.
  const corner = Math.max(measure(name, "small"), measure("1023.9 KiB", "small"));
  const w = Math.max(measure(title, "op") + corner + 14,
    measure(type, "small"), ...chips.map(c => measure(c.text, "small") + 11)) + 26;
  return {n, w: Math.max(w, 88), h: 37 + 14 * chips.length, title, name, type, chips};
}

function drawNode(box, view) {
  const node = W.nodes[box.n];
  const colour = view.colour(box.n);
  const g = svg("g", {class: "node" + (node.view ? " view" : "") + (colour.heat ? " heat" : ""),
                      "data-n": box.n, transform: `translate(${box.x},${box.y})`});
  g.append(svg("rect", {class: "box", width: box.w, height: box.h, rx: node.view ? 10 : 5}));
  g.firstChild.style.fill = colour.fill;
  if (node.view) {
    g.append(svg("text", {class: "op", x: 9, y: 14.5}, box.title),
             svg("text", {class: "m", x: 15 + measure(box.title, "op"), y: 14}, box.type));
    return g;
  }
  const bar = svg("rect", {width: 4, height: box.h - 8, x: 4, y: 4, rx: 2});
  bar.style.fill = colour.bar;
  g.append(bar, svg("text", {class: "op", x: 14, y: 16}, box.title));
  const corner = view.corner(box.n) || box.name;
  if (corner)
    g.append(svg("text", {class: "m", x: box.w - 8, y: 15.5, "text-anchor": "end"}, corner));
  g.append(svg("text", {class: "m", x: 14, y: 30}, box.type));
  box.chips.forEach((c, i) => {
    const y = 44 + 14 * i;
    const mark = c.kind === "input" ? svg("circle", {cx: 17, cy: y - 3.2, r: 2.6})
      : svg("rect", {x: 14, y: y - 6.5, width: 6.5, height: 6.5, rx: c.kind === "state" ? 3.2 : 1});
    g.append(svg("g", {class: "chip " + c.kind}, mark,
                 svg("text", {class: "m", x: 25, y}, c.text)));
  });
  return g;
}

// From the lower edge of one box to the upper edge of another.
function curve(x0, y0, points, x1, y1) {
  let d = `M${x0.toFixed(1)} ${y0.toFixed(1)}`, x = x0, y = y0;
  const go = (nx, ny) => {
    const m = (ny - y) / 2;
    d += `C${x.toFixed(1)} ${(y + m).toFixed(1)} ${nx.toFixed(1)} ${(ny - m).toFixed(1)} ${nx.toFixed(1)} ${ny.toFixed(1)}`;
    x = nx; y = ny;
  };
  for (const p of points) {
    go(p.x, Math.max(p.top, y));
    if (p.bottom > y) { d += `L${p.x.toFixed(1)} ${p.bottom.toFixed(1)}`; y = p.bottom; }
  }
  go(x1, y1);
  return d;
}

// ---- Layers ----

const PAD = 18, HEAD = 34;

// Values that come into a layer, in the order in which its nodes read them.
function externals(stage, layer, nodes) {
  const found = new Set();
  for (const n of nodes)
    for (const v of stage.inputs.get(n)) {
      const from = W.nodeOf.get(v);
      if (stage.linked(v) && stage.layer.get(from) !== layer) found.add(v);
    }
  return [...found];
}

// Nodes of a layer laid out, with ports for the values that come and go.
function layerBox(stage, layer, nodes, feeds) {
  const inside = new Map(), items = [], edges = [];
  const ports = {in: new Map(), out: new Map()};
  for (const v of externals(stage, layer, nodes)) {
    ports.in.set(v, items.length);
    items.push(portBox(stage, v, "in"));
  }
  for (const n of nodes) {
    inside.set(n, items.length);
    items.push(boxOf(stage, n));
  }
  for (const n of nodes) {
    const seen = new Set();
    for (const v of stage.inputs.get(n)) {
      const from = W.nodeOf.get(v);
      const a = inside.has(from) ? inside.get(from) : ports.in.get(v);
      if (a === undefined || seen.has(a)) continue;
      seen.add(a);
      if (stage.linked(v)) edges.push([a, inside.get(n), v]);
    }
  }
  for (const v of feeds) {
    ports.out.set(v, items.length);
    items.push(portBox(stage, v, "out"));
    edges.push([inside.get(W.nodeOf.get(v)), items.length - 1, v]);
  }
  const size = layered(items, edges);
  return {items, edges, paths: size.paths, ports, w: Math.max(size.w, 150) + 2 * PAD,
          h: size.h + HEAD + PAD, shift: Math.max(0, (150 - size.w) / 2)};
}

function portBox(stage, v, kind) {
  const from = W.nodes[W.nodeOf.get(v)];
  const text = stage.names.get(v) || from.op + " %" + v;
  return {port: kind, value: v, text, w: measure(text, "small") + 16, h: 16};
}

// Of edges that leave or enter at the same side of a box, each gets its place.
function spread(box, i, count) {
  const room = Math.min(box.w - 24, 16 * (count - 1));
  return box.x + box.w / 2 + (count > 1 ? room * (i / (count - 1) - 0.5) : 0);
}

function edgePaths(items, edges, paths) {
  const enter = items.map(() => []), out = [];
  edges.forEach(([a, b], e) => enter[b].push(e));
  for (const list of enter)
    list.sort((e, f) => last(e).x - last(f).x);
  function last(e) {
    const p = paths[e];
    return p.length ? p[p.length - 1] : {x: items[edges[e][0]].x + items[edges[e][0]].w / 2};
  }
  edges.forEach(([a, b, v], e) => {
    const from = items[a], to = items[b];
    out.push({value: v, from: from.n, to: to.n, d: curve(
      from.x + from.w / 2, from.y + from.h, paths[e],
      spread(to, enter[b].indexOf(e), enter[b].length), to.y)});
  });
  return out;
}

function drawEdge(e) {
  return svg("path", {class: "edge", d: e.d, "data-v": e.value, "data-to": e.to ?? -1,
                      "marker-end": "url(#tip-arrow)"});
}

function drawPort(p) {
  return svg("g", {class: "port", transform: `translate(${p.x},${p.y})`},
             svg("rect", {width: p.w, height: p.h, rx: 8}),
             svg("text", {x: p.w / 2, y: 11.5, "text-anchor": "middle"}, p.text));
}

function drawLayer(block, view) {
  const {box, title, fold} = block;
  const g = svg("g", {class: "layer", "data-layer": block.layer,
                      transform: `translate(${block.x},${block.y})`});
  if (block.folded)
    for (const d of [8, 4])
      g.append(svg("rect", {class: "stack", x: d, y: -d, width: box.w, height: box.h, rx: 9}));
  g.append(svg("rect", {class: "box", width: box.w, height: box.h, rx: 9}));
  const name = svg("text", {class: "title", x: 12, y: 21, "data-fold": block.foldIndex}, title);
  let x = 12 + measure(title, "op") * 13 / 12 + 10;
  if (block.folded) {
    for (const [step, sign] of [[-1, "\u25c2"], [1, "\u25b8"]]) {
      g.append(svg("text", {class: "leaf", x, y: 21.5, "data-leaf": step,
                            "data-fold": block.foldIndex}, sign));
      x += 16;
    }
  }
  if (fold.differs) {
    const room = Math.max(8, Math.floor((box.w - x - 16) / 5.6));
    const note = "differs in: " + fold.differs;
    const text = svg("text", {class: "note", x: x + 2, y: 20.5},
                     note.length > room ? note.slice(0, room - 1) + "\u2026" : note);
    text.append(svg("title", {}, note));
    g.append(text);
  }
  const inner = svg("g", {transform: `translate(${PAD + box.shift},${HEAD})`});
  for (const e of edgePaths(box.items, box.edges, box.paths)) inner.append(drawEdge(e));
  for (const item of box.items)
    inner.append(item.port ? drawPort(item) : drawNode(item, view));
  g.append(inner, name);
  return g;
}

// ---- The scene ----

// Everything of a stage with its place. `shown` says for each fold which of its
// layers it shows, or "all" of them.
function makeScene(stage, shown, aspect) {
  const members = new Map(), free = [];
  for (const n of stage.order) {
    if (!W.nodes[n].drawn) continue;
    const layer = stage.layer.get(n);
    if (layer < 0) free.push(n);
    else members.has(layer) ? members.get(layer).push(n) : members.set(layer, [n]);
  }
  const blocks = [], blockOf = new Map(), layerBlock = new Map();
  // Which values of a layer others read.
  const feeds = new Map();
  const feed = v => {
    const l = stage.layer.get(W.nodeOf.get(v));
    if (l >= 0) (feeds.get(l) || feeds.set(l, new Set()).get(l)).add(v);
  };
  for (const n of stage.order)
    for (const v of stage.inputs.get(n)) {
      const from = W.nodeOf.get(v);
      if (stage.linked(v) && stage.layer.get(from) !== stage.layer.get(n)) feed(v);
    }
  stage.outputs.forEach(o => feed(o.value));
  stage.folds.forEach((fold, index) => {
    const which = shown[index] ?? fold.first, all = which === "all";
    for (let l = fold.first; l < fold.first + fold.count; l++) {
      if (!all && l !== which) continue;
      const nodes = members.get(l) || [];
      if (!nodes.length) continue;
      const box = layerBox(stage, l, nodes, feeds.get(l) || []);
      const block = {layer: l, fold, foldIndex: index, folded: !all && fold.count > 1,
                     box, w: box.w, h: box.h, rank: nodes[0],
                     title: all || fold.count === 1 ? W.layers[l]
                       : `${W.layers[l]}  \u00d7 ${fold.count}`};
      blocks.push(block);
      for (let k = fold.first; !all && k < fold.first + fold.count; k++) layerBlock.set(k, block);
      layerBlock.set(l, block);
    }
  });
  for (const n of free) {
    const box = boxOf(stage, n), block = {node: box, w: box.w, h: box.h, rank: n};
    blocks.push(block);
    blockOf.set(n, block);
  }
  stage.outputs.forEach(o => blocks.push(
    {output: o, w: measure(o.name, "op") + 28, h: 24, rank: Infinity}));
  const find = n => blockOf.get(n) || layerBlock.get(stage.layer.get(n));
  return connect(stage, sortBlocks(stage, blocks, find, members), find, members, aspect);
}

// Nodes whose operands a block takes from others: what enters a fold comes to
// its first layer, whichever is shown.
function entering(b, members) {
  return b.node ? [b.node.n] : b.output ? []
    : members.get(b.folded ? b.fold.first : b.layer) || [];
}

// Each after what it reads, else in the order of the stage. Where blocks read
// each other in a circle, the first of them comes first.
function sortBlocks(stage, blocks, find, members) {
  const place = new Map(stage.order.map((n, i) => [n, i]));
  const key = b => (b.rank === Infinity ? Infinity : place.get(b.rank));
  blocks.sort((a, b) => key(a) - key(b));
  const sorted = [], state = new Map();
  const visit = b => {
    const stack = [[b, null]];
    while (stack.length) {
      const top = stack[stack.length - 1], [at] = top;
      if (top[1] === null) {
        if (state.has(at)) { stack.pop(); continue; }
        state.set(at, 1);
        const from = new Set();
        for (const n of entering(at, members))
          for (const v of stage.inputs.get(n))
            if (stage.linked(v)) from.add(find(W.nodeOf.get(v)));
        if (at.output) from.add(find(W.nodeOf.get(at.output.value)));
        top[1] = [...from].filter(x => x && x !== at).sort((a, c) => key(a) - key(c));
      }
      const next = top[1].shift();
      if (next) { if (!state.has(next)) stack.push([next, null]); continue; }
      stack.pop();
      sorted.push(at);
    }
  };
  blocks.forEach(visit);
  sorted.forEach((b, i) => (b.index = i));
  return sorted;
}

// Edges between blocks, and the layout of them all.
function connect(stage, blocks, find, members, aspect) {
  const edges = [], seen = new Set();
  const add = (v, from, to, n) => {
    if (!from || !to || from === to) return;
    const key = from.index + "," + to.index + "," + v;
    if (seen.has(key)) return;
    seen.add(key);
    edges.push([from.index, to.index, v, n]);
  };
  for (const b of blocks) {
    for (const n of entering(b, members))
      for (const v of stage.inputs.get(n)) {
        const from = W.nodeOf.get(v);
        if (stage.linked(v)) add(v, find(from), b, n);
      }
    if (b.output) add(b.output.value, find(W.nodeOf.get(b.output.value)), b, -1);
  }
  const size = layered(blocks, edges);
  // The value of the layer that is shown that stands for one of the fold's.
  const stands = (b, kind, v) => {
    if (b.box.ports[kind].has(v)) return v;
    if (kind === "in") {
      const first = externals(stage, b.fold.first, members.get(b.fold.first) || []);
      return [...b.box.ports.in.keys()][first.indexOf(v)];
    }
    const n = W.nodeOf.get(v), own = members.get(stage.layer.get(n)) || [];
    const twin = W.nodes[members.get(b.layer)[own.indexOf(n)]];
    return twin && twin.outs[W.nodes[n].outs.findIndex(o => o.number === v)]?.number;
  };
  const x = (b, kind, v) => {
    if (!b.box) return null;
    const at = b.box.ports[kind].get(stands(b, kind, v));
    if (at === undefined) return null;
    const item = b.box.items[at];
    return b.x + PAD + b.box.shift + item.x + item.w / 2;
  };
  const enter = blocks.map(() => []);
  edges.forEach(([, b], e) => enter[b].push(e));
  const columns = wrapColumns(blocks, size, aspect);
  const lines = edges.map(([a, b, v, n], e) => {
    const from = blocks[a], to = blocks[b];
    const x0 = x(from, "out", v) ?? from.x + from.w / 2;
    const x1 = x(to, "in", v) ?? spread(to, enter[b].indexOf(e), enter[b].length);
    const d = from.column === to.column
      ? curve(x0, from.y + from.h, size.paths[e].map(p => shifted(p, from)), x1, to.y)
      : around(x0, from.y + from.h, columns.left(to.column) - 40, x1, to.y);
    return {value: v, to: n, back: a > b, d};
  });
  return {blocks, lines, find, w: columns.w, h: columns.h};
}

// A long chain of layers goes on in the next column, as text does, so that all
// of it has about the shape of the window.
const BETWEEN = 80;
function wrapColumns(blocks, size, aspect) {
  const tallest = Math.max(0, ...blocks.map(b => b.h)), width = size.w + BETWEEN;
  const count = Math.floor(Math.sqrt(size.h * aspect / width) + 0.35);
  const target = count < 2 ? Infinity : Math.max(tallest, size.h / count) * 1.06;
  const rows = new Map();
  for (const b of blocks) {
    const row = rows.get(b.row) || {top: Infinity, bottom: -Infinity, blocks: []};
    row.top = Math.min(row.top, b.y);
    row.bottom = Math.max(row.bottom, b.y + b.h);
    row.blocks.push(b);
    rows.set(b.row, row);
  }
  const columns = [{start: 0, blocks: []}];
  let h = 0;
  for (const [, row] of [...rows].sort((a, b) => a[0] - b[0])) {
    let c = columns[columns.length - 1];
    // A little at the beginning or at the end is not worth a column.
    if (row.top - c.start > target / 3 && row.bottom - c.start > target &&
        size.h - row.top > target / 3)
      columns.push(c = {start: row.top, blocks: []});
    c.blocks.push(...row.blocks);
    h = Math.max(h, row.bottom - c.start);
  }
  // Each as wide as what is in it.
  let at = 0;
  columns.forEach((c, column) => {
    const from = Math.min(...c.blocks.map(b => b.x)), to = Math.max(...c.blocks.map(b => b.x + b.w));
    c.left = at;
    for (const b of c.blocks) {
      Object.assign(b, {column, dx: columns.length > 1 ? at - from : 0, dy: c.start});
      b.x += b.dx;
      b.y -= b.dy;
    }
    at += to - from + BETWEEN;
  });
  return {left: c => columns[c].left, w: columns.length > 1 ? at - BETWEEN : size.w, h};
}
const shifted = (p, b) => ({x: p.x + b.dx, top: p.top - b.dy, bottom: p.bottom - b.dy});

// Down, up between two columns, and down into a box.
function around(x0, y0, x, x1, y1) {
  const r = 10, turn = (px, py, qx, qy) => `Q${px} ${py} ${qx} ${qy}`;
  const low = y0 + 2 * r, high = y1 - 2 * r, s0 = Math.sign(x - x0) || 1, s1 = Math.sign(x1 - x) || 1;
  return `M${x0} ${y0}V${low - r}` + turn(x0, low, x0 + s0 * r, low) + `H${x - s0 * r}` +
    turn(x, low, x, low - r) + `V${high + r}` + turn(x, high, x + s1 * r, high) +
    `H${x1 - s1 * r}` + turn(x1, high, x1, high + r) + `V${y1}`;
}
