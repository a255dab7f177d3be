// Notes and tags, of the study and of its variants; and, where the page is given a way to keep them, a form that changes them. In: a view
// (see report.js), and a function that keeps a note and returns a promise of a problem, or null. Out: an element that draws itself again.

const STUDY = "study"; // what stands for a variant's number in the form

const noteOf = (view, number) => view.facts.notes.find((note) => note.variant === number) || null;
const tagsOf = (note) => (note && note.tags.length ? html("span", { class: "tags" }, note.tags.map((tag) => html("span", { class: "tag" }, tag))) : null);

// What a variant is found by: its label, tags and note.
function wordsOf(view, variant) {
  const note = noteOf(view, variant.number);
  return [variant.label, ...(note ? [...note.tags, note.text] : [])].join("\n").toLowerCase();
}

// The columns of a table of variants; `numberOf(row)` is the variant's.
function noteColumns(view, numberOf) {
  const { notes } = view.facts, of = (row) => noteOf(view, numberOf(row));
  const some = notes.filter((note) => note.variant != null);
  return [
    some.some((note) => note.tags.length) && { name: "tags", value: (row) => (of(row) || { tags: [] }).tags.join(", "), cell: (row) => tagsOf(of(row)) || "" },
    some.some((note) => note.text) && { name: "note", long: true, value: (row) => (of(row) || {}).text },
  ].filter(Boolean);
}

function noteForm(view, keep) {
  const about = chooser("About", () => load());
  const tags = html("input", { type: "text", placeholder: "good, to be repeated", "aria-label": "Tags, with commas between them" });
  const text = html("textarea", { rows: 3, "aria-label": "Note" });
  const said = html("output", { "aria-live": "polite" });
  const button = html("button", { type: "button", onclick: save }, "Save");
  const chosen = () => (about.node.querySelector("select").value === STUDY ? null : Number(about.node.querySelector("select").value));

  function load() {
    const note = noteOf(view, chosen()) || { text: "", tags: [] };
    [tags.value, text.value] = [note.tags.join(", "), note.text];
    say(said, "");
  }

  async function save() {
    button.disabled = true;
    say(said, "Saving …");
    const problem = await keep(chosen(), text.value, tags.value.split(",").map((tag) => tag.trim()).filter(Boolean));
    button.disabled = false;
    say(said, problem || "Saved.");
  }

  const node = html("div", { class: "noting screen" }, about.node, html("label", {}, "Tags ", tags), text, html("div", { class: "row" }, button, said));
  const draw = () => {
    const before = about.node.querySelector("select").value;
    const options = [[STUDY, "the study"], ...view.order().map((variant) => [String(variant.number), `${variant.number}: ${variant.label}`])];
    about.draw(options, options.some(([value]) => value === before) ? before : STUDY);
    if (!before) load();
  };
  const edit = (number) => {
    about.node.querySelector("select").value = number == null ? STUDY : String(number);
    load();
    text.focus();
  };
  return { node, draw, edit };
}

function notesPart(view, keep) {
  const list = html("ul", { class: "notes" });
  const form = keep && noteForm(view, keep);
  const labelOf = (number) => (number == null ? "The study" : view.variant.has(number) ? `Variant ${number} (${view.variant.get(number).label})` : `Variant ${number}`);
  const change = (note) => (form ? html("button", { type: "button", class: "screen", "aria-label": `Edit the note: ${labelOf(note.variant)}`, onclick: () => form.edit(note.variant) }, "Edit") : null);
  const fill = filler(list, (notes) => notes.map((note) => html("li", {}, html("strong", {}, `${labelOf(note.variant)}: `), html("span", { class: "note" }, note.text), " ", tagsOf(note), " ", change(note))));
  const node = section("Notes", list, form ? html("details", { class: "screen" }, html("summary", {}, "Write a note"), form.node) : null);
  const open = () => { if (form) node.querySelector("details").open = true; };
  if (form) list.addEventListener("click", open, true);
  return {
    node, empty: () => !view.facts.notes.length && !form,
    draw() { list.hidden = !view.facts.notes.length; fill(view.facts.notes); if (form) form.draw(); },
  };
}
