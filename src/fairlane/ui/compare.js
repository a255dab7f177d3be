// The page that compares studies. In: the answers of `fairlane.ui.board.Board.study`, for each study.

const given = JSON.parse(document.getElementById("facts").textContent);
const root = document.getElementById("report");
const status = html("p", { role: "status" }, "Reading the studies …");
const main = html("main");
document.getElementById("live").append(html("nav", { "aria-label": "Store" }, html("a", { href: "./" }, "All studies")), status);
root.append(html("header", {}, html("h1", {}, "Studies compared")), main);

const [read, problems] = [new Map(), new Map()];
const { queries } = given;
const made = table("The best variant of each study", (facts) => facts.live.name, false);
const differing = table("What was requested differently", (row) => row.name, true);
const words = html("p", { class: "faint" });
const bests = section("Best variants", made.node, words);
const differences = section("Requests", differing.node);
let [view, drawn] = [null, null];

const interval = (row) => (row && row.low != null ? `${written(row.low)} to ${written(row.high)}` : "");
const columns = [
  { name: "study", long: true, value: (facts) => facts.live.name, cell: (facts) => html("a", { href: facts.live.address }, facts.live.name) },
  { name: "mean", number: true, value: (facts) => (bestOf(facts) || {}).mean },
  { name: "interval", number: true, value: (facts) => (bestOf(facts) || {}).low, text: (facts) => interval(bestOf(facts)) },
  { name: "metric", value: (facts) => facts.verdict.metric },
  { name: "seeds", number: true, value: (facts) => (bestOf(facts) || {}).seeds },
  { name: "best variant", long: true, value: (facts) => (bestOf(facts) ? labelOf(facts, bestOf(facts).variant) : "none yet") },
  { name: "trials", value: (facts) => statesOf(facts.live) },
];

// A row for each part of the request that is not the same in all studies.
function requestsOf(all) {
  const parts = [...new Set(all.flatMap((facts) => facts.requested.map(([name]) => name)))];
  const of = all.map((facts) => new Map(facts.requested));
  return parts.map((name) => ({ name, texts: of.map((one) => one.get(name) || "") })).filter((row) => new Set(row.texts).size > 1);
}

function draw() {
  const all = queries.map((query) => read.get(query)).filter(Boolean);
  if (!all.length) return;
  made.draw(columns, all);
  const metrics = new Set(all.map((facts) => facts.verdict.metric));
  const other = metrics.size > 1 ? " They are ranked by different metrics here, so their means can't be compared." : "";
  say(words, `Each best variant was chosen by the values that are shown, so it looks better than it is. There is no p-value: studies may have other data, and seeds that can't be paired.${other}`);
  const rows = requestsOf(all);
  differing.draw([{ name: "what", value: (row) => row.name }, ...all.map((facts, i) => ({ name: facts.live.name, long: true, value: (row) => row.texts[i] }))], rows);
  const facts = together(queries.map((query) => read.get(query)));
  if (view) view.take(facts);
  else {
    view = viewOf(facts, choices());
    drawn = curves(view, () => drawn.draw());
  }
  arrange(main, [bests, ...(facts.variants.length ? [drawn.node] : []), ...(rows.length ? [differences] : [])]);
  if (facts.variants.length) drawn.draw();
}

function tell() {
  const some = [...problems].filter(([, problem]) => problem);
  const training = [...read.values()].filter((facts) => facts.live.writer).length;
  const now = `${training} of ${plural(queries.length, "study", "studies")} ${training === 1 ? "is" : "are"} trained now.`;
  say(status, queries.length < 2 ? "Choose two studies or more on the page of all studies." : some.length ? [...new Set(some.map(([, problem]) => problem))].join(" ") : read.size < queries.length ? "Reading the studies …" : now);
  status.classList.toggle("trouble", some.length > 0);
}

queries.forEach((query) => follow(`study.json?${query}`, (facts) => {
  read.set(query, facts);
  draw();
  return Boolean(facts.live.writer);
}, (problem, since) => {
  problems.set(query, problem ? troubled(problem, since, read.has(query)) : null);
  tell();
}));
if (!queries.length) tell();
let width = root.clientWidth;
addEventListener("resize", () => { if (root.clientWidth !== width) { width = root.clientWidth; draw(); } });
