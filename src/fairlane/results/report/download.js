// What is on the page → files. In: a drawing, or rows of a table. Out: a download; nothing leaves the browser.

const LOOKS = ["fill", "stroke", "stroke-width", "stroke-dasharray", "stroke-opacity", "opacity", "font-size", "font-family", "text-anchor"];

function offer(name, blob) {
  const link = html("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

const fileName = (...words) => words.join(" ").replace(/[^\p{L}\p{N}._-]+/gu, "_").slice(0, 100);

// A drawing that looks the same without the page's style.
function alone(root) {
  const copy = root.cloneNode(true);
  const { width, height } = root.viewBox.baseVal;
  const [from, to] = [[root, ...root.querySelectorAll("*")], [copy, ...copy.querySelectorAll("*")]];
  from.forEach((node, i) => {
    const style = getComputedStyle(node);
    for (const look of LOOKS) to[i].setAttribute(look, style.getPropertyValue(look));
  });
  for (const [name, value] of Object.entries({ width, height, xmlns: "http://www.w3.org/2000/svg" })) copy.setAttribute(name, value);
  copy.prepend(svg("rect", { width, height, fill: getComputedStyle(document.body).backgroundColor }));
  return new Blob([new XMLSerializer().serializeToString(copy)], { type: "image/svg+xml" });
}

async function pngOf(root, scale = 2) {
  const { width, height } = root.viewBox.baseVal;
  const image = new Image();
  image.src = URL.createObjectURL(alone(root));
  await image.decode();
  const canvas = html("canvas", { width: width * scale, height: height * scale });
  canvas.getContext("2d").drawImage(image, 0, 0, width * scale, height * scale);
  URL.revokeObjectURL(image.src);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}

// Rows as in RFC 4180. A text that a spreadsheet would take for a formula gets an apostrophe in front.
function csvOf(columns, rows) {
  const cell = (value) => {
    const text = value == null ? "" : typeof value === "string" && /^[=+\-@\t\r]/.test(value) && value !== "-Infinity" ? `'${value}` : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [columns.map((column) => cell(column.name)), ...rows.map((row) => columns.map((column) => cell(column.value(row))))];
  return lines.map((line) => line.join(",") + "\r\n").join("");
}

// Two buttons for a drawing; `root()` gives it, or null.
function pictureButtons(name, root) {
  const button = (label, words, act) => html("button", { type: "button", title: words, "aria-label": words, onclick: () => root() && act(root()) }, label);
  return [
    button("SVG", `Save ${name} as SVG`, (drawing) => offer(fileName(name) + ".svg", alone(drawing))),
    button("PNG", `Save ${name} as PNG`, async (drawing) => offer(fileName(name) + ".png", await pngOf(drawing))),
  ];
}
