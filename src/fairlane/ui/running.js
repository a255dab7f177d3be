// What is trained now: how long the rest takes, and what runs where. In: the answers about a study. Out: words, and a section of the page.

const WINDOW = 60; // seconds over which the pace is measured
const SILENT = 3; // so many times as long as usual without an epoch, and the pace is not known any more

function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  return seconds < 48 * 3600 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86400)} days`;
}

// A function that is told how far a study is, again and again, and says how long the rest will take, or nothing. The pace is that between
// changes that the page has seen itself: what was before the first one may have been compilation.
function pacer(clock = () => performance.now() / 1000) {
  let seen = null, changes = [];
  return (one) => {
    const now = clock();
    if (!one.writer || (seen && one.epochs < seen.epochs)) [seen, changes] = [null, []];
    if (!one.writer) return "";
    if (seen && one.epochs > seen.epochs) changes.push({ at: now, epochs: one.epochs });
    seen = { epochs: one.epochs };
    while (changes.length > 2 && now - changes[1].at >= WINDOW) changes.shift();
    const [first, last] = [changes[0], changes.at(-1)], left = one.planned - one.epochs;
    if (changes.length < 3 || left <= 0) return "";
    const span = last.at - first.at, quiet = now - last.at;
    if (quiet > Math.max(10, (SILENT * span) / (changes.length - 1))) return `no epoch has ended for ${duration(quiet)}`;
    return `about ${duration((left * span) / (last.epochs - first.epochs))} left at the pace of the last ${duration(span)}`;
  };
}

// The trials that run, by the place where they do.
function placesOf(trials) {
  const places = new Map();
  for (const trial of trials.filter((one) => one.state === "running")) {
    const key = [trial.worker, trial.engine, trial.fleet ?? ""].join(" ");
    places.set(key, [...(places.get(key) || []), trial]);
  }
  return [...places].map(([key, some]) => ({ key, trials: some }));
}

const whereOf = ({ trials: [one] }) => (one.fleet != null ? `fleet ${one.fleet}, on lanes` : one.engine === "reference" ? "Model.fit, one trial at a time" : `${one.engine || "not placed"}, no fleet yet`);

const workerOf = ({ trials: [one] }) => one.worker;

// From the least to the most, of some numbers.
function rangeOf(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return low === high ? String(low) : `${low} to ${high}`;
}

function runningPart() {
  const made = table("What runs where", (row) => row.key, true);
  const waiting = html("p", { class: "faint" });
  const node = section("Running now", made.node, waiting);
  const epochs = (row) => row.trials.map((trial) => trial.epochs.length);
  const columns = (places) => [
    { name: "where", value: whereOf },
    ...(places.some(workerOf) ? [{ name: "worker", value: (row) => workerOf(row) || "the caller's process" }] : []),
    { name: "trials", number: true, value: (row) => row.trials.length },
    { name: "variants", number: true, value: (row) => new Set(row.trials.map((trial) => trial.variant)).size },
    { name: "epochs done by each", value: (row) => Math.min(...epochs(row)), text: (row) => rangeOf(epochs(row)) },
    { name: "state", value: (row) => (Math.max(...epochs(row)) ? "training" : "compiling, or in the first epoch") },
  ];
  return {
    node,
    draw(facts) {
      const places = facts.live.writer ? placesOf(facts.trials) : [];
      const wait = facts.trials.filter((trial) => trial.state === "waiting").length;
      node.hidden = !places.length;
      made.draw(columns(places), places);
      say(waiting, wait ? `${plural(wait, "trial waits", "trials wait")} for a place.` : "");
    },
  };
}
