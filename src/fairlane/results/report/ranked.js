// What stands around the parallel coordinates: which metric and epoch, colours, filters in words and by keys, a slice, a ranking. In: a
// view (see report.js). Out: the section "Explore".

function chooser(label, change) {
  const select = html("select", { onchange: () => change(select.value) });
  const optionOf = keeper(([value, text]) => html("option", { value }, text));
  const draw = (pairs, chosen) => { arrange(select, optionOf(pairs, (pair) => pair[0])); select.value = chosen; };
  return { node: html("label", {}, label, " ", select), draw };
}

// The variants' values against one hyperparameter; the mark of a variant that filters hide is pale.
function sliceDrawing(view, axis, rows, name, width) {
  const { height, left, right, top, bottom } = CHART;
  const shown = rows.filter((row) => finite(row.value) && axis.of(row) != null);
  const across = axisOf(axis.name, axis.of, shown, left + 8, width - right - 8);
  const y = scaleOf(withoutOutliers(shown.map((row) => row.value)), height - bottom, top, false, 5);
  const root = axesOf({ ticks: [], pixel: () => 0 }, y, width, axis.name);
  for (const tick of across.ticks) root.append(svg("text", { x: across.pixel(tick.value), y: height - bottom + 17, "text-anchor": "middle" }, cut(tick.text, 14)));
  for (const row of shown.filter((one) => y.shows(one.value))) {
    root.append(svg("circle", { class: view.shows(row.variant.number) ? "dot c0" : "dot pale", r: 3.5, cx: across.pixel(axis.of(row)), cy: y.pixel(row.value) },
      svg("title", {}, `${row.variant.label}: ${written(row.value)}`)));
  }
  return root;
}

function rangeInputs(view, axis, changed) {
  const set = (end) => (event) => {
    const had = view.choice.filters.get(axis.key) || { low: -Infinity, high: Infinity };
    const number = event.target.value === "" ? (end === "low" ? -Infinity : Infinity) : Number(event.target.value);
    view.choice.filters.set(axis.key, { ...had, [end]: number });
    changed();
  };
  const filter = view.choice.filters.get(axis.key);
  const input = (end, words) => html("input", { type: "number", step: "any", "aria-label": `${axis.name} ${words}`, value: filter && finite(filter[end]) ? Number(filter[end].toPrecision(4)) : "", onchange: set(end) });
  return html("div", { class: "row" }, html("span", {}, axis.name), input("low", "from"), html("span", {}, "to"), input("high", "to"));
}

function valueBoxes(view, axis, changed) {
  const filter = view.choice.filters.get(axis.key);
  const box = (value) => check(String(value), !filter || filter.values.includes(value), (on) => {
    const had = filter ? filter.values : axis.ordered;
    view.choice.filters.set(axis.key, { values: on ? [...had, value] : had.filter((one) => one !== value) });
    changed();
  });
  return html("div", { class: "row" }, html("span", {}, axis.name), axis.ordered.map(box));
}

function explorePart(view, changed) {
  const { choice } = view;
  const metric = chooser("Metric", (value) => { choice.explored = value; choice.filters.delete(""); changed(); });
  const epoch = chooser("Epoch", (value) => { choice.at = value; choice.filters.delete(""); changed(); });
  const colour = chooser("Colour by", (value) => { choice.colourBy = value; changed(); });
  const along = chooser("Slice along", (value) => { choice.along = value; changed(); });
  const [right, up] = [0, 1].map((i) => chooser(i ? "and" : "Map of", (value) => { choice.over[i] = value; changed(); }));
  const [words, reset] = [html("span", { class: "faint", "aria-live": "polite" }), html("button", { type: "button", onclick: () => { choice.filters.clear(); changed(); } }, "Remove filters")];
  const [chart, slice, map, bars] = [html("div", { class: "plot brushes" }), html("div", { class: "plot" }), html("div", { class: "plot" }), html("div", { class: "plot" })];
  const [inputs, filters] = [html("div"), html("details", { class: "screen" }, html("summary", {}, "Filters by range and value"))];
  filters.append(inputs);
  let axesNow = [];
  const fillInputs = filler(inputs, () => axesNow.map((axis) => (axis.numeric ? rangeInputs : valueBoxes)(view, axis, changed)));
  const figure = (title, node, ...more) => html("figure", { class: "explored" }, html("figcaption", {}, title), html("div", { class: "row screen tools" }, more, pictureButtons(title, () => node.querySelector("svg"))), node);
  const [mapped, important, why] = [figure("Map of two hyperparameters", map, right.node, up.node), figure("Importance", bars), html("p", { class: "faint" })];
  important.append(why);
  const made = table("Ranking", (row) => row.variant.number, true);
  const node = section("Explore", html("div", { class: "row screen" }, metric.node, epoch.node, colour.node), html("p", {}, words, " ", reset),
    figure("Parallel coordinates", chart), filters, html("div", { class: "panels" }, figure("Slice", slice, along.node), mapped, important), made.node);
  const keys = () => view.facts.hyperparameters.filter((name, i) => new Set(view.facts.variants.map((v) => v.hyperparameters[i])).size > 1);

  function draw() {
    const { facts } = view;
    const { name, at } = view.explored();
    const rows = exploredValues(view), varied = keys();
    metric.draw(view.metricNames().map((one) => [one, one]), name);
    epoch.draw([["last", "last, or of the trained weights"], ["best", "best of each trial"]], at);
    epoch.node.hidden = facts.tests.includes(name) || !facts.directions[name.replace(/^val_/, "")];
    colour.draw([["", name], ...varied.map((one) => [one, one])], choice.colourBy);
    const [from, to] = [AXES.height - AXES.bottom, AXES.top];
    const hyperparameter = (one) => (row) => row.variant.hyperparameters[facts.hyperparameters.indexOf(one)];
    const axes = varied.map((one) => ({ ...axisOf(one, hyperparameter(one), rows, from, to), key: one }));
    axes.push({ ...axisOf(name, (row) => row.value, rows, from, to), key: "" });
    chart.replaceChildren(parallelDrawing(view, axes, rows, Math.max(260, chart.clientWidth || 600), changed));
    if (!filters.contains(document.activeElement)) { axesNow = axes; fillInputs([axes.map((axis) => [axis.key, axis.numeric, axis.ordered]), [...choice.filters]]); }
    const chosen = varied.includes(choice.along) ? choice.along : varied[0];
    along.draw(varied.map((one) => [one, one]), chosen);
    [mapped.hidden, important.hidden] = [varied.length < 2, !facts.importance]; // before any drawing is as wide as its place
    drawMap(axes, rows, varied, name);
    drawImportance();
    slice.replaceChildren(sliceDrawing(view, axes[varied.indexOf(chosen)], rows, name, Math.max(260, slice.clientWidth || 600)));
    reset.hidden = !choice.filters.size;
    words.classList.toggle("screen", !choice.filters.size);
    say(words, choice.filters.size ? `Only ${[...choice.filters].map(([key, filter]) => filterInWords(key || name, filter)).join("; ")}: all curves and tables show these.` : "Drag along an axis to keep a range; all curves and tables follow.");
    const smallFirst = facts.directions[name.replace(/^(val|test)_/, "")] !== "max";
    const ranked = sorted(rows.filter((row) => view.shows(row.variant.number)), (row) => row.value, !smallFirst);
    made.draw([
      { name: "variant", value: (row) => row.variant.number, number: true },
      { name: `mean ${name}`, value: (row) => row.value, number: true },
      { name: "standard deviation", value: (row) => row.spread, number: true },
      { name: "trials", value: (row) => row.trials, number: true },
      ...facts.hyperparameters.map((one) => ({ name: one, value: hyperparameter(one) })),
    ], ranked, `Ranking by the mean of ${name}, ${at === "best" ? "in the best epoch of each trial, which flatters all" : "in the last epoch, or that of the trained weights"}`);
  }

  // The two hyperparameters that matter most, until the reader chooses others.
  function drawMap(axes, rows, varied, name) {
    if (mapped.hidden) return;
    const ranked = [...((view.facts.importance || {}).rows || []).map((row) => row.name).filter((one) => varied.includes(one)), ...varied];
    const first = varied.includes(choice.over[0]) ? choice.over[0] : ranked.find((one) => one !== choice.over[1]);
    const second = varied.includes(choice.over[1]) && choice.over[1] !== first ? choice.over[1] : ranked.find((one) => one !== first);
    right.draw(varied.map((one) => [one, one]), first);
    up.draw(varied.filter((one) => one !== first).map((one) => [one, one]), second);
    const shown = rows.filter((row) => view.shows(row.variant.number));
    const log = view.log(name.replace(/^val_/, ""));
    map.replaceChildren(mapDrawing(...[first, second].map((one) => axes[varied.indexOf(one)]), shown, name, log, Math.max(260, map.clientWidth || 600)));
  }

  function drawImportance() {
    const { importance } = view.facts;
    if (!importance) return;
    const { rows, words, metric } = importance;
    const ranged = rows.some((row) => finite(row.low)) ? "; a line is the range that single seeds give" : "";
    say(why, words || `Share of the variance of ${metric} over all variants that were trained to their end (fANOVA)${ranged}. Filters do not change it.`);
    bars.replaceChildren(...(rows.length ? [importanceDrawing(rows, Math.max(260, bars.clientWidth || 600))] : []));
  }
  return { node, empty: () => view.facts.variants.length < 2 || !keys().length || !view.metricNames().length, draw };
}
