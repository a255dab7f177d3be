// The page of all studies. In: the answers of `fairlane.ui.board.Board.studies`.

const given = JSON.parse(document.getElementById("facts").textContent);
const status = html("p", { role: "status" }, "Reading the store …");
const studies = table("Studies, the oldest first", (row) => row.address, false);
const main = html("main", { class: "studies" }, studies.node);
const root = document.getElementById("report");
studies.node.hidden = true;
root.append(html("header", {}, html("h1", {}, "Studies"), html("p", { class: "faint" }, given.place), status), main);
if (given.notice) document.getElementById("live").append(html("p", { class: "notice" }, given.notice));

// What is known of the best variant of each study, by the study's query: {of: the state that it is of, next: when it may be asked again, found}.
const bests = new Map();
const bestOf = (row) => (bests.get(row.query) || {}).found || null;
const chosen = new Set();
const boxOf = (row) => html("input", { type: "checkbox", checked: chosen.has(row.query), "aria-label": `Compare ${row.name}`, onchange: (event) => { chosen[event.target.checked ? "add" : "delete"](row.query); offerComparison(); } });

// The value, and in lines below it the interval, and whether it is provisional.
function bestInWords(best) {
  if (!best || best.mean == null) return html("span", { class: "faint", title: best ? best.words : null }, best ? "none yet" : "");
  const below = [best.low == null ? "" : `${written(best.low)} to ${written(best.high)}`, best.provisional ? "provisional" : ""].filter(Boolean);
  return [written(best.mean), below.map((text) => [html("br"), html("span", { class: "faint" }, text)])];
}

const columns = [
  { name: "study", long: true, value: (row) => row.name, text: (row) => `${known.length > 1} ${row.name}`, cell: (row) => [known.length > 1 ? boxOf(row) : null, html("a", { href: row.address }, row.name)] },
  { name: "best value", value: (row) => (bestOf(row) || {}).mean, text: (row) => JSON.stringify(bestOf(row)), cell: (row) => bestInWords(bestOf(row)) },
  {
    name: "progress", value: (row) => (row.planned ? row.epochs / row.planned : null), text: (row) => `${progressOf(row)}, ${statesOf(row)}, ${left.get(row.query)}`,
    cell: (row) => [barOf(row, "Epochs done"), html("br"), progressOf(row), html("br"), statesOf(row), left.get(row.query) ? [html("br"), html("span", { class: "faint" }, left.get(row.query))] : null, lost(row) ? [html("br"), html("strong", { class: "lost" }, lostInWords(row))] : null],
  },
  { name: "metric", value: (row) => ((bestOf(row) || {}).mean == null ? null : bestOf(row).metric) },
  { name: "best variant", long: true, value: (row) => (bestOf(row) || {}).variant },
  { name: "started", value: (row) => row.created, text: (row) => localTime(row.created), cell: (row) => html("time", { title: row.begun }, localTime(row.created)) },
  { name: "trained now by", value: (row) => row.writer },
];
let known = null;

// The time where the reader is; that in UTC is its title.
function localTime(seconds) {
  return new Date(1000 * seconds).toLocaleString([], { dateStyle: "medium", timeStyle: "short", hour12: false });
}

// The studies whose names have the text that is searched.
const search = html("input", { type: "search", placeholder: "Find a study", "aria-label": "Find a study", oninput: () => { fill(); readBests(); } });
const found = html("p", { class: "faint" });
search.hidden = true;
const comparison = html("a", { class: "button", hidden: true });
main.prepend(html("div", { class: "row" }, search, comparison), found);

function offerComparison() {
  const asked = known.filter((study) => chosen.has(study.query)).map((study) => study.query);
  comparison.hidden = asked.length < 2;
  comparison.href = `compare?${asked.join("&")}`;
  say(comparison, `Compare ${plural(asked.length, "study", "studies")}`);
}

// Reads the best variants of the studies that are shown, one after another; that of a study in training not at each epoch.
const AGAIN = 10000, CAREFUL = 20; // milliseconds; and how many times as long as the last answer took
let reading = false;
const stateOf = (study) => JSON.stringify([study.trials, study.epochs, study.states, study.created]);
function nextBest() {
  const now = performance.now();
  return shown().find((study) => {
    const had = bests.get(study.query);
    return !had || (had.of !== stateOf(study) && now >= had.next);
  });
}
async function readBests() {
  if (reading) return;
  reading = true;
  for (let study = nextBest(); study && !document.hidden; study = nextBest()) {
    const began = performance.now(), of = stateOf(study), had = bests.get(study.query);
    const found = await fetch(`best.json?${study.query}`, { cache: "no-store" }).then((answer) => answer.json()).catch(() => null);
    const took = performance.now() - began;
    // What could not be read is asked again later, and what was known stays.
    const read = found && !found.error, wait = !read || study.writer ? Math.max(AGAIN, CAREFUL * took) : 0;
    bests.set(study.query, { of: read ? of : null, next: performance.now() + wait, found: read ? found : had && had.found });
    fill();
  }
  reading = false;
}
function fill() {
  search.hidden = known.length < 2;
  const some = shown();
  say(found, search.value ? `${some.length} of ${plural(known.length, "study", "studies")}` : "");
  studies.draw(columns, some);
  offerComparison();
}
const shown = () => known.filter((study) => study.name.toLowerCase().includes(search.value.toLowerCase()));

const [paces, left] = [new Map(), new Map()]; // by the study's query: what measures its pace, and how long it will take
function show(told) {
  known = told.studies;
  for (const study of known) {
    if (!paces.has(study.query)) paces.set(study.query, pacer());
    left.set(study.query, paces.get(study.query)(study));
  }
  studies.node.hidden = !known.length;
  fill();
  readBests();
  return known.some((study) => study.writer);
}

follow("studies.json", show, (problem, since) => {
  const count = known ? known.filter((study) => study.writer).length : 0;
  const some = `${count} of ${plural(known ? known.length : 0, "study", "studies")} ${count === 1 ? "is" : "are"} trained now.`;
  const now = known && known.length ? some : "There is no study in this store yet.";
  say(status, problem ? troubled(problem, since, known) : now);
  status.classList.toggle("trouble", Boolean(problem));
});
