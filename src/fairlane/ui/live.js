// Requests updates from this server, while the page is visible.

// The token with which notes can be written stays in this tab, and not in its address.
const TOKEN = "fairlane token";
function takeToken() {
  const printed = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!printed) return;
  sessionStorage.setItem(TOKEN, printed);
  history.replaceState(null, "", location.pathname + location.search);
}
takeToken();
addEventListener("hashchange", takeToken); // a newer address, opened where the page is open already

const STATES = ["done", "stopped", "running", "waiting", "diverged", "failed", "interrupted"];
const FAST = 2000, SLOW = 10000; // milliseconds between two requests, while something is trained, and otherwise
const PATIENCE = 4; // a page waits at least this many times as long as the last answer took, so that a large study costs little

// `show(told)` receives a new answer, and returns whether more is expected soon. `status(problem, since)` receives after every
// request the problem and its start, or null.
function follow(address, show, status) {
  let [version, since, timer, asking, soon] = [null, null, null, false, false];

  async function news() {
    let answer;
    try {
      answer = await fetch(address, { cache: "no-store", headers: version ? { "If-None-Match": version } : {} });
    } catch {
      return "fairlane ui does not answer. Has it ended?";
    }
    if (answer.status === 304) return null;
    const told = await answer.json().catch(() => null);
    if (!answer.ok || !told) return (told && told.error) || `fairlane ui has failed (${answer.status}); its terminal says why.`;
    version = answer.headers.get("ETag");
    soon = show(told);
    return null;
  }

  async function ask() {
    if (asking || document.hidden) return; // when it is visible again, it asks immediately
    asking = true;
    const began = performance.now();
    const problem = await news();
    asking = false;
    since = problem ? since || new Date() : null;
    status(problem, since);
    const wait = Math.max(soon || problem ? FAST : SLOW, PATIENCE * (performance.now() - began));
    clearTimeout(timer);
    timer = setTimeout(ask, wait);
  }

  document.addEventListener("visibilitychange", ask);
  ask();
}

function troubled(problem, since, known) {
  const before = known ? " The page shows older data." : "";
  return `Since ${since.toLocaleTimeString([], { hour12: false })}: ${problem}${/[.?]$/.test(problem) ? "" : "."}${before}`;
}

// How many trials are in each state, in words.
function statesOf(one) {
  return STATES.filter((state) => one.states[state]).map((state) => `${one.states[state]} ${state}`).join(", ");
}

// Epochs done, of those planned: a bar, and a text beside it.
function progressOf(one) {
  return one.planned ? `${one.epochs} of ${plural(one.planned, "epoch")}` : plural(one.epochs, "epoch");
}
function barOf(one, label) {
  return html("progress", { class: lost(one) ? "troubled" : null, max: Math.max(1, one.planned), value: one.epochs, "aria-label": label });
}

// How many trials failed or diverged: a bar of epochs may be full all the same.
const lost = (one) => (one.states.failed || 0) + (one.states.diverged || 0);
const lostInWords = (one) => (lost(one) ? `${lost(one)} of ${plural(one.trials, "trial")} failed or diverged` : "");
