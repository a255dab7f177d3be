// Facts → a page. In: the JSON of `fairlane.report.facts_of`. Out: elements, whose texts are set as text alone.
"use strict";

const COLOURS = 8; // as many variants are told apart by colour; of more, the best of those that are chosen
const CHART = { height: 270, left: 56, right: 14, top: 10, bottom: 38 };
const STEP = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// --- elements ---

function element(space, tag, attributes, children) {
  const made = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child != null)); // texts become text nodes
  return made;
}
const html = (tag, attributes, ...children) => element(null, tag, attributes, children);
const svg = (tag, attributes, ...children) => element("http://www.w3.org/2000/svg", tag, attributes, children);

function section(title, ...children) {
  const id = "s-" + title.toLowerCase().replace(/\W+/g, "-");
  return html("section", { "aria-labelledby": id }, html("h2", { id }, title), ...children);
}

function check(label, checked, change, swatch) {
  const box = html("input", { type: "checkbox", checked, onchange: () => change(box.checked) });
  return html("label", {}, box, swatch, label);
}

// --- numbers ---

const finite = (value) => typeof value === "number" && Number.isFinite(value);

function written(value) {
  if (value == null) return "";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e7) return String(value);
  return size !== 0 && (size < 1e-4 || size >= 1e7) ? value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e") : String(Number(value.toPrecision(4)));
}

function plural(n, word) {
  return n + " " + word + (n === 1 ? "" : "s");
}

function compare(a, b) {
  if (finite(a) && finite(b)) return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

// Missing values come last, whichever way the others are sorted; then what is no number, such as NaN.
function sorted(rows, value, descending) {
  const rank = (v) => (v == null || v === "" ? 2 : finite(v) || typeof v !== "string" ? 0 : v === "NaN" ? 1 : 0);
  return rows
    .map((row, i) => ({ row, i, value: value(row) }))
    .sort((a, b) => rank(a.value) - rank(b.value)
      || (rank(a.value) ? 0 : compare(a.value, b.value) * (descending ? -1 : 1)) || a.i - b.i)
    .map((one) => one.row);
}

// --- tables ---

// Columns are {name, value(row), text(row)?, long?, mark?(row)}; `draw(rows)` fills the body anew.
function table(caption, columns, tall) {
  const order = { column: null, descending: false };
  const body = html("tbody");
  const captioned = html("caption", {}, caption);
  const heads = columns.map((column) => html("th", { scope: "col", class: column.number ? "number" : null },
    html("button", { type: "button", onclick: () => sortBy(column) }, column.name)));
  let rows = [];

  function sortBy(column) {
    order.descending = order.column === column && !order.descending;
    order.column = column;
    heads.forEach((head, i) => {
      if (columns[i] !== column) head.removeAttribute("aria-sort");
      else head.setAttribute("aria-sort", order.descending ? "descending" : "ascending");
    });
    fill();
  }

  function fill() {
    const shown = order.column ? sorted(rows, order.column.value, order.descending) : rows;
    body.replaceChildren(...shown.map((row) => html("tr", {}, columns.map((column) => {
      const classes = [column.number && "number", column.long && "long", column.mark && column.mark(row)];
      const text = column.text ? column.text(row) : written(column.value(row));
      return html("td", { class: classes.filter(Boolean).join(" ") || null }, text);
    }))));
  }

  const node = html("div", { class: tall ? "scroll tall" : "scroll", role: "region", tabindex: 0, "aria-label": caption },
    html("table", {}, captioned, html("thead", {}, html("tr", {}, heads)), body));
  return { node, draw(given, words) { rows = given; captioned.textContent = words || caption; fill(); } };
}

// --- curves: what to draw ---

// Each is {variant, training, label, done, points: [{epoch, value, low?, high?}]}; a value that is no number is a gap.
function curvesOf(facts, state, metric) {
  const found = [];
  for (const [training, place] of [[false, metric.validation], [true, metric.training]]) {
    if (place == null || !(training ? state.training : state.validation)) continue;
    for (const variant of facts.variants) {
      if (!state.variants.has(variant.number)) continue;
      const trials = facts.trials.filter((trial) => trial.variant === variant.number);
      const what = training ? "training" : "validation";
      if (!state.mean) {
        for (const trial of trials) {
          const points = trial.epochs.map((epoch, i) => ({ epoch, value: trial.curves[place][i] }));
          const label = `${variant.label}, seed ${trial.seed}, ${what}`;
          found.push({ variant: variant.number, training, points, label, done: trial.state === "done" });
        }
        continue;
      }
      const done = trials.filter((trial) => trial.state === "done");
      const of = done.length ? done : trials;
      const label = `${variant.label}, ${of.length === 1 ? "1 seed" : `mean of ${of.length} seeds`}, ${what}`;
      found.push({ variant: variant.number, training, points: meanOf(of, place), label, done: done.length > 0 });
    }
  }
  return found.filter((curve) => curve.points.some((point) => finite(point.value)));
}

// A mean over whichever seeds are left would jump where one of them ends; so it is a gap there.
function meanOf(trials, place) {
  const at = new Map();
  for (const trial of trials) {
    trial.epochs.forEach((epoch, i) => {
      if (!at.has(epoch)) at.set(epoch, []);
      at.get(epoch).push(trial.curves[place][i]);
    });
  }
  return [...at.keys()].sort((a, b) => a - b).map((epoch) => {
    const values = at.get(epoch);
    if (values.length < trials.length || !values.every(finite)) return { epoch, value: null };
    const value = values.reduce((sum, one) => sum + one, 0) / values.length;
    return trials.length === 1 ? { epoch, value } : { epoch, value, low: Math.min(...values), high: Math.max(...values) };
  });
}

// --- curves: drawing ---

function ticks(low, high, about) {
  const rough = (high - low) / about || 1;
  const power = Math.pow(10, Math.floor(Math.log10(rough)));
  const step = [1, 2, 5, 10].map((n) => n * power).find((one) => one >= rough * 0.999);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) found.push(Number((i * step).toPrecision(12)));
  return found;
}

function logTicks(low, high) {
  const found = [];
  const few = Math.log10(high / low) < 3;
  const stride = Math.max(1, Math.ceil(Math.log10(high / low) / 6));
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    if (power % stride) continue;
    for (const n of few ? [1, 2, 5] : [1]) {
      const tick = Number(`${n}e${power}`);
      if (tick >= low && tick <= high) found.push(tick);
    }
  }
  return found;
}

// A scale of pixels, and its ticks. Logarithmic only where all values are positive.
function scaleOf(values, from, to, log, about) {
  let low = Infinity, high = -Infinity;
  for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
  const useLog = log && low > 0;
  if (low === high) { const pad = Math.abs(low) / 10 || 0.5; low -= pad; high += pad; }
  const f = useLog ? Math.log10 : (v) => v;
  const span = f(high) - f(low);
  const pixel = (value) => from + ((f(value) - f(low)) / span) * (to - from);
  const shows = (value) => value >= low && value <= high;
  return { pixel, shows, ticks: useLog ? logTicks(low, high) : ticks(low, high, about) };
}

function pathOf(points, x, y, value) {
  let path = "", pen = "M";
  for (const point of points) {
    if (!finite(value(point))) { pen = "M"; continue; }
    path += pen + x(point.epoch).toFixed(1) + " " + y(value(point)).toFixed(1);
    pen = "L";
  }
  return path;
}

// The stretches between gaps.
function stretches(points) {
  const found = [];
  let run = [];
  for (const point of points) {
    if (finite(point.low)) run.push(point);
    else if (run.length) { found.push(run); run = []; }
  }
  return run.length ? [...found, run] : found;
}

function bandOf(points, x, y) {
  const at = (value) => (point) => x(point.epoch).toFixed(1) + " " + y(value(point)).toFixed(1);
  return stretches(points).filter((run) => run.length > 1).map((run) =>
    "M" + run.map(at((p) => p.high)).join("L") + "L" + [...run].reverse().map(at((p) => p.low)).join("L") + "Z").join("");
}

function drawing(curves, width, log, colour, best) {
  const { height, left, right, top, bottom } = CHART;
  const pointsOf = (some) => some.flatMap((curve) => curve.points.filter((point) => finite(point.value)));
  const x = scaleOf(pointsOf(curves).map((p) => p.epoch), left, width - right, false, Math.max(3, width / 90));
  // What diverged may be larger than all else by many powers of ten; it is cut off rather than the others made flat.
  const done = curves.filter((curve) => curve.done);
  const values = pointsOf(done.length ? done : curves).flatMap((p) => (finite(p.low) ? [p.value, p.low, p.high] : [p.value]));
  const y = scaleOf(values, height - bottom, top, log, 5);
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  for (const tick of y.ticks) {
    const at = y.pixel(tick);
    root.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: at, y2: at }),
      svg("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, written(tick)));
  }
  for (const tick of x.ticks.filter(Number.isInteger)) {
    root.append(svg("text", { x: x.pixel(tick), y: height - bottom + 17, "text-anchor": "middle" }, String(tick)));
  }
  root.append(svg("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, "epoch, from 0"));
  const inside = svg("g", {});
  // Curves end at the axes; an id is the document's, so each drawing has its own.
  const id = `axes-${drawing.count = (drawing.count || 0) + 1}`;
  const box = { x: left - 6, y: top - 6, width: width - left - right + 12, height: height - top - bottom + 12 };
  root.append(svg("clipPath", { id }, svg("rect", box)), inside);
  inside.setAttribute("clip-path", `url(#${id})`);
  const validated = curves.some((curve) => !curve.training);
  for (const curve of curves.filter((one) => !(one.training && validated))) { // two bands each would hide one another
    const band = bandOf(curve.points, x.pixel, y.pixel);
    if (band) inside.append(svg("path", { class: `band ${colour(curve.variant)}`, d: band }));
  }
  for (const curve of [...curves].sort((a, b) => (a.variant === best) - (b.variant === best))) {
    const kind = (curve.training ? " training" : "") + (curve.variant === best ? " best" : "");
    curve.node = svg("path", { class: `curve ${colour(curve.variant)}${kind}`, d: pathOf(curve.points, x.pixel, y.pixel, (p) => p.value) });
    inside.append(curve.node);
    const alone = curve.points.filter((p) => finite(p.value));
    if (alone.length === 1) { // a path of one point is nothing to see
      inside.append(svg("circle", { class: `dot ${colour(curve.variant)}`, r: 3, cx: x.pixel(alone[0].epoch), cy: y.pixel(alone[0].value) }));
    }
  }
  const cut = pointsOf(curves).some((point) => !y.shows(point.value));
  return { root, x: x.pixel, y: y.pixel, shows: (point) => finite(point.value) && y.shows(point.value), cut };
}

// One metric's curves, with what is under the pointer, or chosen with the arrow keys, in words below.
function panel(facts, state, metric, colour, best) {
  const said = html("output", { "aria-live": "polite" });
  const chart = html("div", {
    class: "chart", tabindex: 0, role: "group",
    "aria-label": `Curves of ${metric.name}. Left and right arrow keys move through epochs, up and down through curves.`,
  });
  const note = html("p", { class: "faint" });
  const node = html("figure", { class: "panel" }, html("h3", {}, metric.name), chart, note, said);
  let curves = [], drawn = null, mark = null, at = null;

  function draw() {
    curves = curvesOf(facts, state, metric);
    [at, mark] = [null, null];
    chart.classList.remove("chosen");
    said.textContent = "";
    note.textContent = "";
    drawn = curves.length ? drawing(curves, Math.max(260, chart.clientWidth || 600), state.log, colour, best()) : null;
    if (drawn && drawn.cut) note.textContent = "Larger or smaller values, of trials that did not finish, are cut off.";
    chart.replaceChildren(drawn ? drawn.root : html("p", { class: "faint" }, "Nothing to draw: choose a variant that has values."));
  }

  function choose(curve, point) {
    at = { curve, point };
    curves.forEach((one) => one.node.classList.toggle("now", one === curve));
    chart.classList.add("chosen");
    if (mark) mark.remove();
    mark = svg("circle", { class: `mark ${colour(curve.variant)}`, r: 5, cx: drawn.x(point.epoch), cy: drawn.y(point.value) });
    drawn.root.append(mark);
    const range = finite(point.low) ? ` (seeds from ${written(point.low)} to ${written(point.high)})` : "";
    said.textContent = `Epoch ${point.epoch}: ${written(point.value)}${range}. ${curve.label}`;
  }

  function nearest(event) {
    if (!drawn) return;
    const box = drawn.root.getBoundingClientRect();
    const scale = drawn.root.viewBox.baseVal.width / box.width;
    const [px, py] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    let closest = Infinity, found = null;
    for (const curve of curves) {
      for (const point of curve.points) {
        if (!drawn.shows(point)) continue;
        const far = Math.hypot((drawn.x(point.epoch) - px) * 2, drawn.y(point.value) - py); // the epoch first
        if (far < closest) [closest, found] = [far, [curve, point]];
      }
    }
    if (found) choose(...found);
  }

  function step(event) {
    if (!drawn || !(event.key in STEP)) return;
    event.preventDefault();
    const [along, across] = STEP[event.key];
    const visible = curves.filter((curve) => curve.points.some(drawn.shows));
    if (!at) {
      const curve = visible[0];
      choose(curve, curve.points.find(drawn.shows));
      return;
    }
    const curve = visible[(visible.indexOf(at.curve) + across + visible.length) % visible.length];
    const points = curve.points.filter(drawn.shows);
    const near = points.reduce((a, b) => (Math.abs(b.epoch - at.point.epoch) < Math.abs(a.epoch - at.point.epoch) ? b : a));
    choose(curve, points[Math.min(points.length - 1, Math.max(0, points.indexOf(near) + along))]);
  }

  function leave() {
    if (drawn) draw();
  }

  chart.addEventListener("pointermove", nearest);
  chart.addEventListener("pointerdown", nearest);
  chart.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") leave(); });
  chart.addEventListener("keydown", step);
  return { node, draw };
}

// --- the parts of the page ---

// What is shown, and the colour of each variant: by its place where they are few, else the best alone has one.
function stateOf(facts) {
  const judged = facts.metrics.find((m) => [m.name, `val_${m.name}`].includes(facts.verdict.metric));
  const first = [judged, ...facts.metrics].filter((m, i, all) => m && all.indexOf(m) === i).slice(0, 2);
  const replicated = facts.variants.some((v) => facts.trials.filter((t) => t.variant === v.number && t.state === "done").length > 1);
  return {
    variants: new Set(facts.variants.map((variant) => variant.number)),
    metrics: new Set(facts.metrics.filter((m) => first.includes(m)).map((m) => m.name)),
    mean: replicated, training: true, validation: true, log: judged ? spread(facts, judged) : false, states: "",
  };
}

// Whether a linear scale would hide all but the largest values.
function spread(facts, metric) {
  const places = [metric.training, metric.validation].filter((place) => place != null);
  const values = facts.trials.filter((trial) => trial.state === "done").flatMap((trial) => places.flatMap((place) => trial.curves[place]))
    .filter(finite).sort((a, b) => a - b);
  return values.length > 0 && values[0] > 0 && values[values.length - 1] > 100 * values[values.length >> 1];
}

function header(facts) {
  const notes = facts.verdict.notes.map((note) => html("li", {}, note));
  const unusual = facts.unusual.map((text) => html("li", {}, text));
  return [
    html("header", {}, html("h1", {}, facts.title), html("p", { class: "faint" }, facts.counts),
      html("div", { class: "verdict" }, html("p", { id: "verdict" }, facts.verdict.sentence), notes.length ? html("ul", {}, notes) : null)),
    unusual.length ? section("What was unusual", html("div", { class: "unusual" }, html("ul", {}, unusual))) : null,
  ];
}

function variantFilter(facts, state, order, colour, changed) {
  const items = order.map((variant) => {
    const swatch = html("span", { class: "swatch", "aria-hidden": "true" });
    const label = check(variant.label, true, (on) => { state.variants[on ? "add" : "delete"](variant.number); changed(); }, swatch);
    return { variant, swatch, box: label.querySelector("input"), node: html("li", {}, label) };
  });
  const choose = (wanted) => () => {
    state.variants = new Set(facts.variants.map((v) => v.number).filter(wanted));
    items.forEach((item) => { item.box.checked = state.variants.has(item.variant.number); });
    changed();
  };
  const top = facts.compared.slice(0, 5).map((row) => row.variant);
  const search = html("input", {
    type: "search", placeholder: "Find a variant", "aria-label": "Find a variant",
    oninput: () => items.forEach((item) => { item.node.hidden = !item.variant.label.toLowerCase().includes(search.value.toLowerCase()); }),
  });
  const node = html("fieldset", { id: "variants" }, html("legend", {}, "Variants"),
    html("div", { class: "row screen" },
      html("button", { type: "button", onclick: choose(() => true) }, "All"),
      html("button", { type: "button", onclick: choose(() => false) }, "None"),
      top.length && items.length > 5 ? html("button", { type: "button", onclick: choose((n) => top.includes(n)) }, "Best 5") : null),
    items.length > 12 ? html("div", { class: "screen" }, search) : null,
    html("ul", { class: "choices" }, items.map((item) => item.node)));
  return { node, draw: () => items.forEach((item) => { item.swatch.setAttribute("class", `swatch ${colour(item.variant.number)}`); }) };
}

function metricFilter(facts, state, changed) {
  const metrics = facts.metrics.map((metric) => html("li", {},
    check(metric.name, state.metrics.has(metric.name), (on) => { state.metrics[on ? "add" : "delete"](metric.name); changed(); })));
  const option = (name, label) => check(label, state[name], (on) => { state[name] = on; changed(); });
  return [
    html("fieldset", { id: "metrics" }, html("legend", {}, "Metrics"), html("ul", { class: "choices" }, metrics)),
    html("fieldset", { id: "options" }, html("legend", {}, "Show"), html("div", { class: "row" },
      option("validation", "validation (solid)"), option("training", "training (dashed)"),
      option("mean", "mean of the finished seeds, their range a band"), option("log", "logarithmic"))),
  ];
}

function curves(facts, state, colour, best, filter, changed) {
  const panels = new Map(facts.metrics.map((metric) => [metric.name, panel(facts, state, metric, colour, best)]));
  const holder = html("div", { class: "panels" });
  function draw() {
    const shown = facts.metrics.filter((metric) => state.metrics.has(metric.name)).map((metric) => panels.get(metric.name));
    holder.replaceChildren(...shown.map((one) => one.node));
    shown.forEach((one) => one.draw());
  }
  const nothing = facts.metrics.length ? null : html("p", {}, "No epoch was logged.");
  const node = section("Curves", html("div", { class: "filters" }, filter.node, facts.metrics.length ? metricFilter(facts, state, changed) : null), nothing, holder);
  return { node, draw };
}

function variantTable(facts, state) {
  const names = new Map(facts.variants.map((variant) => [variant.number, variant]));
  const interval = (row, name) => (row[name + "low"] == null ? "" : `${written(row[name + "low"])} to ${written(row[name + "high"])}`);
  const made = table(`Variants by ${facts.verdict.metric} at the end, the best first`, [
    { name: "variant", value: (row) => row.variant, number: true },
    ...(facts.hyperparameters.map((name, i) => ({ name, value: (row) => names.get(row.variant).hyperparameters[i] }))),
    { name: "seeds", value: (row) => row.seeds, number: true },
    { name: "mean", value: (row) => row.mean, number: true },
    { name: "interval", value: (row) => row.low, text: (row) => interval(row, ""), number: true },
    { name: "difference", value: (row) => row.difference, number: true },
    { name: "its interval", value: (row) => row.difference_low, text: (row) => (row === facts.compared[0] ? "" : interval(row, "difference_")), number: true },
    { name: "p-value, corrected", value: (row) => row.p_value, number: true },
    { name: "not counted", value: (row) => row.failed, number: true },
  ], true);
  const draw = () => made.draw(facts.compared.filter((row) => state.variants.has(row.variant)));
  return { node: facts.compared.length ? section("Variants", made.node) : null, draw };
}

function trialTable(facts, state, changed) {
  const names = new Map(facts.variants.map((variant) => [variant.number, variant]));
  const lasts = facts.metrics.flatMap((metric) => [[metric.name, metric.training], [`val_${metric.name}`, metric.validation]])
    .filter(([, place]) => place != null)
    .map(([name, place]) => ({ name, number: true, value: (trial) => trial.curves[place].findLast((value) => value != null) }));
  const optional = [
    { name: "loop", value: (trial) => trial.loop },
    { name: "not on lanes because", value: (trial) => trial.reason, long: true },
    { name: "error", value: (trial) => trial.error, long: true },
  ].filter((column) => facts.trials.some((trial) => column.value(trial)));
  const made = table("Trials", [
    { name: "trial", value: (trial) => trial.number, number: true },
    ...facts.hyperparameters.map((name, i) => ({ name, value: (trial) => names.get(trial.variant).hyperparameters[i] })),
    { name: "seed", value: (trial) => trial.seed, number: true },
    { name: "state", value: (trial) => trial.state, mark: (trial) => `state-${trial.state}` },
    { name: "epochs done", value: (trial) => trial.epochs.length, number: true },
    ...lasts,
    ...facts.tests.map((name, i) => ({ name, value: (trial) => trial.tests[i], number: true })),
    { name: "seconds", value: (trial) => trial.seconds, number: true },
    { name: "engine", value: (trial) => trial.engine },
    ...optional,
  ], true);
  const states = [...new Set(facts.trials.map((trial) => trial.state))];
  const select = html("select", { id: "state", onchange: () => { state.states = select.value; changed(); } },
    html("option", { value: "" }, "all states"), states.map((name) => html("option", { value: name }, name)));
  const draw = () => {
    const shown = facts.trials.filter((t) => state.variants.has(t.variant) && (!state.states || t.state === state.states));
    made.draw(shown, `${shown.length} of ${plural(facts.trials.length, "trial")}, with the last value of each log`);
  };
  const filter = states.length > 1 ? html("p", { class: "screen" }, html("label", {}, "Show ", select)) : null;
  return { node: section("Trials", filter, made.node), draw };
}

function failures(facts) {
  const names = new Map(facts.variants.map((variant) => [variant.number, variant]));
  const label = (trial) => `Trial ${trial.number} (${names.get(trial.variant).label}, seed ${trial.seed})`;
  const byNumber = new Map(facts.trials.map((trial) => [trial.number, trial]));
  if (!facts.errors.length) return null;
  return section("Errors", facts.errors.map((error) => html("details", {},
    html("summary", {}, `${plural(error.trials.length, "trial")} ${error.state}: ${error.text}`),
    html("ul", {}, error.trials.map((number) => html("li", {}, label(byNumber.get(number))))),
    error.traceback ? html("pre", { tabindex: 0 }, error.traceback) : null)));
}

function asked(facts) {
  return section("What was asked",
    html("dl", {}, facts.asked.map(([name, text]) => [html("dt", {}, name), html("dd", {}, text)])),
    facts.sources.map(([name, text]) => html("details", {}, html("summary", {}, name), html("pre", { tabindex: 0 }, text))));
}

// --- all together ---

function render(root, facts) {
  const state = stateOf(facts);
  const first = facts.compared.length ? facts.compared[0].variant : null;
  const ranks = facts.compared.map((row) => row.variant);
  const few = facts.variants.length <= COLOURS;
  const order = few || !ranks.length ? facts.variants : ranks.map((number) => facts.variants.find((v) => v.number === number));
  function colour(number) {
    const place = order.filter((v) => few || state.variants.has(v.number)).findIndex((v) => v.number === number);
    return place >= 0 && place < COLOURS && state.variants.has(number) ? `c${place}` : "";
  }
  const changed = () => parts.forEach((part) => part.draw());
  const filter = variantFilter(facts, state, order, colour, changed);
  const drawnCurves = curves(facts, state, colour, () => first, filter, changed);
  const parts = [filter, drawnCurves, variantTable(facts, state), trialTable(facts, state, changed)];
  root.replaceChildren(...[
    ...header(facts),
    html("main", {}, parts.slice(1).map((part) => part.node), failures(facts), asked(facts)),
    html("footer", { class: "faint" }, `Written by Fairlane ${facts.version}, ${facts.written}.`),
  ].filter(Boolean));
  changed();
  let width = root.clientWidth;
  addEventListener("resize", () => { // a phone's keyboard and address bar change the height alone
    if (root.clientWidth !== width) { width = root.clientWidth; drawnCurves.draw(); }
  });
}

render(document.getElementById("report"), JSON.parse(document.getElementById("facts").textContent));
