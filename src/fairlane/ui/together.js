// The facts of several studies → facts of one, whose variants are the best of each study. In: for each study the JSON of `facts_of`, or
// nothing where it is not known yet, so that each has its place.
// Out: facts that the section "Curves" can draw (see report.js).

const bestOf = (facts) => (facts.compared.length ? facts.compared[0] : null);
const labelOf = (facts, number) => facts.variants.find((variant) => variant.number === number).label;

// For each log of any study: its place among the logs of each study, or null.
function logsOf(all) {
  const names = [...new Set(all.filter(Boolean).flatMap((facts) => facts.metrics.map((metric) => metric.name)))];
  return names.map((name) => {
    const of = all.map((facts) => (facts && facts.metrics.find((metric) => metric.name === name)) || {});
    return { name, training: of.map((one) => one.training ?? null), validation: of.map((one) => one.validation ?? null) };
  });
}

function together(all) {
  const logs = logsOf(all);
  const places = logs.flatMap((log) => [log.training, log.validation]);
  const there = (place) => (place.some((one) => one != null) ? places.indexOf(place) : null);
  const variants = [], trials = [];
  all.forEach((facts, study) => {
    const best = facts && bestOf(facts);
    if (!best) return;
    const from = facts.variants.find((variant) => variant.number === best.variant);
    const gaps = (epochs) => epochs.map(() => null);
    const moved = (values, epochs) => places.map((place) => (place[study] == null ? gaps(epochs) : values[place[study]]));
    const mine = facts.trials.filter((trial) => trial.variant === best.variant);
    const numbers = new Map(mine.map((trial, i) => [trial.number, trials.length + i]));
    const { means } = from;
    variants.push({
      number: study, label: `${facts.live.name}: ${from.label}`, hyperparameters: [], counted: from.counted.map((number) => numbers.get(number)),
      means: means && { epochs: means.epochs, values: moved(means.values, means.epochs), ...(means.low && { low: moved(means.low, means.epochs), high: moved(means.high, means.epochs) }) },
    });
    trials.push(...mine.map((trial) => ({ ...trial, number: numbers.get(trial.number), variant: study, curves: moved(trial.curves, trial.epochs) })));
  });
  return {
    ...all.find(Boolean), compared: [], hyperparameters: [], notes: [], tests: [], variants, trials,
    metrics: logs.map((log) => ({ name: log.name, training: there(log.training), validation: there(log.validation) })),
    directions: Object.assign({}, ...all.map((facts) => facts && facts.directions)),
  };
}
