// Facts → the page of a study. In: the JSON of `facts_of`, once, or again whenever it changes. Out: elements.

// --- the parts of the page ---

// What the reader chooses. For null, and for metrics that are not in `metrics`, `viewOf` chooses by the facts.
const choices = () => ({ hidden: new Set(), metrics: new Map(), mean: null, logs: new Map(), training: true, validation: true, state: "", smoothing: 0,
  explored: null, at: "last", filters: new Map(), colourBy: "", along: "", over: [], pair: [] });

// What is shown: the newest facts, and the reader's choices.
function viewOf(facts, choice) {
  const view = { choice, slots: new Map(), panels: [] };
  const ranks = () => view.facts.compared.map((row) => row.variant);
  const few = () => view.facts.variants.length <= COLOURS;
  view.take = (given) => {
    view.facts = given;
    view.variant = new Map(given.variants.map((variant) => [variant.number, variant]));
    view.trialsOf = new Map(given.variants.map((variant) => [variant.number, []]));
    given.trials.forEach((trial) => view.trialsOf.get(trial.variant).push(trial));
    const judged = given.metrics.find((m) => [m.name, `val_${m.name}`].includes(given.verdict.metric));
    view.first = new Set([judged, ...given.metrics].filter((m, i, all) => m && all.indexOf(m) === i).slice(0, 2));
    view.spread = new Map(given.metrics.map((metric) => [metric.name, given.directions[metric.name] === "min" && spread(given, metric)]));
    view.replicated = given.variants.some((v) => view.trialsOf.get(v.number).filter((t) => !["failed", "diverged", "interrupted"].includes(t.state)).length > 1);
  };
  view.shows = (number) => !choice.hidden.has(number) && (!view.passed || view.passed.has(number));
  view.metricNames = () => [...view.facts.metrics.flatMap((metric) => [metric.validation != null && `val_${metric.name}`, metric.training != null && metric.name]), ...view.facts.tests].filter(Boolean);
  view.explored = () => {
    const names = view.metricNames();
    const first = names.includes(view.facts.verdict.metric) ? view.facts.verdict.metric : names[0];
    const name = names.includes(choice.explored) ? choice.explored : first;
    return { name, at: view.facts.tests.includes(name) || !view.facts.directions[name.replace(/^val_/, "")] ? "last" : choice.at };
  };
  view.filter = () => { view.passed = view.metricNames().length ? passing(view) : null; };
  view.metric = (metric) => (choice.metrics.has(metric.name) ? choice.metrics.get(metric.name) : view.first.has(metric));
  view.mean = () => (choice.mean == null ? view.replicated : choice.mean);
  view.log = (name) => (choice.logs.has(name) ? choice.logs.get(name) : Boolean(view.spread.get(name)));
  view.best = () => ranks()[0];
  view.order = () => (few() || !ranks().length ? view.facts.variants : ranks().map((number) => view.variant.get(number)));
  view.colour = (number) => (view.slots.has(number) ? `c${view.slots.get(number)}` : "");
  // A few variants have a colour each, by their place. Of many, the best of the chosen ones have a colour, and keep it as long as
  // they are among the best.
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

// Whether a linear scale would hide the smaller values: they are positive and span more decades than that, as in figures.
const DECADES = 1.5;
function spread(facts, metric) {
  const places = [metric.training, metric.validation].filter((place) => place != null);
  const all = facts.trials.filter((trial) => trial.state === "done").flatMap((trial) => places.flatMap((place) => trial.curves[place]));
  const values = withoutOutliers(all.filter(finite)).sort((a, b) => a - b);
  return values.length > 0 && values[0] > 0 && Math.log10(values[values.length - 1] / values[0]) > DECADES;
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
  // On a live page, a trial that has not ended is not unusual.
  const sentences = () => [view.facts.live ? "" : view.facts.unended, ...view.facts.unusual].filter(Boolean);
  return { node: section("What was unusual", html("div", { class: "unusual" }, list)), empty: () => !sentences().length, draw() { fill(sentences()); } };
}

function variantFilter(view, changed) {
  const { choice } = view;
  const itemOf = keeper((variant) => {
    const swatch = html("span", { class: "swatch", "aria-hidden": "true" });
    const label = check(variant.label, true, (on) => { choice.hidden[on ? "delete" : "add"](variant.number); changed(); }, swatch);
    const tags = html("span");
    return { variant, swatch, box: label.querySelector("input"), node: html("li", {}, label, " ", tags), tag: filler(tags, (note) => tagsOf(note)) };
  });
  const choose = (wanted) => () => {
    choice.hidden = new Set(view.facts.variants.map((v) => v.number).filter((number) => !wanted(number)));
    changed();
  };
  // All and None are about the variants that the search finds; the others stay as they are.
  const found = (variant) => wordsOf(view, variant).includes(search.value.toLowerCase());
  const chooseFound = (on) => () => {
    view.facts.variants.filter(found).forEach((variant) => choice.hidden[on ? "delete" : "add"](variant.number));
    changed();
  };
  const top = () => view.facts.compared.slice(0, 5).map((row) => row.variant);
  const search = html("input", { type: "search", placeholder: "Find a variant", "aria-label": "Find a variant", oninput: draw });
  const best = html("button", { type: "button", onclick: () => choose((number) => top().includes(number))() }, "Best 5");
  const [searching, list] = [html("div", { class: "screen" }, search), html("ul", { class: "choices" })];
  const node = html("fieldset", { id: "variants" }, html("legend", {}, "Variants"),
    html("div", { class: "row screen" },
      html("button", { type: "button", onclick: chooseFound(true) }, "All"),
      html("button", { type: "button", onclick: chooseFound(false) }, "None"),
      best),
    searching, list);
  function draw() {
    const items = itemOf(view.order(), (variant) => `${variant.number} ${variant.label}`);
    best.hidden = !top().length || items.length <= 5;
    searching.hidden = items.length <= 12 && !view.facts.notes.some((note) => note.variant != null);
    for (const item of items) {
      item.box.checked = view.shows(item.variant.number);
      item.swatch.setAttribute("class", `swatch ${view.colour(item.variant.number)}`);
      item.node.hidden = !found(item.variant);
      item.tag(noteOf(view, item.variant.number));
    }
    arrange(list, items.map((item) => item.node));
  }
  return { node, draw };
}

function metricFilter(view, changed) {
  const { choice } = view;
  const itemOf = keeper((metric) => html("li", {}, check(metric.name, true, (on) => { choice.metrics.set(metric.name, on); changed(); })));
  const option = (name, label) => check(label, choice[name], (on) => { choice[name] = on; changed(); });
  const mean = option("mean", "");
  const words = html("span");
  mean.append(words);
  const slider = html("input", { type: "range", min: 0, max: 0.95, step: 0.05, value: choice.smoothing, oninput: () => { choice.smoothing = Number(slider.value); changed(); } });
  const smooth = html("label", { class: "screen" }, "smoothing ", slider);
  const list = html("ul", { class: "choices" });
  const nodes = [
    html("fieldset", { id: "metrics" }, html("legend", {}, "Metrics"), list),
    html("fieldset", { id: "options" }, html("legend", {}, "Show"), html("div", { class: "row" },
      option("validation", "validation (solid)"), option("training", "training (dashed)"), mean, smooth)),
  ];
  function draw() {
    const items = itemOf(view.facts.metrics, (metric) => metric.name);
    items.forEach((item, i) => { item.querySelector("input").checked = view.metric(view.facts.metrics[i]); });
    arrange(list, items);
    mean.querySelector("input").checked = view.mean();
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
    view.panels = panels;
    panels.forEach((one) => one.draw());
  }
  return { node: section("Curves", filters, nothing, holder), draw };
}

function variantTable(view) {
  const made = table("Variants, the best first", (row) => row.variant, true);
  const interval = (row, name) => (row[name + "low"] == null ? "" : `${written(row[name + "low"])} to ${written(row[name + "high"])}`);
  const columns = (facts) => [
    { name: "variant", value: (row) => row.variant, number: true },
    { name: "mean", value: (row) => row.mean, number: true },
    { name: "interval", value: (row) => row.low, text: (row) => interval(row, ""), number: true },
    ...facts.hyperparameters.map((name, i) => ({ name, value: (row) => view.variant.get(row.variant).hyperparameters[i] })),
    ...noteColumns(view, (row) => row.variant),
    { name: "seeds", value: (row) => row.seeds, number: true },
    ...(facts.compared.some((row) => row.folds != null) ? [{ name: "folds", value: (row) => row.folds, number: true }] : []),
    { name: "difference", value: (row) => row.difference, number: true },
    { name: "interval of the difference", value: (row) => row.difference_low, text: (row) => (row === facts.compared[0] ? "" : interval(row, "difference_")), number: true },
    { name: "corrected p-value", value: (row) => row.p_value, number: true },
    { name: "failed", value: (row) => row.failed, number: true },
    ...(facts.compared.some((row) => row.unfinished) ? [{ name: "unfinished", value: (row) => row.unfinished, number: true }] : []),
  ];
  function draw() {
    const { facts } = view;
    made.draw(columns(facts), facts.compared.filter((row) => view.shows(row.variant)), `Variants by ${facts.verdict.metric} ${facts.verdict.when}, the best first`);
  }
  return { node: section("Variants", made.node), empty: () => !view.facts.compared.length, draw };
}

// A log's values up to the epoch that the trained weights belong to, where a callback restored an earlier one.
const restored = (trial) => trial.weights_epoch != null && trial.weights_epoch >= 0 && trial.weights_epoch < trial.epochs.at(-1);
const untilRestored = (trial, values) => (restored(trial) ? values.filter((_, i) => trial.epochs[i] <= trial.weights_epoch) : values);

function trialTable(view, changed) {
  const { choice } = view;
  const made = table("Trials", (trial) => trial.number, true);
  const lasts = (facts) => facts.metrics.flatMap((metric) => [[metric.name, metric.training], [`val_${metric.name}`, metric.validation]])
    .filter(([, place]) => place != null)
    .map(([name, place]) => ({ name, number: true, value: (trial) => untilRestored(trial, trial.curves[place]).findLast((value) => value != null) }));
  const optional = [
    { name: "worker", value: (trial) => trial.worker },
    { name: "loop", value: (trial) => trial.loop },
    { name: "reason", value: (trial) => trial.reason, long: true },
    { name: "error", value: (trial) => trial.error, long: true },
  ];
  const columns = (facts) => [
    { name: "trial", value: (trial) => trial.number, number: true },
    ...facts.hyperparameters.map((name, i) => ({ name, value: (trial) => view.variant.get(trial.variant).hyperparameters[i] })),
    { name: "seed", value: (trial) => trial.seed, number: true },
    ...(facts.trials.some((trial) => trial.fold != null) ? [{ name: "fold", value: (trial) => trial.fold, number: true }] : []),
    { name: "state", value: (trial) => trial.state, mark: (trial) => `state-${trial.state}` },
    { name: "epochs done", value: (trial) => trial.epochs.length, number: true },
    ...(facts.trials.some(restored) ? [{ name: "epoch of the weights", value: (trial) => (trial.weights_epoch == null || trial.weights_epoch < 0 ? null : trial.weights_epoch + 1), number: true }] : []),
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
    made.draw(columns(facts), shown, `${shown.length} of ${plural(facts.trials.length, "trial")}, with the last value of each log${facts.trials.some(restored) ? ", or its value for the trained weights" : ""}`);
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
    const label = (trial) => `Trial ${trial.number} (${view.variant.get(trial.variant).label}, ${replicate(trial)})`;
    arrange(kinds, kindOf(errors, keyOf).map((kind, i) => {
      say(kind.summary, `${plural(errors[i].trials.length, "trial")} ${errors[i].state}: ${errors[i].text}`);
      kind.fill(errors[i].trials.map((number) => label(byNumber.get(number))));
      return kind.node;
    }));
  }
  return { node, empty: () => !view.facts.errors.length, draw };
}

function requested(view) {
  const [list, sources] = [html("dl"), html("div")];
  const fill = filler(list, (pairs) => pairs.map(([name, text]) => [html("dt", {}, name), html("dd", {}, text)]));
  const sourceOf = keeper(([name, text]) => html("details", {}, html("summary", {}, name), html("pre", { tabindex: 0 }, text)));
  function draw() {
    fill(view.facts.requested);
    arrange(sources, sourceOf(view.facts.sources, JSON.stringify));
  }
  return { node: section("Request", list, sources), draw };
}

// --- all together ---

// Shows facts in an element, and returns a function that updates it with newer facts of the same study. `keep` keeps a note, see notes.js.
function report(root, facts, keep) {
  const view = viewOf(facts, choices());
  const drawn = curves(view, () => draw());
  const [top, odd] = [heading(view), unusual(view)];
  const [searched, noted] = [searchPart(view), notesPart(view, keep)];
  const [explored, pair] = [explorePart(view, () => draw()), pairPart(view, () => draw())];
  const parts = [noted, searched, drawn, explored, variantTable(view), pair, trialTable(view, () => draw()), failures(view), requested(view)];
  const [main, footer] = [html("main"), html("footer", { class: "faint" })];
  function draw() {
    const there = (some) => some.filter((part) => !part.empty || !part.empty()).map((part) => part.node);
    view.filter();
    arrange(root, [...there([top, odd]), main, footer]);
    arrange(main, there(parts));
    [top, odd, ...parts].filter((part) => ![explored, pair].includes(part) || !part.empty()).forEach((part) => part.draw());
    say(footer, `${view.facts.live ? "Read" : "Written"} by Fairlane ${view.facts.version}, ${view.facts.written}.`);
  }
  draw();
  let width = root.clientWidth;
  addEventListener("resize", () => { // a phone's keyboard and address bar change the height alone
    if (root.clientWidth !== width) { width = root.clientWidth; [searched, drawn, ...[explored, pair].filter((part) => !part.empty())].forEach((part) => part.draw()); }
  });
  return (given) => { view.take(given); draw(); };
}
