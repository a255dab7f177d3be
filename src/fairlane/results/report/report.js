// Facts → the page of a study. In: the JSON of `fairlane.report.facts_of`, once, or again whenever there is news. Out: elements.

const COLOURS = 8; // as many variants are told apart by colour; of more, the best of those that are chosen
const CHART = { height: 270, left: 56, right: 14, top: 10, bottom: 38 };
const STEP = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// --- curves: what to draw ---

// Each is {key, variant, training, thin, label, sound, points: [{epoch, value, low?, high?}]}; a value that is no number is a
// gap. `sound` is what did not fail, diverge or stop.
function curvesOf(view, metric) {
  const found = [];
  for (const [training, place] of [[false, metric.validation], [true, metric.training]]) {
    if (place == null || !(training ? view.choice.training : view.choice.validation)) continue;
    for (const variant of view.facts.variants) {
      if (!view.shows(variant.number)) continue;
      const trials = view.trialsOf.get(variant.number);
      if (view.mean()) found.push(...averaged(variant, trials, place, training));
      else found.push(...trials.map((trial) => curveOf(variant, trial, place, training)));
    }
  }
  return found.filter((curve) => curve.points.some((point) => finite(point.value)));
}

function curveOf(variant, trial, place, training) {
  return {
    key: `${training} trial ${trial.number}`, variant: variant.number, training, thin: false,
    label: `${variant.label}, seed ${trial.seed}, ${training ? "training" : "validation"}`,
    sound: trial.state === "done" || trial.state === "running",
    points: trial.epochs.map((epoch, i) => ({ epoch, value: trial.curves[place][i] })),
  };
}

// The mean over those that count. Beside it, thin: those in training that do not count yet, and seeds that are too few for a band.
function averaged(variant, trials, place, training) {
  const counted = trials.filter((trial) => variant.counted.includes(trial.number));
  const { means } = variant;
  const beside = trials.filter((trial) => (means && !means.low && counted.includes(trial)) || (trial.state === "running" && !counted.includes(trial)));
  const thin = beside.map((trial) => ({ ...curveOf(variant, trial, place, training), thin: true }));
  if (!counted.length) return thin;
  const mean = {
    ...curveOf(variant, counted[0], place, training), key: `${training} variant ${variant.number}`,
    label: `${variant.label}, ${counted.length === 1 ? "1 seed" : `mean of ${counted.length} seeds`}, ${training ? "training" : "validation"}`,
  };
  if (means) {
    mean.points = means.epochs.map((epoch, i) => ({
      epoch, value: means.values[place][i], low: means.low && means.low[place][i], high: means.high && means.high[place][i],
    }));
  }
  return [mean, ...thin];
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
  const pixel = (value) => (useLog && value <= 0 ? 2 * from - to : from + ((f(value) - f(low)) / span) * (to - from)); // far below
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
  // What diverged may be larger than all else by many powers of ten, and intervals of few seeds are wide; both are cut off
  // rather than the others made flat.
  const sound = curves.filter((curve) => curve.sound);
  const y = scaleOf(pointsOf(sound.length ? sound : curves).map((p) => p.value), height - bottom, top, log, 5);
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
  const few = new Set(curves.map((curve) => curve.variant)).size <= COLOURS;
  for (const curve of curves.filter((one) => few && !(one.training && validated))) { // more would hide one another
    const band = bandOf(curve.points, x.pixel, y.pixel);
    if (band) inside.append(svg("path", { class: `band ${colour(curve.variant)}`, d: band }));
  }
  const rank = (curve) => (colour(curve.variant) ? 1 : 0) + (curve.variant === best ? 1 : 0);
  for (const curve of [...curves].sort((a, b) => rank(a) - rank(b))) { // the best is on top
    const kind = (curve.training ? " training" : "") + (curve.variant === best ? " best" : "")
      + (curve.thin ? " thin" : "") + (colour(curve.variant) ? "" : " pale");
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
function panel(view, name) {
  const said = html("output", { "aria-live": "polite" });
  const chart = html("div", {
    class: "chart", tabindex: 0, role: "group",
    "aria-label": `Curves of ${name}. Left and right arrow keys move through epochs, up and down through curves.`,
  });
  const note = html("p", { class: "faint" });
  const node = html("figure", { class: "panel" }, html("h3", {}, name), chart, note, said);
  let curves = [], drawn = null, mark = null, at = null;

  function draw() {
    curves = curvesOf(view, view.facts.metrics.find((metric) => metric.name === name));
    drawn = curves.length ? drawing(curves, Math.max(260, chart.clientWidth || 600), view.log(), view.colour, view.best()) : null;
    say(note, drawn && drawn.cut ? "Larger or smaller values, of trials that did not finish, are cut off." : "");
    chart.replaceChildren(drawn ? drawn.root : html("p", { class: "faint" }, "Nothing to draw: choose a variant that has values."));
    const curve = at && curves.find((one) => one.key === at.curve.key);
    const point = curve && curve.points.find((one) => one.epoch === at.point.epoch && drawn.shows(one));
    if (point) choose(curve, point);
    else forget();
  }

  function forget() {
    [at, mark] = [null, null];
    chart.classList.remove("chosen");
    say(said, "");
  }

  function choose(curve, point) {
    at = { curve, point };
    curves.forEach((one) => one.node.classList.toggle("now", one === curve));
    chart.classList.add("chosen");
    if (mark) mark.remove();
    mark = svg("circle", { class: `mark ${view.colour(curve.variant)}`, r: 5, cx: drawn.x(point.epoch), cy: drawn.y(point.value) });
    drawn.root.append(mark);
    const percent = written(100 * view.facts.confidence);
    const range = finite(point.low) ? ` (${percent} % interval ${written(point.low)} to ${written(point.high)})` : "";
    say(said, `Epoch ${point.epoch}: ${written(point.value)}${range}. ${curve.label}`);
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
    at = null;
    if (drawn) draw();
  }

  chart.addEventListener("pointermove", nearest);
  chart.addEventListener("pointerdown", nearest);
  chart.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") leave(); });
  chart.addEventListener("keydown", step);
  return { node, draw };
}

// --- the parts of the page ---

// What the reader chooses; null, and what is not in `metrics`, is as the facts suggest, see `viewOf`.
const choices = () => ({ hidden: new Set(), metrics: new Map(), mean: null, log: null, training: true, validation: true, state: "" });

// What is shown, of the facts as they are at the moment.
function viewOf(facts, choice) {
  const view = { choice, slots: new Map() };
  const ranks = () => view.facts.compared.map((row) => row.variant);
  const few = () => view.facts.variants.length <= COLOURS;
  view.take = (given) => {
    view.facts = given;
    view.variant = new Map(given.variants.map((variant) => [variant.number, variant]));
    view.trialsOf = new Map(given.variants.map((variant) => [variant.number, []]));
    given.trials.forEach((trial) => view.trialsOf.get(trial.variant).push(trial));
    const judged = given.metrics.find((m) => [m.name, `val_${m.name}`].includes(given.verdict.metric));
    view.first = new Set([judged, ...given.metrics].filter((m, i, all) => m && all.indexOf(m) === i).slice(0, 2));
    view.spread = judged ? spread(given, judged) : false;
    view.replicated = given.variants.some((v) => view.trialsOf.get(v.number).filter((t) => !["failed", "diverged", "interrupted"].includes(t.state)).length > 1);
  };
  view.shows = (number) => !choice.hidden.has(number);
  view.metric = (metric) => (choice.metrics.has(metric.name) ? choice.metrics.get(metric.name) : view.first.has(metric));
  view.mean = () => (choice.mean == null ? view.replicated : choice.mean);
  view.log = () => (choice.log == null ? view.spread : choice.log);
  view.best = () => ranks()[0];
  view.order = () => (few() || !ranks().length ? view.facts.variants : ranks().map((number) => view.variant.get(number)));
  view.colour = (number) => (view.slots.has(number) ? `c${view.slots.get(number)}` : "");
  // By its place where variants are few; else the best of those that are chosen have one, and keep it while they are among them.
  view.paint = () => {
    const order = view.order().map((variant) => variant.number);
    if (few()) { view.slots = new Map(order.map((number, i) => [number, i])); return; }
    const coloured = order.filter(view.shows).slice(0, COLOURS);
    view.slots = new Map([...view.slots].filter(([number]) => coloured.includes(number)));
    const free = [...Array(COLOURS).keys()].filter((slot) => ![...view.slots.values()].includes(slot));
    coloured.filter((number) => !view.slots.has(number)).forEach((number) => view.slots.set(number, free.shift()));
  };
  view.take(facts);
  return view;
}

// Whether a linear scale would hide all but the largest values.
function spread(facts, metric) {
  const places = [metric.training, metric.validation].filter((place) => place != null);
  const values = facts.trials.filter((trial) => trial.state === "done").flatMap((trial) => places.flatMap((place) => trial.curves[place]))
    .filter(finite).sort((a, b) => a - b);
  return values.length > 0 && values[0] > 0 && values[values.length - 1] > 100 * values[values.length >> 1];
}

function heading(view) {
  const node = html("header");
  const fill = filler(node, ([title, counts, verdict]) => [
    html("h1", {}, title), html("p", { class: "faint" }, counts),
    html("div", { class: "verdict" }, html("p", { id: "verdict" }, verdict.sentence),
      verdict.notes.length ? html("ul", {}, verdict.notes.map((note) => html("li", {}, note))) : null),
  ]);
  return { node, draw() { fill([view.facts.title, view.facts.counts, view.facts.verdict]); } };
}

function unusual(view) {
  const list = html("ul");
  const fill = filler(list, (sentences) => sentences.map((text) => html("li", {}, text)));
  // Where training is watched, that it has not ended is not unusual.
  const sentences = () => [view.facts.live ? "" : view.facts.unended, ...view.facts.unusual].filter(Boolean);
  return { node: section("What was unusual", html("div", { class: "unusual" }, list)), empty: () => !sentences().length, draw() { fill(sentences()); } };
}

function variantFilter(view, changed) {
  const { choice } = view;
  const itemOf = keeper((variant) => {
    const swatch = html("span", { class: "swatch", "aria-hidden": "true" });
    const label = check(variant.label, true, (on) => { choice.hidden[on ? "delete" : "add"](variant.number); changed(); }, swatch);
    return { variant, swatch, box: label.querySelector("input"), node: html("li", {}, label) };
  });
  const choose = (wanted) => () => {
    choice.hidden = new Set(view.facts.variants.map((v) => v.number).filter((number) => !wanted(number)));
    changed();
  };
  const top = () => view.facts.compared.slice(0, 5).map((row) => row.variant);
  const search = html("input", { type: "search", placeholder: "Find a variant", "aria-label": "Find a variant", oninput: draw });
  const best = html("button", { type: "button", onclick: () => choose((number) => top().includes(number))() }, "Best 5");
  const [searching, list] = [html("div", { class: "screen" }, search), html("ul", { class: "choices" })];
  const node = html("fieldset", { id: "variants" }, html("legend", {}, "Variants"),
    html("div", { class: "row screen" },
      html("button", { type: "button", onclick: choose(() => true) }, "All"),
      html("button", { type: "button", onclick: choose(() => false) }, "None"),
      best),
    searching, list);
  function draw() {
    const items = itemOf(view.order(), (variant) => variant.number);
    best.hidden = !top().length || items.length <= 5;
    searching.hidden = items.length <= 12;
    for (const item of items) {
      item.box.checked = view.shows(item.variant.number);
      item.swatch.setAttribute("class", `swatch ${view.colour(item.variant.number)}`);
      item.node.hidden = !item.variant.label.toLowerCase().includes(search.value.toLowerCase());
    }
    arrange(list, items.map((item) => item.node));
  }
  return { node, draw };
}

function metricFilter(view, changed) {
  const { choice } = view;
  const itemOf = keeper((metric) => html("li", {}, check(metric.name, true, (on) => { choice.metrics.set(metric.name, on); changed(); })));
  const option = (name, label) => check(label, choice[name], (on) => { choice[name] = on; changed(); });
  const [mean, log] = [option("mean", ""), option("log", "logarithmic")];
  const words = html("span");
  mean.append(words);
  const list = html("ul", { class: "choices" });
  const nodes = [
    html("fieldset", { id: "metrics" }, html("legend", {}, "Metrics"), list),
    html("fieldset", { id: "options" }, html("legend", {}, "Show"), html("div", { class: "row" },
      option("validation", "validation (solid)"), option("training", "training (dashed)"), mean, log)),
  ];
  function draw() {
    const items = itemOf(view.facts.metrics, (metric) => metric.name);
    items.forEach((item, i) => { item.querySelector("input").checked = view.metric(view.facts.metrics[i]); });
    arrange(list, items);
    mean.querySelector("input").checked = view.mean();
    log.querySelector("input").checked = view.log();
    say(words, `mean over seeds, with its ${written(100 * view.facts.confidence)} % interval`);
  }
  return { nodes, draw };
}

function curves(view, changed) {
  const panelOf = keeper((metric) => panel(view, metric.name));
  const [ofVariants, ofMetrics] = [variantFilter(view, changed), metricFilter(view, changed)];
  const [filters, holder] = [html("div", { class: "filters" }), html("div", { class: "panels" })];
  const nothing = html("p", {}, "No epoch was logged.");
  function draw() {
    const { metrics } = view.facts;
    view.paint();
    ofVariants.draw();
    ofMetrics.draw();
    arrange(filters, [ofVariants.node, ...(metrics.length ? ofMetrics.nodes : [])]);
    say(nothing, view.facts.live ? "No epoch has been logged yet." : "No epoch was logged.");
    nothing.hidden = metrics.length > 0;
    const panels = panelOf(metrics, (metric) => metric.name).filter((_, i) => view.metric(metrics[i]));
    arrange(holder, panels.map((one) => one.node));
    panels.forEach((one) => one.draw());
  }
  return { node: section("Curves", filters, nothing, holder), draw };
}

function variantTable(view) {
  const made = table("Variants, the best first", (row) => row.variant, true);
  const interval = (row, name) => (row[name + "low"] == null ? "" : `${written(row[name + "low"])} to ${written(row[name + "high"])}`);
  const columns = (facts) => [
    { name: "variant", value: (row) => row.variant, number: true },
    ...facts.hyperparameters.map((name, i) => ({ name, value: (row) => view.variant.get(row.variant).hyperparameters[i] })),
    { name: "seeds", value: (row) => row.seeds, number: true },
    { name: "mean", value: (row) => row.mean, number: true },
    { name: "interval", value: (row) => row.low, text: (row) => interval(row, ""), number: true },
    { name: "difference", value: (row) => row.difference, number: true },
    { name: "its interval", value: (row) => row.difference_low, text: (row) => (row === facts.compared[0] ? "" : interval(row, "difference_")), number: true },
    { name: "p-value, corrected", value: (row) => row.p_value, number: true },
    { name: "failed", value: (row) => row.failed, number: true },
    ...(facts.compared.some((row) => row.unfinished) ? [{ name: "unfinished", value: (row) => row.unfinished, number: true }] : []),
  ];
  function draw() {
    const { facts } = view;
    made.draw(columns(facts), facts.compared.filter((row) => view.shows(row.variant)), `Variants by ${facts.verdict.metric} ${facts.verdict.when}, the best first`);
  }
  return { node: section("Variants", made.node), empty: () => !view.facts.compared.length, draw };
}

// Of a log's values, those up to the epoch that the trained weights are of, where a callback went back to it.
const wentBack = (trial) => trial.weights_epoch != null && trial.weights_epoch >= 0 && trial.weights_epoch < trial.epochs.at(-1);
const kept = (trial, values) => (wentBack(trial) ? values.filter((_, i) => trial.epochs[i] <= trial.weights_epoch) : values);

function trialTable(view, changed) {
  const { choice } = view;
  const made = table("Trials", (trial) => trial.number, true);
  const lasts = (facts) => facts.metrics.flatMap((metric) => [[metric.name, metric.training], [`val_${metric.name}`, metric.validation]])
    .filter(([, place]) => place != null)
    .map(([name, place]) => ({ name, number: true, value: (trial) => kept(trial, trial.curves[place]).findLast((value) => value != null) }));
  const optional = [
    { name: "loop", value: (trial) => trial.loop },
    { name: "not on lanes because", value: (trial) => trial.reason, long: true },
    { name: "error", value: (trial) => trial.error, long: true },
  ];
  const columns = (facts) => [
    { name: "trial", value: (trial) => trial.number, number: true },
    ...facts.hyperparameters.map((name, i) => ({ name, value: (trial) => view.variant.get(trial.variant).hyperparameters[i] })),
    { name: "seed", value: (trial) => trial.seed, number: true },
    { name: "state", value: (trial) => trial.state, mark: (trial) => `state-${trial.state}` },
    { name: "epochs done", value: (trial) => trial.epochs.length, number: true },
    ...(facts.trials.some(wentBack) ? [{ name: "epoch of the weights", value: (trial) => (trial.weights_epoch == null || trial.weights_epoch < 0 ? null : trial.weights_epoch + 1), number: true }] : []),
    ...lasts(facts),
    ...facts.tests.map((name, i) => ({ name, value: (trial) => trial.tests[i], number: true })),
    { name: "seconds", value: (trial) => trial.seconds, number: true },
    { name: "engine", value: (trial) => trial.engine },
    ...optional.filter((column) => facts.trials.some((trial) => column.value(trial))),
  ];
  const select = html("select", { id: "state", onchange: () => { choice.state = select.value; changed(); } });
  const optionOf = keeper((name) => html("option", { value: name }, name || "all states"));
  const filter = html("p", { class: "screen" }, html("label", {}, "Show ", select));
  function draw() {
    const { facts } = view;
    const states = [...new Set(["", choice.state, ...facts.trials.map((trial) => trial.state)])];
    arrange(select, optionOf(states, (name) => name));
    select.value = choice.state;
    filter.hidden = states.length < 3;
    const shown = facts.trials.filter((trial) => view.shows(trial.variant) && (!choice.state || trial.state === choice.state));
    made.draw(columns(facts), shown, `${shown.length} of ${plural(facts.trials.length, "trial")}, with the last value of each log${facts.trials.some(wentBack) ? ", or that of the trained weights" : ""}`);
  }
  return { node: section("Trials", filter, made.node), draw };
}

function failures(view) {
  const node = section("Errors");
  const kinds = html("div");
  node.append(kinds);
  const keyOf = (error) => JSON.stringify([error.state, error.text, error.traceback]);
  const kindOf = keeper((error) => {
    const [summary, list] = [html("summary"), html("ul")];
    const fill = filler(list, (labels) => labels.map((label) => html("li", {}, label)));
    return { node: html("details", {}, summary, list, error.traceback ? html("pre", { tabindex: 0 }, error.traceback) : null), summary, fill };
  });
  function draw() {
    const { errors, trials } = view.facts;
    const byNumber = new Map(trials.map((trial) => [trial.number, trial]));
    const label = (trial) => `Trial ${trial.number} (${view.variant.get(trial.variant).label}, seed ${trial.seed})`;
    arrange(kinds, kindOf(errors, keyOf).map((kind, i) => {
      say(kind.summary, `${plural(errors[i].trials.length, "trial")} ${errors[i].state}: ${errors[i].text}`);
      kind.fill(errors[i].trials.map((number) => label(byNumber.get(number))));
      return kind.node;
    }));
  }
  return { node, empty: () => !view.facts.errors.length, draw };
}

function asked(view) {
  const [list, sources] = [html("dl"), html("div")];
  const fill = filler(list, (pairs) => pairs.map(([name, text]) => [html("dt", {}, name), html("dd", {}, text)]));
  const sourceOf = keeper(([name, text]) => html("details", {}, html("summary", {}, name), html("pre", { tabindex: 0 }, text)));
  function draw() {
    fill(view.facts.requested);
    arrange(sources, sourceOf(view.facts.sources, JSON.stringify));
  }
  return { node: section("What was asked", list, sources), draw };
}

// --- all together ---

// Shows facts in an element, and returns a function that brings it up to date with other facts of the same study.
function report(root, facts) {
  const view = viewOf(facts, choices());
  const drawn = curves(view, () => draw());
  const [top, odd] = [heading(view), unusual(view)];
  const parts = [drawn, variantTable(view), trialTable(view, () => draw()), failures(view), asked(view)];
  const [main, footer] = [html("main"), html("footer", { class: "faint" })];
  function draw() {
    const there = (some) => some.filter((part) => !part.empty || !part.empty()).map((part) => part.node);
    arrange(root, [...there([top, odd]), main, footer]);
    arrange(main, there(parts));
    [top, odd, ...parts].forEach((part) => part.draw());
    say(footer, `${view.facts.live ? "Read" : "Written"} by Fairlane ${view.facts.version}, ${view.facts.written}.`);
  }
  draw();
  let width = root.clientWidth;
  addEventListener("resize", () => { // a phone's keyboard and address bar change the height alone
    if (root.clientWidth !== width) { width = root.clientWidth; drawn.draw(); }
  });
  return (given) => { view.take(given); draw(); };
}
