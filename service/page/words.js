// What happened, in plain words.

const HEADINGS = {
  1: "Something went wrong in bedside",
  2: "The request was refused",
  3: "This scan was refused",
  4: "The bundle was refused",
  5: "Not possible just now",
};

/** Returns [heading, text] for a refusal of the service or a job that failed. */
export function explained(code, message) {
  return [HEADINGS[code] ?? HEADINGS[1], plain(message)];
}

/** Returns a message without what concerns programs alone, the parameters of requests, as a sentence. */
export function plain(message) {
  const text = message
    .replace(/\s*\([^()]*\b[a-z_]+=[^()]*\)/g, "")
    .replace(/^"(?:scan|upload)[^"]*": */, "")
    .replaceAll("_", " ")
    .trim();
  return /[.!?]$/.test(text) ? capitalised(text) : `${capitalised(text)}.`;
}

/** Returns a text with a capital letter at its start. */
export function capitalised(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Returns a label's name for people. */
export function spoken(label) {
  return label.replaceAll("_", " ");
}

/** Returns millilitres with a sensible number of digits. */
export function millilitres(volume) {
  if (volume === undefined) return "–";
  return volume.toFixed(volume < 10 ? 2 : volume < 100 ? 1 : 0);
}
