// One metric's panel: its drawing, what is under the pointer, and its own choices. In: a view (see report.js). Out: an element that
// draws itself again when the view changes. What is pointed at in one panel is marked in the others, too.

const STEP = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

// One metric's curves. Text below says which point is under the pointer, or chosen with the arrow keys.
function panel(view, name) {
  const said = html("output", { class: "tip", "aria-live": "polite", hidden: true });
  const chart = html("div", {
    class: "chart", tabindex: 0, role: "group",
    "aria-label": `Curves of ${name}. Left and right arrow keys move through epochs, up and down through curves.`,
  });
  const note = html("p", { class: "faint" });
  const log = check("logarithmic", false, (on) => { view.choice.logs.set(name, on); draw(); });
  const tools = html("div", { class: "row screen tools" }, log, pictureButtons(name, () => drawn && drawn.root));
  const node = html("figure", { class: "panel" }, html("h3", {}, name), tools, chart, note, said);
  let curves = [], drawn = null, mark = null, at = null;

  function draw() {
    curves = curvesOf(view, view.facts.metrics.find((metric) => metric.name === name));
    drawn = curves.length ? drawing(curves, Math.max(260, chart.clientWidth || 600), view.log(name), view.colour, view.best()) : null;
    log.querySelector("input").checked = view.log(name);
    say(note, drawn && drawn.cut ? "\u25b2 and \u25bc mark curves that leave the axes, so that one far value does not flatten all others." : "");
    chart.replaceChildren(drawn ? drawn.root : html("p", { class: "faint" }, "Nothing to draw: choose a variant that has values."));
    const curve = at && curves.find((one) => one.key === at.curve.key);
    const point = curve && curve.points.find((one) => one.epoch === at.point.epoch && drawn.shows(one));
    if (point) show(curve, point);
    else forget();
  }

  function forget() {
    [at, mark] = [null, null];
    chart.classList.remove("chosen");
    say(said, "");
    said.hidden = true;
  }

  function choose(curve, point) {
    show(curve, point);
    view.panels.filter((one) => one.node !== node).forEach((one) => one.follow(curve.key, point.epoch));
  }

  // The same curve and epoch as in another panel.
  function follow(key, epoch) {
    const curve = drawn && curves.find((one) => one.key === key);
    const point = curve && curve.points.find((one) => one.epoch === epoch && drawn.shows(one));
    if (point) show(curve, point);
    else if (drawn && at) draw();
  }

  function show(curve, point) {
    at = { curve, point };
    curves.forEach((one) => one.node.classList.toggle("now", one === curve));
    chart.classList.add("chosen");
    if (mark) mark.remove();
    mark = svg("circle", { class: `mark ${view.colour(curve.variant)}`, r: 5, cx: drawn.x(point.epoch), cy: drawn.y(point.value) });
    drawn.root.append(mark);
    const percent = written(100 * view.facts.confidence);
    const range = finite(point.low) ? ` (${percent} % interval ${written(point.low)} to ${written(point.high)})` : "";
    say(said, `Epoch ${point.epoch}: ${written(point.value)}${range}. ${curve.label}`);
    place(point);
  }

  // The text stands beside the point, on the side where there is more room.
  function place(point) {
    const box = drawn.root.getBoundingClientRect(), scale = box.width / drawn.root.viewBox.baseVal.width;
    const x = drawn.x(point.epoch) * scale, right = x > box.width / 2;
    said.hidden = false;
    said.style.left = right ? "auto" : `${x + 12}px`;
    said.style.right = right ? `${box.width - x + 12}px` : "auto";
    said.style.top = `${chart.offsetTop + drawn.y(point.value) * scale - 10}px`;
  }

  function nearest(event) {
    if (!drawn) return;
    const box = drawn.root.getBoundingClientRect();
    const scale = drawn.root.viewBox.baseVal.width / box.width;
    const [px, py] = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    let closest = Infinity, found = null;
    for (const curve of curves) {
      for (const point of curve.points) {
        if (!drawn.shows(point)) continue;
        const far = Math.hypot((drawn.x(point.epoch) - px) * 2, drawn.y(point.value) - py); // the epoch first
        if (far < closest) [closest, found] = [far, [curve, point]];
      }
    }
    if (found) choose(...found);
  }

  function step(event) {
    if (!drawn || !(event.key in STEP)) return;
    event.preventDefault();
    const [along, across] = STEP[event.key];
    const visible = curves.filter((curve) => curve.points.some(drawn.shows));
    if (!at) {
      const curve = visible[0];
      choose(curve, curve.points.find(drawn.shows));
      return;
    }
    const curve = visible[(visible.indexOf(at.curve) + across + visible.length) % visible.length];
    const points = curve.points.filter(drawn.shows);
    const near = points.reduce((a, b) => (Math.abs(b.epoch - at.point.epoch) < Math.abs(a.epoch - at.point.epoch) ? b : a));
    choose(curve, points[Math.min(points.length - 1, Math.max(0, points.indexOf(near) + along))]);
  }

  function leave() {
    view.panels.forEach((one) => one.release());
  }

  function release() {
    at = null;
    if (drawn) draw();
  }

  chart.addEventListener("pointermove", nearest);
  chart.addEventListener("pointerdown", nearest);
  chart.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") leave(); });
  chart.addEventListener("keydown", step);
  return { node, draw, follow, release };
}
