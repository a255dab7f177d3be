// The page of all studies. In: the answers of `fairlane.ui.board.Board.studies`.

const given = JSON.parse(document.getElementById("facts").textContent);
const status = html("p", { role: "status" }, "Reading the store …");
const studies = table("Studies, the oldest first", (row) => row.address, false);
const main = html("main", { class: "studies" }, studies.node);
const root = document.getElementById("report");
studies.node.hidden = true;
root.append(html("header", {}, html("h1", {}, "Studies"), html("p", { class: "faint" }, given.place), status), main);
if (given.notice) document.getElementById("live").append(html("p", { class: "notice" }, given.notice));

const columns = [
  { name: "study", long: true, value: (row) => row.name, cell: (row) => html("a", { href: row.address }, row.name) },
  {
    name: "progress", value: (row) => (row.planned ? row.epochs / row.planned : null), text: (row) => `${progressOf(row)}, ${statesOf(row)}`,
    cell: (row) => [barOf(row, "Epochs done"), html("br"), progressOf(row), html("br"), statesOf(row), lost(row) ? [html("br"), html("strong", { class: "lost" }, lostInWords(row))] : null],
  },
  { name: "started", value: (row) => row.created, text: (row) => localTime(row.created), cell: (row) => html("time", { title: row.begun }, localTime(row.created)) },
  { name: "trained now by", value: (row) => row.writer },
];
let known = null;

// The time where the reader is; that in UTC is its title.
function localTime(seconds) {
  return new Date(1000 * seconds).toLocaleString([], { dateStyle: "medium", timeStyle: "short", hour12: false });
}

// The studies whose names have the text that is searched.
const search = html("input", { type: "search", placeholder: "Find a study", "aria-label": "Find a study", oninput: fill });
const found = html("p", { class: "faint" });
search.hidden = true;
main.prepend(search, found);
function fill() {
  const shown = known.filter((study) => study.name.toLowerCase().includes(search.value.toLowerCase()));
  search.hidden = known.length < 2;
  say(found, search.value ? `${shown.length} of ${plural(known.length, "study", "studies")}` : "");
  studies.draw(columns, shown);
}

function show(told) {
  known = told.studies;
  studies.node.hidden = !known.length;
  fill();
  return known.some((study) => study.writer);
}

follow("studies.json", show, (problem, since) => {
  const count = known ? known.filter((study) => study.writer).length : 0;
  const some = `${count} of ${plural(known ? known.length : 0, "study", "studies")} ${count === 1 ? "is" : "are"} trained now.`;
  const now = known && known.length ? some : "There is no study in this store yet.";
  say(status, problem ? troubled(problem, since, known) : now);
  status.classList.toggle("trouble", Boolean(problem));
});
