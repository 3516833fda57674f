"use strict";
// What is shown, and what keys and the pointer do.
const weft = (() => {
  const $ = id => document.getElementById(id);
  const graph = $("graph");
  const view = {stage: null, selected: -1, colourBy: "op", shown: {}, scene: null,
                x: 0, y: 0, scale: 1, hits: new Set()};

  const colours = makeColours(view), {findMost, legend} = colours;

  // ---- The picture ----

  let printing = false;

  const world = svg("g", {});
  const edgeLayer = svg("g", {}), blockLayer = svg("g", {});
  world.append(edgeLayer, blockLayer);
  graph.append(svg("defs", {}, svg("marker", {id: "tip-arrow", viewBox: "0 0 8 8", refX: 7, refY: 4,
    markerWidth: 6.5, markerHeight: 6.5, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse"},
    svg("path", {d: "M0 0.8L8 4L0 7.2z"}))), world);

  function layOut() {
    const aspect = printing ? 1.6 : (graph.clientWidth || 1) / (graph.clientHeight || 1);
    view.scene = makeScene(view.stage, view.shown, aspect);
    findMost();
    edgeLayer.replaceChildren(...view.scene.lines.map(e => {
      const path = drawEdge(e);
      if (e.back) path.classList.add("back");
      return path;
    }));
    blockLayer.replaceChildren();
    legend();
    $("fold").textContent = view.stage.folds.some((f, i) => view.shown[i] === "all") ? "Fold" : "Unfold";
    $("fold").disabled = !view.stage.folds.some(f => f.count > 1);
    paint();
  }

  // Redraws without moving anything.
  function restyle() {
    findMost();
    for (const b of view.scene.blocks) { b.el?.remove(); b.el = null; }
    legend();
    paint();
    Memory.draw(view);
  }

  function drawBlock(b) {
    if (b.box) return drawLayer(b, view);
    if (b.output) {
      const g = svg("g", {class: "out", transform: `translate(${b.x},${b.y})`},
        svg("rect", {width: b.w, height: b.h, rx: 12}),
        svg("text", {x: b.w / 2, y: 16, "text-anchor": "middle"}, b.output.name));
      return g;
    }
    Object.assign(b.node, {x: b.x, y: b.y});
    return drawNode(b.node, view);
  }

  // Makes what is in sight, or near it, and drops what is far.
  function paint() {
    world.setAttribute("transform", `translate(${view.x},${view.y}) scale(${view.scale})`);
    graph.classList.toggle("far", view.scale < 0.33);
    graph.classList.toggle("veryfar", view.scale < 0.2);
    graph.style.setProperty("--zoom", 1 / view.scale);
    const w = graph.clientWidth / view.scale, h = graph.clientHeight / view.scale;
    const left = -view.x / view.scale, top = -view.y / view.scale;
    for (const b of view.scene.blocks) {
      const near = printing || (b.x < left + 1.5 * w && b.x + b.w > left - 0.5 * w &&
                                b.y < top + 1.5 * h && b.y + b.h > top - 0.5 * h);
      if (near && !b.el) {
        b.el = drawBlock(b);
        blockLayer.append(b.el);
        mark(b.el);
      } else if (!near && b.el) {
        b.el.remove();
        b.el = null;
      }
    }
  }

  // Classes of nodes that say what is new, found and selected.
  function mark(root) {
    const s = view.stage, near = new Set();
    if (view.selected >= 0) {
      for (const v of s.inputs.get(view.selected) || []) near.add(W.nodeOf.get(v));
      for (const o of W.nodes[view.selected].outs)
        for (const u of s.users.get(o.number) || []) near.add(u);
    }
    for (const e of root.querySelectorAll ? [root, ...root.querySelectorAll(".node")] : []) {
      if (!e.classList.contains("node")) continue;
      const n = +e.dataset.n;
      e.classList.toggle("new", s.index > 0 && s.fresh.has(n));
      e.classList.toggle("wired", s.rewired.has(n));
      e.classList.toggle("hit", view.hits.has(n));
      e.classList.toggle("near", near.has(n));
      e.classList.toggle("selected", n === view.selected);
    }
  }
  function markAll() {
    mark(blockLayer);
    const outs = new Set(view.selected >= 0 ? W.nodes[view.selected].outs.map(o => o.number) : []);
    for (const e of world.querySelectorAll(".edge"))
      e.classList.toggle("on", view.selected >= 0 &&
        (outs.has(+e.dataset.v) || +e.dataset.to === view.selected));
    graph.classList.toggle("searching", view.hits.size > 0);
  }

  function zoomTo(scale, cx = graph.clientWidth / 2, cy = graph.clientHeight / 2) {
    scale = Math.min(4, Math.max(0.01, scale));
    view.x = cx - (cx - view.x) * scale / view.scale;
    view.y = cy - (cy - view.y) * scale / view.scale;
    view.scale = scale;
    paint();
  }
  // Shows all; when it is first shown, large enough to be read.
  function fit(least = 0) {
    const w = graph.clientWidth || 1, h = graph.clientHeight || 1, s = view.scene;
    const all = Math.min(1.25, (w - 40) / s.w, (h - 50) / s.h);
    view.scale = Math.max(all, Math.min(least, (w - 40) / s.w));
    view.x = (w - s.w * view.scale) / 2;
    view.y = view.scale > all ? 22 : (h - s.h * view.scale) / 2;
    paint();
  }

  // ---- Where nodes are ----

  // The node itself, or the first that reads it when it is not drawn.
  function drawnFor(n) {
    if (W.nodes[n].drawn) return n;
    for (const o of W.nodes[n].outs)
      for (const u of view.stage.users.get(o.number) || []) return u;
    return -1;
  }
  function boxAt(n) {
    const block = view.scene.find(n);
    if (!block) return null;
    if (!block.box) return {x: block.x, y: block.y, w: block.w, h: block.h};
    const item = block.box.items.find(t => t.n === n);
    return item && {x: block.x + PAD + block.box.shift + item.x, y: block.y + HEAD + item.y,
                    w: item.w, h: item.h};
  }
  // Brings the layer of a node to the front of its fold.
  function uncover(n) {
    const layer = view.stage.layer.get(n);
    const i = view.stage.folds.findIndex(f => layer >= f.first && layer < f.first + f.count);
    if (i < 0 || view.shown[i] === "all" || (view.shown[i] ?? view.stage.folds[i].first) === layer)
      return;
    view.shown[i] = layer;
    layOut();
  }
  function bringIntoView(n) {
    const box = boxAt(n);
    if (!box) return;
    const s = view.scale, w = graph.clientWidth, h = graph.clientHeight;
    const cx = (box.x + box.w / 2) * s + view.x, cy = (box.y + box.h / 2) * s + view.y;
    if (s < 0.4) {
      view.scale = 0.8;
      view.x = w / 2 - (box.x + box.w / 2) * 0.8;
      view.y = h / 2 - (box.y + box.h / 2) * 0.8;
    } else if (cx < 60 || cx > w - 60 || cy < 40 || cy > h - 60) {
      view.x += w / 2 - cx;
      view.y += h / 2 - cy;
    }
    paint();
  }

  // ---- What one can do ----

  function select(n, move = true) {
    view.selected = n;
    if (n >= 0) {
      // Where it is not there, the last pass in which it is.
      if (!view.stage.inputs.has(n)) {
        for (let k = W.stages.length - 1; k >= 0; k--)
          if (W.stage(k).inputs.has(n)) { setStage(k); break; }
      }
      const at = drawnFor(n);
      if (at >= 0) uncover(at);
      if (at >= 0 && move) bringIntoView(at);
      $("status").textContent = `${W.nodes[n].op} ${W.nodes[n].name} %${W.nodes[n].number}`;
    }
    markAll();
    Panel.show(view);
    Memory.draw(view);
    writeHash();
  }

  function setStage(k) {
    k = Math.max(0, Math.min(W.stages.length - 1, k));
    const first = !view.stage;
    view.stage = W.stage(k);
    view.shown = {};
    $("stage").value = k;
    $("before").disabled = k === 0;
    $("after").disabled = k === W.stages.length - 1;
    const s = view.stage, c = $("changes");
    c.replaceChildren(`${s.order.length} nodes`);
    if (k > 0) {
      const add = (cls, text) => {
        const span = document.createElement("span");
        span.className = cls;
        span.textContent = " " + text;
        c.append(span);
      };
      if (s.fresh.size) add("plus", "+" + s.fresh.size);
      if (s.gone.length) add("minus", "\u2212" + s.gone.length);
      if (!s.fresh.size && !s.gone.length && !s.rewired.size) add("soft", "(nothing changed)");
    }
    layOut();
    fit(0.45);
    if (!first) { markAll(); Panel.show(view); Memory.draw(view); writeHash(); }
  }

  function foldAll(open) {
    view.stage.folds.forEach((f, i) => { if (f.count > 1) view.shown[i] = open ? "all" : f.first; });
    layOut();
    fit(0.45);
    markAll();
  }
  function toggleFold(i) {
    const f = view.stage.folds[i];
    if (!f || f.count === 1) return;
    view.shown[i] = view.shown[i] === "all" ? f.first : "all";
    layOut();
    markAll();
  }
  function leaf(i, step) {
    const f = view.stage.folds[i], at = view.shown[i] ?? f.first;
    view.shown[i] = f.first + (at - f.first + step + f.count) % f.count;
    layOut();
    markAll();
  }

  // "op:x", "dtype:x", "by:x", "%12", or a part of anything that is written on
  // a node; several words must all be there.
  function find(query) {
    const words = query.toLowerCase().split(/\s+/).filter(x => x), s = view.stage;
    if (!words.length) return [];
    const has = (n, word) => {
      const node = W.nodes[n], cut = word.indexOf(":");
      const key = cut > 0 ? word.slice(0, cut) : "", rest = word.slice(cut + 1);
      if (key === "op") return node.op.toLowerCase().includes(rest);
      if (key === "by") return node.by.toLowerCase().includes(rest);
      if (key === "dtype") return node.outs.some(o => o.dtype === rest) || colours.mainDtype(n) === rest;
      if (word[0] === "%") return node.outs.some(o => "%" + o.number === word);
      return [node.op, node.name, node.where, node.by, ...node.outs.map(o => o.type),
              ...node.outs.map(o => s.names.get(o.number) || "")]
        .some(t => t.toLowerCase().includes(word));
    };
    return s.order.filter(n => words.every(w => has(n, w)));
  }

  // ---- Search box ----

  let found = [], chosen = 0;
  function showResults() {
    found = find($("search").value);
    chosen = 0;
    view.hits = new Set(found.map(drawnFor));
    markAll();
    const list = $("results");
    list.hidden = !$("search").value.trim();
    const rows = found.slice(0, 100).map((n, i) => {
      const node = W.nodes[n], li = document.createElement("li");
      const name = document.createElement("span"), type = document.createElement("span");
      name.textContent = node.name || `%${node.number} ${node.op}`;
      type.textContent = node.outs[0].type;
      li.append(name, type);
      li.dataset.go = n;
      li.setAttribute("role", "option");
      li.setAttribute("aria-selected", String(i === 0));
      return li;
    });
    const note = document.createElement("li");
    note.className = "none";
    note.textContent = found.length === 0 ? "nothing found"
      : found.length > 100 ? `100 of ${found.length} shown` : `${found.length} found`;
    list.replaceChildren(note, ...rows);
  }
  function choose(step) {
    const rows = [...$("results").querySelectorAll("[data-go]")];
    if (!rows.length) return;
    rows[chosen]?.setAttribute("aria-selected", "false");
    chosen = (chosen + step + rows.length) % rows.length;
    rows[chosen].setAttribute("aria-selected", "true");
    rows[chosen].scrollIntoView({block: "nearest"});
  }
  const search = $("search");
  search.oninput = showResults;
  search.onfocus = () => { if (search.value) showResults(); };
  search.onkeydown = e => {
    if (e.key === "ArrowDown") choose(1);
    else if (e.key === "ArrowUp") choose(-1);
    else if (e.key === "Enter" && found.length) { $("results").hidden = true; select(found[chosen]); graph.focus(); }
    else if (e.key === "Escape") { search.value = ""; showResults(); graph.focus(); }
    else return;
    e.preventDefault();
  };
  document.addEventListener("pointerdown", e => { if (!e.target.closest(".find")) $("results").hidden = true; });

  // ---- Links, keys, pointer ----

  document.addEventListener("click", e => {
    const t = e.target.closest("[data-go],[data-stage],[data-find],[data-leaf],.title[data-fold]");
    if (!t || moved) return;
    if (t.tagName === "A") e.preventDefault();
    if (t.dataset.go) { $("results").hidden = true; select(+t.dataset.go); }
    else if (t.dataset.stage) setStage(+t.dataset.stage);
    else if (t.dataset.find) { search.value = t.dataset.find; showResults(); }
    else if (t.dataset.leaf) leaf(+t.dataset.fold, +t.dataset.leaf);
    else if (t.dataset.fold) toggleFold(+t.dataset.fold);
  });

  function step(by) {
    const order = view.stage.order.filter(n => W.nodes[n].drawn);
    const at = order.indexOf(view.selected);
    select(order[at < 0 ? 0 : Math.max(0, Math.min(order.length - 1, at + by))]);
  }
  function walk(up) {
    if (view.selected < 0) return step(0);
    const s = view.stage;
    const next = up ? s.inputs.get(view.selected)?.map(v => W.nodeOf.get(v)).filter(n => W.nodes[n].drawn)
      : W.nodes[view.selected].outs.flatMap(o => s.users.get(o.number) || []);
    if (next?.length) select(next[0]);
  }
  const dark = () => document.documentElement.dataset.theme === "dark" ||
    (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
  const actions = {
    ArrowUp: () => walk(true), ArrowDown: () => walk(false),
    ArrowLeft: () => step(-1), ArrowRight: () => step(1),
    "+": () => zoomTo(view.scale * 1.25), "=": () => zoomTo(view.scale * 1.25),
    "-": () => zoomTo(view.scale / 1.25), "0": () => fit(),
    "[": () => setStage(view.stage.index - 1), "]": () => setStage(view.stage.index + 1),
    f: () => foldAll(!view.stage.folds.some((_, i) => view.shown[i] === "all")),
    m: () => Memory.toggle(), "?": () => $("keys").showModal(),
    t: () => { document.documentElement.dataset.theme = dark() ? "light" : "dark"; },
    "/": () => search.focus(), Escape: () => select(-1),
  };
  document.addEventListener("keydown", e => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input,select,dialog,button,a")) return;
    if (!actions[e.key]) return;
    e.preventDefault();
    actions[e.key]();
  });
  $("before").onclick = actions["["];
  $("after").onclick = actions["]"];
  $("fold").onclick = actions.f;
  $("fit").onclick = actions["0"];
  $("theme").onclick = actions.t;
  $("help").onclick = actions["?"];

  const pointers = new Map();
  let moved = false;
  graph.addEventListener("pointerdown", e => {
    moved = false;
    pointers.set(e.pointerId, {x: e.clientX, y: e.clientY, x0: e.clientX, y0: e.clientY});
  });
  addEventListener("pointermove", e => {
    const p = pointers.get(e.pointerId);
    if (!p) return;
    if (Math.hypot(e.clientX - p.x0, e.clientY - p.y0) > 4) moved = true;
    if (pointers.size === 2) {
      const [other] = [...pointers].filter(([id]) => id !== e.pointerId).map(([, q]) => q);
      const before = Math.hypot(p.x - other.x, p.y - other.y);
      const now = Math.hypot(e.clientX - other.x, e.clientY - other.y), r = graph.getBoundingClientRect();
      if (before > 0) zoomTo(view.scale * now / before, other.x - r.left, other.y - r.top);
    } else if (moved) {
      view.x += e.clientX - p.x;
      view.y += e.clientY - p.y;
      paint();
    }
    Object.assign(p, {x: e.clientX, y: e.clientY});
  });
  for (const end of ["pointerup", "pointercancel"])
    addEventListener(end, e => pointers.delete(e.pointerId));
  graph.addEventListener("click", e => {
    if (moved) return;
    const node = e.target.closest(".node");
    if (node) select(+node.dataset.n, false);
    else if (!e.target.closest("[data-fold]")) select(-1);
  });
  graph.addEventListener("wheel", e => {
    e.preventDefault();
    const r = graph.getBoundingClientRect();
    zoomTo(view.scale * Math.exp(-e.deltaY * (e.deltaMode ? 0.05 : 0.0016)), e.clientX - r.left, e.clientY - r.top);
  }, {passive: false});
  $("lanes").addEventListener("click", e => { if (e.target.dataset.n) select(+e.target.dataset.n); });
  $("lanes").addEventListener("pointermove", e => {
    const n = e.target.dataset.n, tip = $("tip");
    tip.hidden = n === undefined;
    if (tip.hidden) return;
    const node = W.nodes[+n];
    tip.textContent = `${node.name || node.op} %${node.number}\n${node.outs[0].type}, ${bytesText(node.outs[0].bytes)}`;
    tip.style.left = Math.min(innerWidth - 260, e.clientX + 12) + "px";
    tip.style.top = e.clientY - 48 + "px";
  });
  $("lanes").addEventListener("pointerleave", () => { $("tip").hidden = true; });

  // ---- The address, so that one can point others at a node ----

  function writeHash() {
    const parts = ["pass=" + encodeURIComponent(view.stage.name)];
    if (view.selected >= 0) parts.push("node=" + W.nodes[view.selected].number);
    history.replaceState(null, "", "#" + parts.join("&"));
  }
  function readHash() {
    const hash = new URLSearchParams(location.hash.slice(1));
    const k = W.stages.lastIndexOf(hash.get("pass"));
    const n = W.nodeOf.get(+hash.get("node"));
    return {stage: k < 0 ? W.stages.length - 1 : k, node: hash.has("node") && n !== undefined ? n : -1};
  }

  // ---- Begin ----

  let kept = null;
  addEventListener("beforeprint", () => {
    printing = true;
    kept = {x: view.x, y: view.y, scale: view.scale};
    layOut();
    graph.setAttribute("viewBox", `-10 -10 ${view.scene.w + 20} ${view.scene.h + 20}`);
    Object.assign(view, {x: 0, y: 0, scale: 1});
    paint();
  });
  addEventListener("afterprint", () => {
    printing = false;
    graph.removeAttribute("viewBox");
    Object.assign(view, kept);
    layOut();
    markAll();
  });
  addEventListener("resize", () => { paint(); Memory.draw(view); });
  document.title = (W.title || "graph") + " \u2013 weft";
  $("title").textContent = W.title || "Graph";
  W.stages.forEach((name, k) => $("stage").add(new Option(k === 0 ? name : "after " + name, k)));
  $("stage").onchange = e => setStage(+e.target.value);
  const modes = [["op", "by op"], ["dtype", "by dtype"], ["size", "by size"]];
  if (W.plan && W.plan.sizes.length) modes.push(["bytes", "by bytes moved"], ["operations", "by operations"]);
  if (W.profiles.length) modes.push(["time", "by time"], ["limit", "by share of limit"]);
  for (const [value, label] of modes) $("colour").add(new Option(label, value));
  $("colour").onchange = e => { view.colourBy = e.target.value; restyle(); };
  const start = readHash();
  setStage(start.stage);
  select(start.node);
  return {W, view, select, setStage, foldAll, toggleFold, find, fit, boxAt, drawnFor};
})();
