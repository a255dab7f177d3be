// The values over two hyperparameters, as a map of cells; and which hyperparameters matter, as bars. In: axes and rows of the section
// "Explore" (see explore.js). Out: drawings.
//
// A cell has the mean of the variants in it. Nothing is drawn where no variant was trained.

const [MAP_FEW, MAP_BINS] = [12, 8]; // an axis of more numbers is cut into so many ranges
const MAP = { left: 84, right: 12, top: 30, bottom: 40, row: 26, least: 150, most: 420 };

// An axis as cells: {count, of(value) → place, texts: [{at, text}]}; `at` counts cells from the lower end, and may be an edge.
function cellsOf(axis, rows) {
  const values = [...new Set(rows.map(axis.of))].sort(compare);
  if (!axis.numeric || values.length <= MAP_FEW) {
    return { count: values.length, of: (value) => values.indexOf(value), texts: values.map((value, i) => ({ at: i + 0.5, text: written(value) })) };
  }
  const log = geometric(values);
  const f = log ? Math.log10 : (v) => v, back = log ? (v) => 10 ** v : (v) => v;
  const [low, high] = [f(values[0]), f(values.at(-1))];
  const of = (value) => Math.min(MAP_BINS - 1, Math.floor(((f(value) - low) / (high - low)) * MAP_BINS));
  const edge = (i) => written(Number(back(low + (i / MAP_BINS) * (high - low)).toPrecision(2)));
  return { count: MAP_BINS, of, texts: Array.from({ length: MAP_BINS + 1 }, (_, i) => ({ at: i, text: edge(i) })) };
}

// So few of the texts that none touches the next: each is `room` pixels from its neighbour.
function thinned(texts, room) {
  const widest = Math.max(...texts.map((one) => one.text.length)) * LETTER + 8;
  const step = Math.max(1, Math.ceil(widest / room));
  return texts.filter((_, i) => i % step === 0);
}

// Black or white, whichever is better read on a colour of the ramp.
function inkOn(share) {
  const [r, g, b] = RAMP[0].map((from, i) => (from + share * (RAMP[1][i] - from)) / 255);
  return 0.2126 * r ** 2.2 + 0.7152 * g ** 2.2 + 0.0722 * b ** 2.2 > 0.18 ? "black" : "white";
}

// A function from a value to its share of the colours, on a logarithmic scale where the curves have one; far values have the last colour.
function sharesOf(values, log) {
  const sound = withoutOutliers(values), f = log && Math.min(...values) > 0 ? Math.log10 : (v) => v;
  const [low, high] = [Math.min(...sound), Math.max(...sound)];
  const share = (value) => (high > low ? Math.min(1, Math.max(0, (f(value) - f(low)) / (f(high) - f(low)))) : 0.5);
  return { low, high, share };
}

function mapDrawing(across, up, rows, name, log, width) {
  const shown = rows.filter((row) => finite(row.value) && [across, up].every((axis) => axis.of(row) != null));
  const { left, right, top, bottom } = MAP;
  const [x, y] = [cellsOf(across, shown), cellsOf(up, shown)];
  const tall = Math.min(Math.max(MAP.least, y.count * MAP.row), Math.max(MAP.most, y.count * 14)), height = top + tall + bottom;
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${name} over ${across.name} and ${up.name}` });
  const [wide, high] = [(width - left - right) / x.count, tall / y.count];
  const cells = new Map();
  for (const row of shown) {
    const at = `${x.of(across.of(row))} ${y.of(up.of(row))}`;
    cells.set(at, [...(cells.get(at) || []), row.value]);
  }
  const colours = sharesOf([...cells.values()].map(meanOf), log);
  for (const [at, values] of cells) {
    const [i, j] = at.split(" ").map(Number), value = meanOf(values), share = colours.share(value);
    const cell = { x: left + i * wide, y: top + tall - (j + 1) * high };
    const box = svg("rect", { class: "cell", ...cell, width: Math.max(1, wide - 1), height: Math.max(1, high - 1), fill: rampOf(share) });
    root.append(svg("g", {}, svg("title", {}, `${written(value)}: ${values.length === 1 ? "one variant" : `mean of ${values.length} variants`}`), box));
    if (wide > 44 && high > 16) root.append(svg("text", { class: `in-cell ${inkOn(share)}`, x: cell.x + wide / 2, y: cell.y + high / 2 + 4, "text-anchor": "middle" }, written(Number(value.toPrecision(3)))));
  }
  const most = Math.max(3, Math.floor(wide / LETTER));
  for (const { at, text } of thinned(x.texts.map((one) => ({ ...one, text: cut(one.text, Math.max(most, 8)) })), wide)) root.append(svg("text", { x: left + at * wide, y: top + tall + 15, "text-anchor": "middle" }, text));
  const gap = high < 13 ? Math.ceil(13 / high) : 1;
  y.texts.filter((_, i) => i % gap === 0).forEach(({ at, text }) => root.append(svg("text", { x: left - 6, y: top + tall - at * high + 4, "text-anchor": "end" }, cut(text, 11))));
  root.append(svg("text", { x: left + (width - left - right) / 2, y: height - 6, "text-anchor": "middle" }, across.name), svg("text", { x: 4, y: 12 }, cut(up.name, 14)));
  if (shown.length) root.append(legendOf(colours, width - right, width > 420 ? `${name} ` : ""));
  return root;
}

// From the smallest to the largest colour, with the values at the ends.
function legendOf({ low, high }, end, name) {
  const group = svg("g", { class: "ramp" }), steps = 12, [size, room] = [7, 52];
  for (let i = 0; i < steps; i++) group.append(svg("rect", { x: end - room - (steps - i) * size, y: 4, width: size, height: 10, fill: rampOf(i / (steps - 1)) }));
  group.append(svg("text", { x: end - room - steps * size - 4, y: 13, "text-anchor": "end" }, name + written(Number(low.toPrecision(3)))), svg("text", { x: end - room + 4, y: 13 }, written(Number(high.toPrecision(3)))));
  return group;
}

// A bar per hyperparameter, and a line over it from the smallest to the largest importance that single seeds give.
function importanceDrawing(rows, width) {
  const [left, right, row] = [Math.min(150, width * 0.35), 46, 26];
  const height = rows.length * row + 34;
  const root = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": rows.map((one) => `${one.name}: ${written(one.importance)}`).join("; ") });
  const x = (value) => left + Math.min(1, Math.max(0, value)) * (width - left - right);
  for (const tick of [0, 0.5, 1]) root.append(svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: 4, y2: height - 28 }), svg("text", { x: x(tick), y: height - 14, "text-anchor": "middle" }, String(tick)));
  rows.forEach((one, i) => {
    const y = 4 + i * row;
    root.append(svg("text", { x: left - 6, y: y + 17, "text-anchor": "end" }, cut(one.name, Math.floor((left - 8) / LETTER))));
    root.append(svg("rect", { class: "bar", x: left, y: y + 4, width: Math.max(1, x(one.importance) - left), height: row - 9 }));
    if (finite(one.low)) root.append(svg("line", { class: "range", x1: x(one.low), x2: Math.max(x(one.low) + 1, x(one.high)), y1: y + 12.5, y2: y + 12.5 }));
    root.append(svg("text", { x: x(Math.max(one.importance, finite(one.high) ? one.high : 0)) + 5, y: y + 17 }, written(Number(one.importance.toPrecision(2)))));
  });
  return root;
}
