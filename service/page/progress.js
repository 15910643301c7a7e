// Progress bars, one for each bundle that the scan goes through.

/** Shows a bar for each name; returns a function for each: `step(text, share)`, share null for unknown. */
export function showBars(names) {
  const bars = names.map((name) => {
    const made = document.createElement("div");
    made.className = "bar";
    const words = document.createElement("div");
    words.className = "words";
    const [left, right] = [document.createElement("span"), document.createElement("span")];
    left.textContent = name;
    words.append(left, right);
    const bar = document.createElement("progress");
    bar.max = 1;
    bar.setAttribute("aria-label", name);
    made.append(words, bar);
    const step = (text, share) => {
      right.textContent = text;
      if (share === null) bar.removeAttribute("value");
      else bar.value = share;
    };
    return { made, step };
  });
  document.getElementById("bars").replaceChildren(...bars.map(({ made }) => made));
  document.getElementById("work").hidden = false;
  return bars.map(({ step }) => step);
}

/** Returns [text, share] of a job. */
export function progressOf(job) {
  if (job.state === "queued") return ["waiting", null];
  if (!job.total) return ["reading the scan", null];
  return [`${Math.round((100 * job.done) / job.total)} %`, job.done / job.total];
}
