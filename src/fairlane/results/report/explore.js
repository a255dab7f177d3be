// The section in which variants are explored: parallel coordinates whose axes filter all views, a slice, and a ranking. In: a view
// (see report.js). Out: an element that draws itself again when the view changes.
//
// A filter is {low, high} of a numeric axis, or {values} of another; the view keeps it under the name of its axis.

const RAMP = [[59, 118, 176], [224, 121, 43]]; // from the smallest to the largest value, on light and on dark ground
const AXES = { height: 310, left: 60, right: 60, top: 46, bottom: 14 };

const numeric = (values) => values.every((value) => finite(value));

// The trials of a variant that count.
const countedTrials = (view, number) => view.trialsOf.get(number).filter((trial) => view.variant.get(number).counted.includes(trial.number));

// A function that gives a trial's value of the metric and epoch that are chosen.
function trialValue(view) {
  const { name, at } = view.explored();
  const { facts } = view;
  const test = facts.tests.indexOf(name);
  const panelOf = facts.metrics.find((metric) => metric.name === name.replace(/^val_/, ""));
  const place = panelOf && (name === panelOf.name && panelOf.training != null ? panelOf.training : panelOf.validation);
  const best = facts.directions[panelOf ? panelOf.name : ""] === "max" ? Math.max : Math.min;
  return (trial) => {
    if (test >= 0) return trial.tests[test];
    const values = untilRestored(trial, trial.curves[place]).filter(finite);
    return at === "best" ? values.reduce((a, b) => best(a, b), values[0]) : values.at(-1);
  };
}

// The value of each variant, {variant, value, trials, spread}: the mean over the trials that count, in the epoch of their trained
// weights, or each in its best epoch.
function exploredValues(view) {
  const valueOf = trialValue(view);
  return view.facts.variants.map((variant) => {
    const values = countedTrials(view, variant.number).map(valueOf).filter(finite);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
    return { variant, value: values.length ? mean : null, trials: values.length, spread: values.length > 1 ? Math.sqrt(squares / (values.length - 1)) : null };
  });
}

const FEW_TICKS = 6; // an axis of so few numbers has them as its ticks
const LETTER = 6.4; // pixels of a letter of an axis, about
const cut = (text, most) => (text.length > most ? text.slice(0, Math.max(1, most - 1)) + "\u2026" : text);

// The ticks of which none touches the one before; texts are above one another where the axis goes up.
function apart(ticks, pixel, up) {
  let last = null;
  return ticks.filter((tick) => {
    const room = up ? 13 : ((last ? last.text.length : 0) + tick.text.length) * (LETTER / 2) + 8;
    if (last && Math.abs(pixel(tick.value) - pixel(last.value)) < room) return false;
    last = tick;
    return true;
  });
}

// An axis: {name, of(row), numeric, pixel(value), inverse(pixel), ticks: [{value, text}]}; values at the top are the largest.
function axisOf(name, of, rows, from, to) {
  const values = [...new Set(rows.map(of))].filter((value) => value != null && value !== "NaN");
  if (values.length && numeric(values)) {
    const [low, high] = [Math.min(...values), Math.max(...values)];
    const log = geometric(values);
    const scale = scaleOf(values, from, to, log, 5);
    const f = log ? Math.log10 : (v) => v, back = log ? (v) => 10 ** v : (v) => v;
    const span = f(scale.high) - f(scale.low);
    const inverse = (pixel) => back(f(scale.low) + ((pixel - from) / (to - from)) * span);
    const few = values.length <= FEW_TICKS ? [...values].sort((a, b) => a - b) : scale.ticks;
    const ticks = apart(few.map((value) => ({ value, text: written(value) })), scale.pixel, from > to);
    return { name, of, numeric: true, pixel: scale.pixel, inverse, ticks };
  }
  const ordered = values.sort(compare);
  const pixel = (value) => from + ((ordered.findIndex((one) => one === value) + 0.5) / Math.max(1, ordered.length)) * (to - from);
  return { name, of, numeric: false, pixel, ordered, ticks: ordered.map((value) => ({ value, text: String(value) })) };
}

// Whether values are more evenly spaced on a logarithmic scale, as in figures.
function geometric(values) {
  const ordered = [...new Set(values)].sort((a, b) => a - b);
  if (ordered.length < 2 || ordered[0] <= 0) return false;
  if (ordered.length === 2) return ordered[1] >= 10 * ordered[0] * (1 - 1e-9);
  const unevenness = (some) => {
    const gaps = some.slice(1).map((value, i) => value - some[i]);
    const mean = gaps.reduce((a, b) => a + b) / gaps.length;
    return Math.sqrt(gaps.reduce((sum, gap) => sum + (gap - mean) ** 2, 0) / gaps.length) / mean;
  };
  return unevenness(ordered.map(Math.log)) < unevenness(ordered);
}

function passes(filter, value) {
  if (filter.values) return filter.values.includes(value);
  return finite(value) && value >= filter.low && value <= filter.high;
}

// Which variants pass all filters; a filter of the metric is about its value as it is chosen.
function passing(view) {
  const { filters } = view.choice;
  if (!filters.size) return null;
  const of = new Map([["", (row) => row.value], ...view.facts.hyperparameters.map((name, i) => [name, (row) => row.variant.hyperparameters[i]])]);
  const kept = exploredValues(view).filter((row) => [...filters].every(([name, filter]) => !of.has(name) || passes(filter, of.get(name)(row))));
  return new Set(kept.map((row) => row.variant.number));
}

function rampOf(share) {
  return `rgb(${RAMP[0].map((from, i) => Math.round(from + share * (RAMP[1][i] - from))).join(",")})`;
}

// Share of an axis, from 0 at its lower end to 1.
const shareOn = (axis, value, height) => (height - AXES.bottom - axis.pixel(value)) / (height - AXES.bottom - AXES.top);

function filterOf(axis, a, b) {
  const [low, high] = [Math.min(a, b), Math.max(a, b)];
  if (axis.numeric) return { low: axis.inverse(high), high: axis.inverse(low) };
  return { values: axis.ordered.filter((value) => axis.pixel(value) >= low && axis.pixel(value) <= high) };
}

function filterInWords(name, filter) {
  const range = filter.values ? filter.values.join(", ") || "none" : `${written(filter.low)} to ${written(filter.high)}`;
  return `${name}: ${range}`;
}

// The drawing, with a brush on each axis.
function parallelDrawing(view, axes, rows, width, changed) {
  const { height, left, right, top, bottom } = AXES;
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}` });
  const x = (i) => left + (i / Math.max(1, axes.length - 1)) * (width - left - right);
  const painted = axes.find((axis) => axis.key === view.choice.colourBy) || axes.at(-1);
  const ordered = [...rows].sort((a, b) => view.shows(a.variant.number) - view.shows(b.variant.number));
  for (const row of ordered) {
    const places = axes.map((axis, i) => [x(i), axis.pixel(axis.of(row))]).filter(([, y]) => finite(y));
    const colour = painted.of(row) == null ? "" : rampOf(Math.min(1, Math.max(0, shareOn(painted, painted.of(row), height))));
    root.append(svg("path", { class: `parallel${view.shows(row.variant.number) ? "" : " off"}`, stroke: colour, d: "M" + places.map((p) => p.map((v) => v.toFixed(1)).join(" ")).join("L") },
      svg("title", {}, `${row.variant.label}: ${written(row.value)}`)));
  }
  const room = Math.max(4, Math.floor((width - left - right) / Math.max(1, axes.length - 1) / LETTER) - 1); // letters from an axis to the next
  axes.forEach((axis, i) => {
    root.append(svg("line", { class: "axis", x1: x(i), x2: x(i), y1: top, y2: height - bottom }),
      svg("text", { x: x(i), y: i % 2 && room < axis.name.length ? 28 : 14, "text-anchor": "middle" }, svg("title", {}, axis.name), cut(axis.name, Math.max(8, 2 * room - 3))));
    for (const tick of axis.ticks) root.append(svg("text", { class: "tick", x: x(i) + 5, y: axis.pixel(tick.value) - 3 }, svg("title", {}, tick.text), cut(tick.text, i < axes.length - 1 ? room : 9)));
    root.append(brushOf(view, axis, root, x(i), changed));
  });
  return root;
}

function brushOf(view, axis, root, x, changed) {
  const { height, top, bottom } = AXES;
  const filter = view.choice.filters.get(axis.key);
  const group = svg("g", {});
  const chosen = svg("rect", { class: "chosen-range", x: x - 9, width: 18, y: top, height: 0 });
  const show = (a, b) => { chosen.setAttribute("y", Math.min(a, b)); chosen.setAttribute("height", Math.max(2, Math.abs(a - b))); };
  const inside = (pixel) => Math.min(height - bottom, Math.max(top, pixel)); // a range may have no upper or no lower end
  if (filter && !filter.values) show(inside(axis.pixel(filter.high)), inside(axis.pixel(filter.low)));
  if (filter && filter.values && filter.values.length) {
    const places = filter.values.map(axis.pixel);
    show(Math.min(...places) - 9, Math.max(...places) + 9);
  }
  const area = svg("rect", { class: "brush", x: x - 14, width: 28, y: top - 6, height: height - top - bottom + 12 });
  const at = (event) => {
    const box = root.getBoundingClientRect();
    return Math.min(height - bottom, Math.max(top, ((event.clientY - box.top) * height) / box.height));
  };
  let from = null;
  area.addEventListener("pointerdown", (event) => { from = at(event); area.setPointerCapture(event.pointerId); event.preventDefault(); });
  area.addEventListener("pointermove", (event) => { if (from != null) show(from, at(event)); });
  area.addEventListener("pointerup", (event) => {
    const to = at(event);
    if (Math.abs(to - from) < 4) view.choice.filters.delete(axis.key); // a click removes the range
    else view.choice.filters.set(axis.key, filterOf(axis, from, to));
    from = null;
    changed();
  });
  group.append(chosen, area);
  return group;
}
