// The page of one study. In: the answers of `fairlane.ui.board.Board.study`.

const given = JSON.parse(document.getElementById("facts").textContent);
const root = document.getElementById("report");
const status = html("p", { role: "status" }, "Reading the study …");
const [bar, words] = [html("span"), html("span")];
const progress = html("p", { class: "progress", hidden: true }, bar, words);
const [running, left] = [runningPart(), pacer()];
const back = html("nav", { "aria-label": "Store" }, html("a", { href: "./" }, "All studies"));
document.getElementById("live").append(back, status, progress, running.node);
const fill = filler(bar, (one) => barOf(one, "Epochs done"));
let [live, update] = [null, null];

const keep = keeperOfNotes(given.writes, () => live.name, () => document.dispatchEvent(new Event("visibilitychange"))); // asks again at once

function show(facts) {
  live = { ...facts.live, search: Boolean(facts.search) };
  document.title = facts.title;
  progress.hidden = false;
  fill(live);
  running.draw(facts);
  if (update) update(facts);
  else update = report(root, facts, keep);
  return Boolean(live.writer);
}

function now() {
  const call = live.search ? "search" : "compare";
  const open = ["waiting", "running", "interrupted"].reduce((sum, state) => sum + (live.states[state] || 0), 0);
  if (live.writer && !live.epochs) return `Compiling now, before the first epoch ends: ${live.writer}.`;
  if (live.writer) return `Training now: ${live.writer}.`;
  if (open) return `No process trains it now, and ${plural(open, "trial has", "trials have")} not ended. To continue, make the same call of ${call} again.`;
  return "Finished.";
}

// How far it is, and how long the rest takes; a search may propose more.
function far() {
  const rest = left(live), proposed = rest && live.search ? ", for the trials that are proposed by now" : "";
  return [progressOf(live), rest + proposed].filter(Boolean).join(", ");
}

follow("study.json" + location.search, show, (problem, since) => {
  say(status, problem ? troubled(problem, since, live) : now());
  if (live) say(words, problem ? progressOf(live) : far());
  status.classList.toggle("trouble", Boolean(problem));
});
