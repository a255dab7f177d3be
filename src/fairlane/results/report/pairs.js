// Two variants beside each other, replicate by replicate. In: a view (see report.js), whose metric and epoch are those that are explored.
// Out: an element that draws itself again when the view changes.

// The values of two variants for the replicates that count in both.
function pairsOf(view, a, b) {
  const valueOf = trialValue(view);
  const values = (number) => new Map(countedTrials(view, number).map((trial) => [replicate(trial), { trial, value: valueOf(trial) }]));
  const [of, against] = [values(a), values(b)];
  return [...of].filter(([one, { value }]) => finite(value) && against.has(one) && finite(against.get(one).value))
    .map(([one, { trial, value }]) => ({ replicate: one, fold: trial.fold, a: value, b: against.get(one).value, difference: value - against.get(one).value }));
}

// What the pairs say of two variants, in words. Any pair could have been chosen, so the p-value is corrected for all of them.
function pairInWords(view, a, b, rows) {
  const { facts } = view;
  const folded = rows.some((row) => row.fold != null);
  const folds = folded ? rows.map((row) => row.fold) : null, blocks = folded ? new Set(folds).size : rows.length;
  const found = pairedOf(rows.map((row) => row.difference), folds, facts.share == null ? 1 / Math.max(1, blocks - 1) : facts.share, facts.confidence);
  const compared = facts.variants.filter((variant) => variant.counted.length).length, comparisons = Math.max(1, (compared * (compared - 1)) / 2);
  const what = `Variant ${a} minus variant ${b}: ${written(found.mean)} on average`;
  const pairs = folded ? plural(blocks, "fold") : plural(rows.length, "pair");
  if (found.low == null) return `${what} (${pairs}: too few for an interval).`;
  const range = `${what}, ${written(100 * facts.confidence)} % interval ${written(found.low)} to ${written(found.high)} (${pairs}).`;
  const many = comparisons > 1 ? `, corrected for the ${comparisons} pairs that could have been chosen` : "";
  const level = 1 - facts.confidence + 1e-12;
  if (!folded && comparisons * leastPValue(rows.length) > level) {
    const needed = Math.ceil(1 + Math.log2(comparisons / (1 - facts.confidence)) - 1e-9);
    return `${range} There is no p-value: to reach ${written(Number((1 - facts.confidence).toPrecision(6)))}${many}, it takes ${plural(needed, "pair")}.`;
  }
  const p = Math.min(1, comparisons * found.p);
  return `${range} ${p < 0.001 ? "p < 0.001" : `p = ${written(Number(p.toPrecision(2)))}`}${many}${p > level ? ": it may be chance" : ""}.`;
}

// A line per replicate from its value of one variant to that of the other.
function pairDrawing(view, a, b, rows, width, name) {
  const { height, left, right, top, bottom } = CHART;
  const y = scaleOf(rows.flatMap((row) => [row.a, row.b]), height - bottom, top, false, 5);
  const root = axesOf({ ticks: [], pixel: () => 0 }, y, width, name);
  const [from, to] = [left + (width - left - right) * 0.25, left + (width - left - right) * 0.75];
  for (const [x, number] of [[from, a], [to, b]]) root.append(svg("text", { x, y: height - bottom + 17, "text-anchor": "middle" }, `variant ${number}`));
  for (const row of rows) {
    const words = `${row.replicate}: ${written(row.a)} and ${written(row.b)}`;
    root.append(svg("g", {}, svg("title", {}, words), svg("line", { class: "pair", x1: from, x2: to, y1: y.pixel(row.a), y2: y.pixel(row.b) }),
      [[from, row.a, "c0"], [to, row.b, "c1"]].map(([x, value, colour]) => svg("circle", { class: `dot ${colour}`, r: 3.5, cx: x, cy: y.pixel(value) }))));
  }
  return root;
}

function pairPart(view, changed) {
  const { choice } = view;
  const first = chooser("Compare variant", (value) => { choice.pair[0] = Number(value); changed(); });
  const second = chooser("with", (value) => { choice.pair[1] = Number(value); changed(); });
  const words = html("p", { id: "pair", "aria-live": "polite" });
  const chart = html("div", { class: "plot" });
  const figure = html("figure", { class: "explored" }, html("figcaption", {}, "Pairs"), html("div", { class: "row screen tools" }, pictureButtons("Pairs", () => chart.querySelector("svg"))), chart);
  const made = table("Two variants", (row) => row.replicate, true);
  const beside = html("div", { class: "panels" }, figure, made.node);
  const node = section("Two variants", html("div", { class: "row screen" }, first.node, second.node), words, beside);

  function draw() {
    const { facts } = view;
    const { name } = view.explored();
    const known = new Set(facts.variants.map((variant) => variant.number));
    const order = [...facts.compared.map((row) => row.variant), ...known].filter((number, i, all) => all.indexOf(number) === i);
    const [a, b] = [0, 1].map((i) => (known.has(choice.pair[i]) ? choice.pair[i] : order[i]));
    const options = order.map((number) => [String(number), `${number}: ${view.variant.get(number).label}`]);
    first.draw(options, String(a));
    second.draw(options, String(b));
    const rows = pairsOf(view, a, b);
    beside.hidden = !rows.length;
    made.draw([
      { name: "replicate", value: (row) => row.replicate },
      { name: `variant ${a}`, value: (row) => row.a, number: true },
      { name: `variant ${b}`, value: (row) => row.b, number: true },
      { name: "difference", value: (row) => row.difference, number: true },
    ], rows, `${name} of both variants`);
    if (rows.length) chart.replaceChildren(pairDrawing(view, a, b, rows, Math.max(260, chart.clientWidth || 600), name));
    say(words, a === b ? "Choose two different variants." : rows.length ? pairInWords(view, a, b, rows) : `Variants ${a} and ${b} have no replicate in common that counts.`);
  }
  return { node, empty: () => view.facts.variants.length < 2 || !view.metricNames().length, draw };
}
