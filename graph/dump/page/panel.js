"use strict";
// The panel at the side: the model, or the node that is selected.
const Panel = (() => {
  const panel = document.getElementById("panel");
  const el = (tag, attrs, ...children) => {
    const e = document.createElement(tag);
    for (const k in attrs) e.setAttribute(k, attrs[k]);
    e.append(...children.filter(c => c != null));
    return e;
  };
  const row = (...cells) => el("tr", {}, ...cells.map((c, i) =>
    c instanceof Element && (c.tagName === "TD" || c.tagName === "TH") ? c
      : el(i === 0 ? "th" : "td", {}, c)));
  const num = c => el("td", {class: "n"}, c);
  const head = text => el("h3", {}, text);
  const table = rows => el("table", {}, ...rows.filter(r => r));
  const nodeLink = n => {
    const node = W.nodes[n];
    const a = el("a", {href: "#", "data-go": n}, node.name || `%${node.number} ${node.op}`);
    return a;
  };
  const valueLink = v => nodeLink(W.nodeOf.get(v));

  function meter(parts) {
    const total = parts.reduce((s, p) => s + p[1], 0) || 1;
    const bar = el("div", {class: "meter"});
    for (const [, size, colour] of parts) {
      const i = el("i", {});
      i.style.cssText = `width:${100 * size / total}%;background:${colour}`;
      bar.append(i);
    }
    return bar;
  }

  function modelPart(view) {
    const out = [el("h2", {}, W.title || "Graph")];
    if (W.facts.length) out.push(table(W.facts.map(([k, v]) => row(k, v))));
    if (W.symbols.length)
      out.push(el("p", {class: "soft"}, "Symbols: " +
        W.symbols.map(([n, b]) => `${n} \u2264 ${b}`).join(", ")));
    if (W.plan) {
      const p = W.plan;
      out.push(head("Memory"), meter([
        ["weights", p.weights, "light-dark(#4a6fa5,#86aee0)"],
        ["state", p.states, "light-dark(#0f8577,#4fc4b5)"],
        ["arena", p.arena, "light-dark(#c9861a,#e0b060)"],
        ["scratch", p.scratch, "light-dark(#8b96a1,#77828d)"]]),
        table([["Weights, mapped", p.weights], ["State (KV cache)", p.states],
               ["Arena", p.arena], ["Scratch", p.scratch]]
          .map(([k, b]) => row(k, num(bytesText(b))))));
    }
    out.push(head("Passes"), table([
      el("tr", {}, ...["after", "nodes", "new", "gone"].map((t, i) =>
        el("th", i ? {class: "n"} : {}, t))),
      ...W.stages.map((name, k) => {
        const s = W.stage(k);
        const r = row(el("td", {}, el("a", {href: "#", "data-stage": k}, name)),
          num(String(s.order.length)),
          num(el("span", {class: "plus"}, s.fresh.size ? "+" + s.fresh.size : "")),
          num(el("span", {class: "minus"}, s.gone.length ? "\u2212" + s.gone.length : "")));
        if (k === view.stage.index) r.className = "here";
        return r;
      })]));
    if (W.rules.length) out.push(head("Rules"), table([
      el("tr", {}, ...["rule", "matched", "of"].map((t, i) => el("th", i ? {class: "n"} : {}, t))),
      ...W.rules.filter(r => r.matched.length + r.missed.length > 0).map(r =>
        row(el("td", {}, r.name), num(String(r.matched.length)),
            num(String(r.matched.length + r.missed.length))))]));
    out.push(...profileParts(), head("Ops"), opsTable(view.stage));
    return out;
  }

  function opsTable(stage) {
    const counts = new Map();
    for (const n of stage.order) {
      const op = W.nodes[n].op;
      counts.set(op, (counts.get(op) || 0) + 1);
    }
    return table([...counts].sort((a, b) => b[1] - a[1]).map(([op, count]) =>
      row(el("td", {}, el("a", {href: "#", "data-find": "op:" + op}, op)), num(String(count)))));
  }

  function profileParts() {
    return W.profiles.flatMap(p => {
      const kernels = new Map();
      for (const [n, t] of p.times) {
        const kernel = W.steps.get(n).kernels[0] || W.nodes[n].op + " (reference)";
        kernels.set(kernel, (kernels.get(kernel) || 0) + t.seconds);
      }
      return [head("Time: " + p.name), el("p", {class: "soft"}, timeText(p.seconds) + " a step"),
        table([...kernels].sort((a, b) => b[1] - a[1]).slice(0, 8).map(([k, s]) =>
          row(el("td", {}, k), num(timeText(s)), num(percent(s / p.seconds)))))];
    });
  }

  // Ranges of the passes in which the node is there.
  function lifeText(n) {
    const names = W.stages.filter((_, k) => W.stage(k).inputs.has(n));
    if (names.length === W.stages.length) return "in every pass";
    return names.length === 1 ? "after " + names[0]
      : names[0] + " to " + names[names.length - 1];
  }

  function memoryText(v) {
    const alias = W.aliases.get(v), own = W.buffers.get(alias ? alias.of : v);
    const parts = [];
    if (alias) parts.push(alias.view ? "a view of " : "in the memory of ", valueLink(alias.of));
    if (own) parts.push(el("div", {}, `${bytesText(own.bytes)} at ${own.offset} of the arena, ` +
      `steps ${own.first} to ${own.last}`));
    return parts.length ? el("span", {}, ...parts) : null;
  }

  function workParts(step) {
    const p = W.plan, out = [];
    if (!step.works.length) return out;
    out.push(head("Work"), table([
      el("tr", {}, el("th", {}, ""), ...p.sizes.map(s => el("th", {class: "n"}, s))),
      ...[["weights", w => bytesText(w.weights)], ["state", w => bytesText(w.states)],
          ["activations", w => bytesText(w.activations)],
          ["operations", w => w.operations ? shortNumber(w.operations) + " " + w.arithmetic : "\u2013"],
          ["per byte", w => w.operations ? (w.operations / w.bytes).toFixed(1) : "\u2013"],
          ...(step.works[0].least ? [["at best", w => timeText(w.least)]] : [])]
        .map(([name, f]) => row(name, ...step.works.map(w => num(f(w)))))]));
    return out;
  }

  function kernelParts(step) {
    const by = new Map();
    step.kernels.forEach((k, i) => {
      const name = k || "none: slow scalar reference";
      by.has(name) ? by.get(name).push(W.plan.targets[i]) : by.set(name, [W.plan.targets[i]]);
    });
    return [head("Kernel"), table([...by].map(([k, targets]) => row(
      el("td", {}, el("code", k.startsWith("none") ? {class: "warn"} : {}, k)),
      el("td", {class: "soft"}, targets.length === W.plan.targets.length && targets.length > 1
        ? `on all ${targets.length} targets` : targets.join(", ")))))];
  }

  function timeParts(n) {
    const rows = W.profiles.filter(p => p.times.has(n)).map(p => {
      const t = p.times.get(n);
      return row(p.name, num(timeText(t.seconds)), num(percent(t.seconds / p.seconds)),
                 num(t.limit ? percent(t.limit) : "\u2013"));
    });
    return rows.length ? [head("Time"), table([el("tr", {}, ...["", "a step", "of all", "of limit"]
      .map((t, i) => el("th", i ? {class: "n"} : {}, t))), ...rows])] : [];
  }

  function nodePart(view) {
    const n = view.selected, node = W.nodes[n], s = view.stage, here = s.inputs.has(n);
    const out = [el("h2", {}, node.name || node.op),
      el("p", {}, el("span", {class: "tag"}, "%" + node.number),
        node.name || node.kind !== "compute" ? el("span", {class: "tag"}, node.kind) : null,
        s.fresh.has(n) ? el("span", {class: "tag new"}, "new in " + s.name) : null,
        s.rewired.has(n) ? el("span", {class: "tag wired"}, "reads other values") : null,
        here ? null : el("span", {class: "tag wired"}, "not there after " + s.name))];
    out.push(head("Origin"), table([
      node.where ? row("line", el("code", {}, node.where)) : null,
      node.by ? row("made by", el("code", {}, node.by)) : null,
      s.layer.get(n) >= 0 ? row("layer", W.layers[s.layer.get(n)]) : null,
      row("there", lifeText(n))]));
    if (node.attrs.length) out.push(head("Attributes"), table(node.attrs.map(([k, v]) =>
      row(k, el("code", {}, v)))));
    const inputs = s.inputs.get(n) || [];
    if (inputs.length) out.push(head("Reads"), table(inputs.map(v =>
      row(el("td", {}, valueLink(v)), num(el("code", {}, W.typeOf.get(v).type))))));
    out.push(head("Gives"));
    for (const o of node.outs) {
      const memory = memoryText(o.number), users = [...new Set(s.users.get(o.number) || [])];
      out.push(table([
        row("%" + o.number, el("code", {}, o.type)),
        s.names.get(o.number) ? row("name", s.names.get(o.number)) : null,
        row("size", bytesText(o.bytes) + (/\[[^\]]*[A-Za-z]/.test(o.type) ? " at most" : "")),
        memory && row("memory", memory),
        users.length ? row("read by", el("span", {}, ...users.slice(0, 12).flatMap((u, i) =>
          i ? [", ", nodeLink(u)] : [nodeLink(u)]), users.length > 12 ? ` and ${users.length - 12} more` : "")) : null,
        ...s.outputs.filter(x => x.value === o.number).map(x => row("output", x.name))]));
    }
    const step = W.steps.get(n);
    if (step) out.push(...kernelParts(step), ...workParts(step), ...timeParts(n),
      el("p", {class: "soft"}, `step ${step.step} of ${W.steps.size}`));
    const misses = W.rules.flatMap(r => r.missed.filter(m => W.nodeOf.get(m.value) === n)
      .map(m => row(r.name, m.reason)));
    if (misses.length) out.push(head("Rules that did not match here"), table(misses));
    return out;
  }

  return {show: view => {
    panel.replaceChildren(...(view.selected >= 0 ? nodePart(view) : modelPart(view)));
    panel.scrollTop = 0;
  }};
})();
