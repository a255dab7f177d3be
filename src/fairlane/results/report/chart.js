// A metric's curves → a drawing. In: a view, which holds the facts and what is chosen of them (see report.js). Out: the curves to
// draw, scales, and an element of SVG.

const COLOURS = 8; // so many variants have a colour each; with more, only the best of those that are chosen
const CHART = { height: 270, left: 56, right: 14, top: 10, bottom: 38 };

// --- curves: what to draw ---

// A curve is {key, variant, training, thin, label, sound, points: [{epoch, value, low?, high?}]}; a value that is not a number
// is a gap. Epochs count from 1 here, as on the screen in Keras, and from 0 in the facts, as in its callbacks. `sound` says that the trial did not fail, diverge or stop.
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
  const shown = found.filter((curve) => curve.points.some((point) => finite(point.value)));
  const { smoothing } = view.choice;
  return smoothing ? shown.map((curve) => ({ ...curve, label: `${curve.label}, smoothed`, points: smoothed(curve.points, smoothing) })) : shown;
}

// An exponential moving average without the bias of its start; bands go with their means. A gap stays a gap.
function smoothed(points, weight) {
  const sums = { value: 0, low: 0, high: 0 };
  let total = 0;
  return points.map((point) => {
    if (!finite(point.value)) return point;
    total = weight * total + (1 - weight);
    const at = (name) => {
      if (!finite(point[name])) return point[name];
      sums[name] = weight * sums[name] + (1 - weight) * point[name];
      return sums[name] / total;
    };
    return { ...point, value: at("value"), low: at("low"), high: at("high") };
  });
}

// Which replicate of its variant a trial is: `seed 0`, or `seed 0, fold 3`.
const replicate = (trial) => (trial.fold == null ? `seed ${trial.seed}` : `seed ${trial.seed}, fold ${trial.fold}`);

function curveOf(variant, trial, place, training) {
  return {
    key: `${training} trial ${trial.number}`, variant: variant.number, training, thin: false,
    label: `${variant.label}, ${replicate(trial)}, ${training ? "training" : "validation"}`,
    sound: trial.state === "done" || trial.state === "running",
    points: trial.epochs.map((epoch, i) => ({ epoch: epoch + 1, value: trial.curves[place][i] })),
  };
}

// The mean over the trials that count. Thin curves beside it: trials in training that do not count yet, and seeds that are too
// few for a band.
function averaged(variant, trials, place, training) {
  const counted = trials.filter((trial) => variant.counted.includes(trial.number));
  const { means } = variant;
  const beside = trials.filter((trial) => (means && !means.low && counted.includes(trial)) || (trial.state === "running" && !counted.includes(trial)));
  const thin = beside.map((trial) => ({ ...curveOf(variant, trial, place, training), thin: true }));
  if (!counted.length) return thin;
  const mean = {
    ...curveOf(variant, counted[0], place, training), key: `${training} variant ${variant.number}`,
    label: `${variant.label}, ${counted.length === 1 ? replicate(counted[0]) : `mean of ${counted.length} ${counted[0].fold == null ? "seeds" : "trials"}`}, ${training ? "training" : "validation"}`,
  };
  if (means) {
    mean.points = means.epochs.map((epoch, i) => ({
      epoch: epoch + 1, value: means.values[place][i], low: means.low && means.low[place][i], high: means.high && means.high[place][i],
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
  return { pixel, shows, low, high, ticks: useLog ? logTicks(low, high) : ticks(low, high, about) };
}

// The values without those that are far from 98 in 100 of the others: they would flatten all curves.
const FAR = 3; // times the range of the others
function withoutOutliers(values) {
  const ordered = [...values].sort((a, b) => a - b);
  const at = (share) => ordered[Math.round(share * (ordered.length - 1))];
  const [low, high] = [at(0.01), at(0.99)];
  const reach = FAR * (high - low);
  if (!(reach > 0)) return values;
  return values.filter((value) => value >= low - reach && value <= high + reach);
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

// An empty drawing with its axes: whole numbers below, values at the left.
function axesOf(x, y, width, below) {
  const { height, left, right, bottom } = CHART;
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  for (const tick of y.ticks) {
    const at = y.pixel(tick);
    root.append(svg("line", { class: "grid", x1: left, x2: width - right, y1: at, y2: at }),
      svg("text", { x: left - 6, y: at + 4, "text-anchor": "end" }, written(tick)));
  }
  for (const tick of x.ticks.filter(Number.isInteger)) {
    root.append(svg("text", { x: x.pixel(tick), y: height - bottom + 17, "text-anchor": "middle" }, String(tick)));
  }
  root.append(svg("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, below));
  return root;
}

function drawing(curves, width, log, colour, best) {
  const { height, left, right, top, bottom } = CHART;
  const pointsOf = (some) => some.flatMap((curve) => curve.points.filter((point) => finite(point.value)));
  const x = scaleOf(pointsOf(curves).map((p) => p.epoch), left, width - right, false, Math.max(3, width / 90));
  // Diverged values may be larger than all others by many powers of ten, and intervals of few seeds are wide. The axis leaves
  // them out, because otherwise all other curves would look flat.
  const sound = curves.filter((curve) => curve.sound);
  const values = pointsOf(sound.length ? sound : curves).map((p) => p.value);
  const y = scaleOf(log ? values : withoutOutliers(values), height - bottom, top, log, 5);
  const root = axesOf(x, y, width, "epoch");
  const inside = svg("g", {});
  // Curves end at the axes; an id is the document's, so each drawing has its own.
  const id = `axes-${drawing.count = (drawing.count || 0) + 1}`;
  const box = { x: left - 6, y: top - 6, width: width - left - right + 12, height: height - top - bottom + 12 };
  root.append(svg("clipPath", { id }, svg("rect", box)), inside);
  inside.setAttribute("clip-path", `url(#${id})`);
  const validated = curves.some((curve) => !curve.training);
  const few = new Set(curves.map((curve) => curve.variant)).size <= COLOURS;
  for (const curve of curves.filter((one) => few && !(one.training && validated))) { // more bands would cover each other
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
    if (alone.length === 1) { // a path of one point is invisible
      inside.append(svg("circle", { class: `dot ${colour(curve.variant)}`, r: 3, cx: x.pixel(alone[0].epoch), cy: y.pixel(alone[0].value) }));
    }
  }
  const cut = pointsOf(curves).some((point) => !y.shows(point.value));
  for (const curve of curves) { // where a curve leaves the axes
    const up = curve.points.find((point) => finite(point.value) && point.value > y.high);
    const down = curve.points.find((point) => finite(point.value) && point.value < y.low);
    if (up) root.append(svg("path", { class: `dot outside ${colour(curve.variant)}`, d: `M${x.pixel(up.epoch) - 4} ${top + 7}h8l-4 -7z` }));
    if (down) root.append(svg("path", { class: `dot outside ${colour(curve.variant)}`, d: `M${x.pixel(down.epoch) - 4} ${height - bottom - 7}h8l-4 7z` }));
  }
  return { root, x: x.pixel, y: y.pixel, shows: (point) => finite(point.value) && y.shows(point.value), cut };
}
