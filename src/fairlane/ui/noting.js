// Keeps notes in the store. In: the token, which stands after # in the address that `fairlane ui --write` has printed. Out: a function that
// keeps a note, or null where nothing can be written.

function keeperOfNotes(writes, name, after) {
  if (!writes) return null;
  return async (variant, text, tags) => {
    const token = sessionStorage.getItem(TOKEN);
    if (!token) return "To write notes, open the address that fairlane ui --write has printed.";
    let answer;
    try {
      answer = await fetch("note", {
        method: "POST", cache: "no-store", headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
        body: JSON.stringify({ name: name(), variant, text, tags }),
      });
    } catch {
      return "fairlane ui does not answer. Has it ended?";
    }
    if (answer.ok) { after(); return null; }
    const told = await answer.json().catch(() => null);
    return `Not saved: ${(told && told.error) || answer.status}.`;
  };
}
