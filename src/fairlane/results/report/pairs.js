// Two variants beside each other, replicate by replicate. In: a view (see report.js), whose metric and epoch are those that are explored.
// Out: an element that draws itself again when the view changes.

function pairPart(view, changed) {
  const { choice } = view;
  const first = chooser("Compare variant", (value) => { choice.pair[0] = Number(value); changed(); });
  const second = chooser("with", (value) => { choice.pair[1] = Number(value); changed(); });
  const words = html("p", { "aria-live": "polite" });
  const made = table("Two variants", (row) => row.replicate, true);
  const node = html("div", {}, html("div", { class: "row screen" }, first.node, second.node), words, made.node);

  function draw() {
    const { facts } = view;
    const { name } = view.explored();
    const known = new Set(facts.variants.map((variant) => variant.number));
    const order = [...facts.compared.map((row) => row.variant), ...known].filter((number, i, all) => all.indexOf(number) === i);
    const [a, b] = [0, 1].map((i) => (known.has(choice.pair[i]) ? choice.pair[i] : order[i]));
    const options = order.map((number) => [String(number), `${number}: ${view.variant.get(number).label}`]);
    first.draw(options, String(a));
    second.draw(options, String(b));
    const valueOf = trialValue(view);
    const values = (number) => new Map(countedTrials(view, number).map((trial) => [replicate(trial), valueOf(trial)]));
    const [of, against] = [values(a), values(b)];
    const rows = [...of].filter(([one, value]) => finite(value) && finite(against.get(one)))
      .map(([one, value]) => ({ replicate: one, a: value, b: against.get(one), difference: value - against.get(one) }));
    made.node.hidden = !rows.length;
    made.draw([
      { name: "replicate", value: (row) => row.replicate },
      { name: `variant ${a}`, value: (row) => row.a, number: true },
      { name: `variant ${b}`, value: (row) => row.b, number: true },
      { name: "difference", value: (row) => row.difference, number: true },
    ], rows, `${name} of both variants`);
    const mean = rows.reduce((sum, row) => sum + row.difference, 0) / rows.length;
    const lower = rows.filter((row) => row.difference < 0).length;
    const said = `Variant ${a} minus variant ${b}: ${written(mean)} on average, below 0 in ${lower} of ${plural(rows.length, "pair")}. Of two variants that were chosen after a look at the values, this shows more than there is.`;
    say(words, rows.length ? said : `Variants ${a} and ${b} have no replicate in common that counts.`);
  }
  return { node, draw };
}
