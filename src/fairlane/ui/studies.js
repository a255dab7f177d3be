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
    cell: (row) => [barOf(row, "Epochs done"), html("br"), progressOf(row), html("br"), statesOf(row)],
  },
  { name: "started", value: (row) => row.begun },
  { name: "trained now by", value: (row) => row.writer },
];
let known = null;

function show(told) {
  known = told.studies;
  studies.node.hidden = !known.length;
  studies.draw(columns, known);
  return known.some((study) => study.writer);
}

follow("studies.json", show, (problem, since) => {
  const count = known ? known.filter((study) => study.writer).length : 0;
  const some = `${count} of ${plural(known ? known.length : 0, "study", "studies")} ${count === 1 ? "is" : "are"} trained now.`;
  const now = known && known.length ? some : "There is no study in this store yet.";
  say(status, problem ? troubled(problem, since, known) : now);
  status.classList.toggle("trouble", Boolean(problem));
});
