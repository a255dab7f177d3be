// The section of a search: what it has found by now, and who was compared when. In: a view (see report.js). Out: an element that
// draws itself again when the facts change.

// Each value in the order of the search, and the best until then.
function searchDrawing(search, width, log) {
  const { height, left, right, top, bottom } = CHART;
  const shown = search.values.map((one, i) => ({ ...one, epoch: i + 1 })).filter((one) => finite(one.value));
  const x = scaleOf([1, search.values.length], left, width - right, false, Math.max(3, width / 90));
  // Values of variants that were stopped early may be larger than all others by far: the axis shows the others.
  const sound = shown.filter((one) => !one.stopped);
  const y = scaleOf((sound.length > 1 ? sound : shown).map((one) => one.value), height - bottom, top, log, 5);
  const root = axesOf(x, y, width, "variants that have ended");
  let path = "", last = null;
  search.values.forEach((one, i) => {
    if (!finite(one.best)) return;
    path += last == null ? `M${x.pixel(i + 1)} ${y.pixel(one.best)}` : `H${x.pixel(i + 1)}V${y.pixel(one.best)}`;
    last = one.best;
  });
  if (path) root.append(svg("path", { class: "curve c0 best", d: path }));
  for (const one of shown.filter((some) => y.shows(some.value))) {
    const words = `Variant ${one.variant}: ${written(one.value)}${one.stopped ? ", stopped" : ""}`;
    root.append(svg("circle", { class: one.stopped ? "dot" : "dot c0", r: 3, cx: x.pixel(one.epoch), cy: y.pixel(one.value) },
      svg("title", {}, words)));
  }
  return { root, cut: shown.some((one) => !y.shows(one.value)) };
}

function searchPart(view) {
  const [words, chart, note] = [html("div"), html("div", { class: "chart", role: "img" }), html("p", { class: "faint" })];
  const figure = html("figure", { class: "panel" }, html("h3", {}, "Best value so far"), chart, note);
  const rungs = table("Rungs", (row) => `${row.bracket} ${row.rung}`, true);
  const front = table("The front", (row) => row.variant, true);
  const fill = filler(words, (sentences) => sentences.map((text) => html("p", {}, text)));
  const columns = [
    { name: "bracket", value: (row) => row.bracket, number: true },
    { name: "epochs", value: (row) => row.epochs, number: true },
    { name: "variants", value: (row) => row.size, number: true },
    { name: "there", value: (row) => row.there, number: true },
    { name: "promoted", value: (row) => row.promoted, number: true },
  ];
  function draw() {
    const { search } = view.facts;
    if (!search) return;
    fill(search.words);
    const values = search.values.filter((one) => finite(one.value));
    figure.hidden = !values.length;
    const best = search.values.reduce((before, one) => (finite(one.best) ? one.best : before), null);
    chart.setAttribute("aria-label", `${search.objective} of ${plural(values.length, "variant")} that ended, in the order in which they began; the best so far is ${best == null ? "not known" : written(best)}`);
    if (values.length) {
      const drawn = searchDrawing(search, Math.max(260, chart.clientWidth || 600), view.log(search.objective.replace(/^val_/, "")));
      chart.replaceChildren(drawn.root);
      const cut = drawn.cut ? " Values outside the axes, of variants that were stopped, are not shown." : "";
      say(note, `${search.objective}, ${best == null ? "no variant is trained to its end yet" : `the best so far is ${written(best)}`}. Blue: trained to the end; grey: stopped by a rule.${cut}`);
    }
    rungs.node.hidden = !search.rungs.length;
    rungs.draw(columns, search.rungs, "Rungs: after so many epochs a bracket's variants are compared, and the best are promoted");
    front.node.hidden = !search.front.length;
    front.draw([
      { name: "variant", value: (row) => row.variant, number: true },
      ...view.facts.hyperparameters.map((name, i) => ({ name, value: (row) => view.variant.get(row.variant).hyperparameters[i] })),
      ...search.objectives.map((name, i) => ({ name, value: (row) => row.values[i], number: true })),
    ], search.front, `The front: no other variant is as good in ${search.objectives.join(" and ")}, and better in one`);
  }
  return { node: section("Search", words, figure, rungs.node, front.node), empty: () => !view.facts.search, draw };
}
