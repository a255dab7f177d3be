// Pairs of values → how far two variants differ, and how likely chance alone gives that. In: a value per replicate of each of two variants.
// Out: the mean difference, its interval, and a p-value, as `fairlane.results.pairs` and `fairlane.results.folds` compute them. What so
// few pairs can't say is null, never a number.

const COMBINATIONS = 9999; // of signs that are tried at most, as in Python
const EXACT = 1e-12;

// The share of Student's distribution between -t and t, for a whole number of degrees of freedom: the finite sum over powers of the
// cosine of the angle whose tangent is t / sqrt(degrees).
function studentWithin(t, degrees) {
  const angle = Math.atan(Math.abs(t) / Math.sqrt(degrees)), odd = degrees % 2;
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
  let term = odd ? cosine : 1, sum = degrees === 1 ? 0 : term;
  for (let k = odd ? 3 : 2; k <= degrees - 2; k += 2) {
    term *= ((k - 1) / k) * cosine * cosine;
    sum += term;
  }
  return odd ? (2 / Math.PI) * (angle + sine * sum) : sine * sum;
}

// The t between whose two signs this share lies.
function studentQuantile(share, degrees) {
  let [low, high] = [0, 1];
  while (studentWithin(high, degrees) < share) high *= 2;
  for (let i = 0; i < 80; i++) {
    const middle = (low + high) / 2;
    if (studentWithin(middle, degrees) < share) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

const meanOf = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

// How many combinations of signs are tried, and the smallest p-value that they can give.
const allSigns = (pairs) => 2 ** pairs <= COMBINATIONS;
const leastPValue = (pairs) => Math.min(1, 2 / (allSigns(pairs) ? 2 ** pairs : COMBINATIONS + 1));

// The share of combinations of signs whose mean is at least as far from 0. With many pairs, combinations are drawn by a fixed generator.
function signFlips(differences) {
  const n = differences.length, whole = allSigns(n);
  const scale = Math.max(...differences.map(Math.abs)) || 1;
  const scaled = differences.map((value) => value / scale);
  const far = (signs) => Math.abs(meanOf(scaled.map((value, i) => (signs(i) ? -value : value))));
  const least = far(() => false) - EXACT;
  let state = 1, as = 0;
  const draw = () => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) >= 2 ** 31;
  for (let i = 0; i < (whole ? 2 ** n : COMBINATIONS); i++) {
    const drawn = whole ? null : scaled.map(draw);
    as += far(whole ? (k) => (i >> k) & 1 : (k) => drawn[k]) >= least;
  }
  return whole ? as / 2 ** n : (as + 1) / (COMBINATIONS + 1);
}

// The mean of each fold, or every value where there are none.
function blocks(differences, folds) {
  const of = new Map();
  differences.forEach((value, i) => of.set(folds ? folds[i] : i, [...(of.get(folds ? folds[i] : i) || []), value]));
  return [...of.values()].map(meanOf);
}

// {mean, low, high, p}: the mean difference, its interval, and the p-value, not corrected. `folds` has the fold of each difference, or is
// null; `share` is the number of validation samples per training sample of a fold.
function pairedOf(differences, folds, share, confidence) {
  const values = blocks(differences, folds), n = values.length, mean = meanOf(values);
  if (n < 2) return { mean, low: null, high: null, p: null };
  const variance = Math.max(...values) === Math.min(...values) ? 0 : values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (n - 1);
  const error = Math.sqrt((1 / n + (folds ? share : 0)) * variance);
  const reach = studentQuantile(confidence, n - 1) * error;
  const tested = folds ? (error ? 1 - studentWithin(mean / error, n - 1) : Number(mean === 0)) : signFlips(values);
  return { mean, low: mean - reach, high: mean + reach, p: tested };
}
