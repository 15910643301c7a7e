// The table of organs: what is shown, and the volumes of one bundle or of two.

import { millilitres, spoken } from "./words.js";

/**
 * Fills the table.
 * @param finished one or two { bundle, result }, of bundles with their labels
 * @param colours [red, green, blue] by name of the label
 * @param changed called with the names of hidden labels
 */
export function showOrgans(finished, colours, changed) {
  const section = document.getElementById("organs");
  const all = document.getElementById("toggle-all");
  const names = [...new Set(finished.flatMap(({ bundle }) => bundle.labels.slice(1)))];
  const hidden = new Set();
  head(section, finished);
  const body = section.querySelector("tbody");
  const boxes = names.map((name) => {
    const box = document.createElement("input");
    box.type = "checkbox";
    box.checked = true;
    box.style.setProperty("--tone", `rgb(${colours.get(name).join(" ")})`);
    box.addEventListener("change", () => {
      if (box.checked) hidden.delete(name);
      else hidden.add(name);
      update();
    });
    return box;
  });
  const update = () => {
    all.textContent = hidden.size === names.length ? "Show all" : "Hide all";
    changed(hidden);
  };
  all.onclick = () => {
    const show = hidden.size === names.length;
    boxes.forEach((box, index) => {
      box.checked = show;
      if (show) hidden.delete(names[index]);
      else hidden.add(names[index]);
    });
    update();
  };
  body.replaceChildren(...names.map((name, index) => row(name, boxes[index], finished)));
  all.textContent = "Hide all";
  section.hidden = false;
}

function head(section, finished) {
  const titles = finished.length === 1 ? ["ml"] : [...finished.map(({ bundle }) => bundle.name), "change"];
  const first = finished.length === 1 ? "Organ" : "Organ, ml";
  const cells = [first, ...titles].map((title) => {
    const cell = document.createElement("th");
    cell.scope = "col";
    cell.textContent = title;
    return cell;
  });
  section.querySelector("thead tr").replaceChildren(...cells);
}

function row(name, box, finished) {
  const line = document.createElement("tr");
  const label = document.createElement("label");
  label.append(box, spoken(name));
  const first = document.createElement("td");
  first.append(label);
  const volumes = finished.map(({ result }) => result.volumes_ml[name]);
  const texts = volumes.map(millilitres);
  if (volumes.length === 2) texts.push(difference(...volumes));
  line.append(first, ...texts.map((text, index) => cell(text, volumes[index] === 0 || text === "–")));
  return line;
}

function cell(text, absent) {
  const made = document.createElement("td");
  made.textContent = text;
  made.classList.toggle("absent", absent);
  return made;
}

function difference(first, second) {
  if (!first || second === undefined) return "–";
  const share = (100 * (second - first)) / first;
  return `${share > 0 ? "+" : share < 0 ? "−" : ""}${Math.abs(share).toFixed(share > -10 && share < 10 ? 1 : 0)} %`;
}
