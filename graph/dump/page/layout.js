"use strict";
// A layered layout: nodes in rows from top to bottom, edges downwards.
//
// layered(items, edges): items are {w, h}, edges [from, to] by index, items in
// an order in which most edges go up. Sets x, y (the upper left corner) of the
// items; returns {w, h, paths}, a path being the points of an edge: where it
// leaves, where it passes each row between, where it enters.
const layered = (() => {
  const ROW = 26, GAP = 22, DUMMY = 10, LONGEST = 60;

  function rankItems(n, edges) {
    const rank = new Array(n).fill(0), ins = Array.from({length: n}, () => []),
          outs = Array.from({length: n}, () => []);
    for (const [a, b] of edges) { ins[b].push(a); outs[a].push(b); }
    for (let i = 0; i < n; i++)
      for (const a of ins[i]) rank[i] = Math.max(rank[i], rank[a] + 1);
    // What has slack goes down to its first reader, with all that it alone
    // reads, unless it would make more edges longer than it makes shorter.
    const slides = [];
    for (let i = 0; i < n; i++)
      slides[i] = ins[i].every(a => outs[a].length === 1 && slides[a]);
    for (let i = n - 1; i >= 0; i--)
      if (outs[i].length && (slides[i] || outs[i].length > ins[i].length))
        rank[i] = Math.max(rank[i], Math.min(...outs[i].map(b => rank[b])) - 1);
    return rank;
  }

  // Crossings between two rows whose edges are sorted by their upper end.
  function crossings(pairs, width) {
    const tree = new Int32Array(width + 1);
    let count = 0, seen = 0;
    for (const b of pairs) {
      let less = 0;
      for (let i = b + 1; i > 0; i -= i & -i) less += tree[i];
      count += seen - less;
      for (let i = b + 1; i <= width; i += i & -i) tree[i]++;
      seen++;
    }
    return count;
  }

  function countAll(rows, place, down) {
    let total = 0;
    for (let r = 0; r + 1 < rows.length; r++) {
      const pairs = [];
      for (const v of rows[r])
        pairs.push(...down[v].map(b => place[b]).sort((a, b) => a - b));
      total += crossings(pairs, rows[r + 1].length);
    }
    return total;
  }

  // Sweeps down and up, each row sorted by the mean place of its neighbours.
  function orderRows(rows, up, down) {
    const place = [];
    const number = () => rows.forEach(row => row.forEach((v, i) => (place[v] = i)));
    number();
    let best = rows.map(r => r.slice()), least = countAll(rows, place, down);
    const small = rows.reduce((s, r) => s + r.length, 0) < 3000;
    for (let sweep = 0; sweep < (small ? 12 : 4) && least > 0; sweep++) {
      const downwards = sweep % 2 === 0, near = downwards ? up : down;
      for (let k = 1; k < rows.length; k++) {
        const row = rows[downwards ? k : rows.length - 1 - k];
        const mean = new Map(row.map((v, i) => [v, near[v].length
          ? near[v].reduce((s, u) => s + place[u], 0) / near[v].length : i]));
        row.sort((a, b) => mean.get(a) - mean.get(b) || place[a] - place[b]);
        row.forEach((v, i) => (place[v] = i));
      }
      const now = countAll(rows, place, down);
      if (now < least) { least = now; best = rows.map(r => r.slice()); }
    }
    best.forEach((row, r) => (rows[r] = row));
    number();
  }

  // The places nearest to those wanted that keep their order and distances:
  // isotonic regression by pooling neighbours that are in each other's way.
  function placeRow(row, want, weight, w) {
    const pools = [];
    let shift = 0;
    row.forEach((v, i) => {
      if (i > 0) shift += (w[row[i - 1]] + w[v]) / 2 + GAP;
      let pool = {sum: (want[v] - shift) * weight[v], weight: weight[v], n: 1};
      while (pools.length) {
        const last = pools[pools.length - 1];
        if (last.sum / last.weight <= pool.sum / pool.weight) break;
        pool = {sum: last.sum + pool.sum, weight: last.weight + pool.weight,
                n: last.n + pool.n};
        pools.pop();
      }
      pools.push(pool);
    });
    let i = 0;
    shift = 0;
    const x = [];
    for (const pool of pools)
      for (let k = 0; k < pool.n; k++, i++) {
        if (i > 0) shift += (w[row[i - 1]] + w[row[i]]) / 2 + GAP;
        x.push(pool.sum / pool.weight + shift);
      }
    return x;
  }

  function placeAll(rows, up, down, w, isDummy) {
    const x = [], weight = [];
    for (const row of rows) {
      let at = 0;
      for (const v of row) {
        x[v] = at + w[v] / 2;
        at += w[v] + GAP;
        weight[v] = isDummy[v] ? 4 : 1 + 0.1 * (up[v].length + down[v].length);
      }
      for (const v of row) x[v] -= at / 2;
    }
    const rounds = rows.length > 400 ? 6 : 16;
    for (let round = 0; round < rounds; round++) {
      const downwards = round % 2 === 0;
      for (let k = 0; k < rows.length; k++) {
        const row = rows[downwards ? k : rows.length - 1 - k], want = [];
        for (const v of row) {
          let near = downwards ? up[v] : down[v];
          if (round >= rounds - 4 || near.length === 0) near = up[v].concat(down[v]);
          want[v] = near.length ? near.reduce((s, u) => s + x[u], 0) / near.length : x[v];
        }
        placeRow(row, want, weight, w).forEach((at, i) => (x[row[i]] = at));
      }
    }
    return x;
  }

  // Long edges run straight where nothing is in their way.
  function straighten(chains, rows, x, w) {
    const rowOf = new Map(), placeOf = new Map();
    rows.forEach((row, r) => row.forEach((v, i) => { rowOf.set(v, r); placeOf.set(v, i); }));
    for (const chain of chains.filter(c => c.length > 1).sort((a, b) => b.length - a.length)) {
      let low = -Infinity, high = Infinity, sum = 0;
      for (const v of chain) {
        const row = rows[rowOf.get(v)], i = placeOf.get(v);
        if (i > 0) low = Math.max(low, x[row[i - 1]] + (w[row[i - 1]] + w[v]) / 2 + GAP / 2);
        if (i + 1 < row.length)
          high = Math.min(high, x[row[i + 1]] - (w[row[i + 1]] + w[v]) / 2 - GAP / 2);
        sum += x[v];
      }
      if (low > high) continue;
      const at = Math.min(high, Math.max(low, sum / chain.length));
      for (const v of chain) x[v] = at;
    }
  }

  return function (items, edges) {
    const n = items.length;
    // Edges that go back are laid out the other way round.
    const forward = edges.map(([a, b]) => (a < b ? [a, b] : [b, a]));
    const rank = rankItems(n, forward.filter(([a, b]) => a !== b));
    const w = items.map(t => t.w), isDummy = new Array(n).fill(false);
    const up = Array.from({length: n}, () => []), down = Array.from({length: n}, () => []);
    const rows = [], chains = [];
    const put = (v, r) => (rows[r] || (rows[r] = [])).push(v);
    for (let i = 0; i < n; i++) put(i, rank[i]);
    for (const [a, b] of forward) {
      const chain = [];
      let last = a;
      if (rank[b] - rank[a] <= LONGEST)
        for (let r = rank[a] + 1; r < rank[b]; r++) {
          const d = w.length;
          w.push(DUMMY); isDummy.push(true); up.push([last]); down.push([]);
          down[last].push(d);
          put(d, r);
          chain.push(d);
          last = d;
        }
      if (a !== b && (chain.length || rank[b] - rank[a] === 1)) {
        down[last].push(b);
        up[b].push(last);
      }
      chains.push(chain);
    }
    for (let r = 0; r < rows.length; r++) rows[r] = rows[r] || [];
    orderRows(rows, up, down);
    const x = placeAll(rows, up, down, w, isDummy);
    straighten(chains, rows, x, w);
    let left = Infinity, right = -Infinity, y = 0;
    x.forEach((at, v) => {
      left = Math.min(left, at - w[v] / 2);
      right = Math.max(right, at + w[v] / 2);
    });
    const top = [], bottom = [];
    rows.forEach((row, r) => {
      const h = Math.max(0, ...row.map(v => (v < n ? items[v].h : 0)));
      top[r] = y;
      bottom[r] = y + h;
      y += h + ROW + Math.min(30, 1.2 * row.length);
    });
    items.forEach((t, i) => {
      t.row = rank[i];
      t.x = x[i] - t.w / 2 - left;
      t.y = top[rank[i]] + (bottom[rank[i]] - top[rank[i]] - t.h) / 2;
    });
    const paths = edges.map(([a, b], e) => {
      const points = chains[e].map(d => ({x: x[d] - left, row: d}));
      let r = Math.min(rank[a], rank[b]);
      for (const p of points) { r++; p.top = top[r]; p.bottom = bottom[r]; }
      return a < b ? points : points.reverse();
    });
    return {w: n ? right - left : 0, h: n ? Math.max(...bottom) : 0, paths};
  };
})();
