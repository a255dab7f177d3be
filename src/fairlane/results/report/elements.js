// Elements, numbers and tables for pages. In: plain data. Out: elements; all text is set as text, never as HTML.
"use strict";

// --- elements ---

function element(space, tag, attributes, children) {
  const made = space ? document.createElementNS(space, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value != null) made.setAttribute(name, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child != null)); // texts become text nodes
  return made;
}
const html = (tag, attributes, ...children) => element(null, tag, attributes, children);
const svg = (tag, attributes, ...children) => element("http://www.w3.org/2000/svg", tag, attributes, children);

function section(title, ...children) {
  const id = "s-" + title.toLowerCase().replace(/\W+/g, "-");
  return html("section", { "aria-labelledby": id }, html("h2", { id }, title), ...children);
}

function check(label, checked, change, swatch) {
  const box = html("input", { type: "checkbox", checked, onchange: () => change(box.checked) });
  return html("label", {}, box, swatch, label);
}

// --- updates that keep what the reader sees ---

// Puts nodes into a parent, in order. Nodes that are there already stay, with their focus, scroll position and open details.
function arrange(parent, nodes) {
  const [wanted, focused] = [new Set(nodes), document.activeElement];
  for (const child of [...parent.childNodes]) if (!wanted.has(child)) child.remove();
  nodes.forEach((node, i) => {
    if (parent.childNodes[i] !== node) parent.insertBefore(node, parent.childNodes[i] || null);
  });
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

// A function from items to what `make` makes of each. It is made once for each key, as long as the key is among the items.
function keeper(make) {
  let kept = new Map();
  return (items, keyOf) => {
    const before = kept;
    kept = new Map(items.map((item) => [keyOf(item), before.get(keyOf(item)) || make(item)]));
    return items.map((item) => kept.get(keyOf(item)));
  };
}

// A function that fills a node with what `make` makes of plain data, if the data differ from the last time.
function filler(node, make) {
  let before;
  return (given) => {
    const now = JSON.stringify(given);
    if (now !== before) node.replaceChildren(...[make(given)].flat(Infinity).filter((child) => child != null));
    before = now;
  };
}

function say(node, text) {
  if (node.textContent !== text) node.textContent = text; // otherwise a screen reader would say the same text again
}

// --- numbers ---

const finite = (value) => typeof value === "number" && Number.isFinite(value);

function written(value) {
  if (value == null) return "";
  if (typeof value !== "number") return String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e7) return String(value);
  return size !== 0 && (size < 1e-4 || size >= 1e7) ? value.toExponential(2).replace(/\.?0+e/, "e").replace("e+", "e") : String(Number(value.toPrecision(4)));
}

function plural(n, word, words) {
  return n + " " + (n === 1 ? word : words || word + "s");
}

function compare(a, b) {
  if (finite(a) && finite(b)) return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

// Ascending or descending; NaN comes after the numbers, and missing values come last, in both orders.
function sorted(rows, value, descending) {
  const rank = (v) => (v == null || v === "" ? 2 : finite(v) || typeof v !== "string" ? 0 : v === "NaN" ? 1 : 0);
  return rows
    .map((row, i) => ({ row, i, value: value(row) }))
    .sort((a, b) => rank(a.value) - rank(b.value)
      || (rank(a.value) ? 0 : compare(a.value, b.value) * (descending ? -1 : 1)) || a.i - b.i)
    .map((one) => one.row);
}

// --- tables ---

// A row is known by `key(row)`. `draw(columns, rows, words)` brings the table up to date; columns are
// {name, value(row), text(row)?, cell(row)?, number?, long?, mark(row)?}.
function table(caption, key, tall) {
  const order = { key: null, descending: false };
  const [head, body, captioned] = [html("tr"), html("tbody"), html("caption", {}, caption)];
  const headOf = keeper((column) => html("th", { scope: "col", class: column.number ? "number" : null },
    html("button", { type: "button", onclick: () => sortBy(column.key) }, column.name)));
  let [columns, rows, rowOf] = [[], [], null];

  // The reader chooses columns; the file has the rows and columns that are shown.
  const left = new Set();
  const [boxes, picked] = [html("div", { class: "row" }), html("details", { class: "columns" }, html("summary", {}, "Columns"))];
  picked.append(boxes);
  const boxOf = keeper((column) => check(column.name, true, (on) => { left[on ? "delete" : "add"](column.key); rowOf = null; redraw(); }));
  let redraw = () => {};
  const ordered = () => {
    const by = columns.find((column) => column.key === order.key);
    return by ? sorted(rows, by.value, order.descending) : rows;
  };
  const save = html("button", { type: "button", "aria-label": `Save as CSV: ${caption}`, onclick: () => offer(fileName(caption) + ".csv", new Blob([csvOf(columns, ordered())], { type: "text/csv" })) }, "CSV");

  function sortBy(chosen) {
    order.descending = order.key === chosen && !order.descending;
    order.key = chosen;
    fill();
  }

  function write(one, row) {
    columns.forEach((column, i) => {
      const text = column.text ? column.text(row) : written(column.value(row));
      const classes = [column.number && "number", column.long && "long", column.mark && column.mark(row)].filter(Boolean).join(" ");
      const had = one.cells[i];
      if (had && had.text === text && had.classes === classes) return;
      const node = html("td", { class: classes || null }, column.cell ? column.cell(row) : text);
      if (had) had.node.replaceWith(node);
      else one.node.append(node);
      one.cells[i] = { node, text, classes };
    });
    return one.node;
  }

  function fill() {
    const by = columns.find((column) => column.key === order.key);
    const shown = ordered();
    headOf(columns, (column) => column.key).forEach((node, i) => {
      if (columns[i] !== by) node.removeAttribute("aria-sort");
      else node.setAttribute("aria-sort", order.descending ? "descending" : "ascending");
    });
    arrange(body, rowOf(shown, key).map((one, i) => write(one, shown[i])));
  }

  function draw(given, of, words) {
    const count = new Map(); // a log may have the name of a hyperparameter
    const all = given.map((column) => {
      count.set(column.name, (count.get(column.name) || 0) + 1);
      return { ...column, key: `${count.get(column.name)} ${column.name}` };
    });
    const keyed = all.filter((column) => !left.has(column.key));
    redraw = () => draw(given, of, words);
    arrange(boxes, boxOf(all, (column) => column.key));
    picked.hidden = all.length < 5;
    const shape = (some) => JSON.stringify(some.map((column) => column.key));
    if (!rowOf || shape(keyed) !== shape(columns)) rowOf = keeper(() => ({ node: html("tr"), cells: [] }));
    [columns, rows] = [keyed, of];
    arrange(head, headOf(columns, (column) => column.key));
    say(captioned, words || caption);
    fill();
  }

  const scroll = html("div", { class: tall ? "scroll tall" : "scroll", role: "region", tabindex: 0, "aria-label": caption },
    html("table", {}, captioned, html("thead", {}, head), body));
  const node = html("div", { class: "tabled" }, html("div", { class: "row screen tools" }, save, picked), scroll);
  return { node, draw };
}
