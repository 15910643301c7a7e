// The page: from a dropped scan to labels, volumes and downloads.

import { Refusal, Service } from "./api.js";
import { coloursOf } from "./colours.js";
import { onFiles, scanOf } from "./drop.js";
import { showOrgans } from "./organs.js";
import { progressOf, showBars } from "./progress.js";
import { loadLibrary, VIEWS, Viewer, WINDOWS } from "./viewer.js";
import { capitalised, explained, plain } from "./words.js";

const at = (id) => document.getElementById(id);
const service = new Service();
let bundles = [];
let uploadBytes = Infinity;
let canShow = false;
let viewers = [];
let running = null; // { stop: AbortController, jobs: [] } while a scan is on its way
let kept = []; // jobs whose results are shown

async function start() {
  canShow = await loadLibrary();
  if (!canShow) at("empty-text").textContent = "The viewer is not part of this installation, or this browser has no WebGL. Scans can be sent and results downloaded.";
  for (;;) {
    try {
      const info = await service.info();
      bundles = info.bundles;
      uploadBytes = info.upload_bytes;
      at("notice").textContent = info.notice;
      break;
    } catch (error) {
      if (error.status !== 401) return complain(error);
      await askForToken();
    }
  }
  fillChoices();
  onFiles((files) => segment(files), complain);
  at("cancel").addEventListener("click", cancel);
  window.addEventListener("pagehide", () => kept.concat(running?.jobs ?? []).forEach((job) => leave(job)));
  window.addEventListener("pageshow", (event) => event.persisted && location.reload()); // its jobs are gone
  say("Ready");
}

function leave(job) {
  // The page goes: its jobs' files go too, also where the request outlives the page.
  const headers = service.token ? { Authorization: `Bearer ${service.token}` } : {};
  fetch(`api/v1/jobs/${job.id}`, { method: "DELETE", headers, keepalive: true });
}

async function askForToken() {
  const dialog = at("ask");
  let why = service.token && "The service did not accept this token. Check it, and enter it again.";
  do {
    at("ask-why").textContent = why;
    at("ask-why").hidden = !why;
    at("token").value = "";
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    why = "A token has letters, digits and signs of the English keyboard alone. Enter it again.";
  } while (!service.setToken(at("token").value.trim()));
}

function fillChoices() {
  const option = (value, text) => Object.assign(document.createElement("option"), { value, textContent: text });
  at("bundle").replaceChildren(...bundles.map((bundle) => option(bundle.name, `${bundle.name} · ${bundle.modality}`)));
  at("compare").replaceChildren(option("", "nothing"), ...bundles.map((bundle) => option(bundle.name, bundle.name)));
  at("compare-field").hidden = bundles.length < 2;
}

function chosen() {
  const first = bundles.find(({ name }) => name === at("bundle").value);
  const second = bundles.find(({ name }) => name === at("compare").value);
  return second && second !== first ? [first, second] : [first];
}

async function segment(files, query = {}) {
  if (running || !files.length) return;
  const stop = new AbortController();
  running = { stop, jobs: [] };
  const used = chosen();
  clear();
  setBusy(true);
  try {
    say("Reading the files");
    const { body, nifti } = await scanOf(files);
    if (body.size > uploadBytes) throw new Refusal(413, 3, `the scan has ${mebibytes(body.size)}, the service takes ${mebibytes(uploadBytes)}`);
    const steps = showBars(used.map(({ name }) => name));
    const finished = [];
    for (const [index, bundle] of used.entries()) finished.push(await through(bundle, body, query, steps[index], stop.signal));
    kept = finished.map(({ job }) => job);
    say("Loading the result");
    await present(finished, "volume" in query || "prefer" in query ? null : nifti);
    say("Done");
  } catch (error) {
    if (error.name === "AbortError") say("Cancelled");
    else complain(error, (choice) => segment(files, { ...query, ...choice }));
    running.jobs.forEach((job) => service.remove(job.id).catch(() => say("The service keeps the scan until its time is over")));
  } finally {
    running = null;
    setBusy(false);
  }
}

async function through(bundle, body, query, step, signal) {
  say(`Sending the scan to ${bundle.name}`);
  step("sending", 0);
  const sent = (share) => (share < 1 ? step("sending", share) : step("checking the scan", null));
  let job = await service.post(body, { bundle: bundle.name, ...query }, sent, signal);
  running.jobs.push(job);
  say(`${bundle.name} segments the scan`);
  job = await service.follow(job, (now) => step(...progressOf(now)), signal);
  if (job.state === "cancelled") throw new DOMException("cancelled", "AbortError");
  if (job.state === "failed") throw new Refusal(0, job.error.code, job.error.message, job.error.choices);
  step("done", 1);
  return { bundle, job, result: job.result };
}

function mebibytes(count) {
  return `${(count / 2 ** 20).toLocaleString("en", { maximumSignificantDigits: 3 })} MiB`;
}

function cancel() {
  running?.stop.abort();
}

async function present(finished, nifti) {
  const names = [...new Set(finished.flatMap(({ bundle }) => bundle.labels))];
  const colours = new Map(coloursOf(names).map((colour, index) => [names[index], colour]));
  showWarnings(finished);
  showOrgans(finished, colours, (hidden) => viewers.forEach((viewer) => viewer.setHidden(indices(viewer.labels, hidden))));
  showDownloads(finished);
  if (canShow) await showViewers(finished, nifti, colours);
  else at("empty-text").textContent = "The viewer is not part of this installation. Volumes and downloads are on the left.";
}

function indices(labels, names) {
  return labels.flatMap((label, index) => (names.has(label) ? [index] : []));
}

async function showViewers(finished, nifti, colours) {
  at("empty").hidden = true;
  const scan = nifti ?? (await service.file(finished[0].job.id, "scan"));
  const { modality } = finished[0].bundle;
  for (const { bundle, job } of finished) {
    const viewer = new Viewer(at("viewers"), bundle.name, bundle.labels, bundle.labels.map((name) => colours.get(name)));
    viewers.push(viewer);
    await viewer.show(scan, await service.file(job.id, "labels"), modality);
  }
  if (viewers.length === 2) {
    viewers[0].leads(viewers[1]);
    viewers[1].leads(viewers[0]);
  }
  showToolbar(modality);
}

function showToolbar(modality) {
  const views = at("views");
  const buttons = Object.entries(VIEWS).map(([view, title]) => {
    const made = button(title, () => setView(view));
    made.dataset.view = view;
    return made;
  });
  views.replaceChildren(...buttons);
  const windows = WINDOWS[modality];
  at("window").replaceChildren(...Object.keys(windows).map((name) => Object.assign(document.createElement("option"), { textContent: name })));
  at("window").onchange = () => viewers.forEach((viewer) => viewer.setWindow(windows[at("window").value]));
  at("window-field").hidden = Object.keys(windows).length < 2;
  at("opacity").oninput = () => viewers.forEach((viewer) => viewer.setStrength(at("opacity").value / 100));
  at("opacity").oninput();
  document.querySelector(".toolbar").hidden = false;
  at("help").hidden = false;
  setView("all");
}

function setView(view) {
  for (const each of at("views").children) each.setAttribute("aria-pressed", String(each.dataset.view === view));
  viewers.forEach((viewer) => viewer.setView(view));
}

function showWarnings(finished) {
  const several = finished.length > 1;
  const lines = finished.flatMap(({ bundle, result }) => result.warnings.map((text) => (several ? `${bundle.name}: ${plain(text)}` : plain(text))));
  const notes = finished.flatMap(({ result }) => result.notes.map(plain));
  const all = [...new Set([...lines, ...notes])];
  at("warnings").hidden = !all.length;
  at("warnings").querySelector("h2").textContent = lines.length ? "Please look at this result" : "Good to know";
  at("warnings").querySelector("ul").replaceChildren(...all.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
}

function showDownloads(finished) {
  const buttons = finished.flatMap(({ bundle, job, result }) => {
    const of = finished.length > 1 ? ` of ${bundle.name}` : "";
    const ending = finished.length > 1 ? `-${bundle.name}` : "";
    const report = async () => new Blob([JSON.stringify({ bundle: bundle.name, sha256: bundle.sha256, ...result }, null, 2)], { type: "application/json" });
    const offered = [
      [`Label map${of} (NIfTI)`, `labels${ending}.nii.gz`, () => service.file(job.id, "labels")],
      [`Volumes${of} (JSON)`, `volumes${ending}.json`, report],
    ];
    if (result.segmentation) offered.splice(1, 0, [`Segmentation${of} (DICOM)`, `segmentation${ending}.dcm`, () => service.file(job.id, "segmentation")]);
    return offered.map(([title, name, blob]) => button(title, () => blob().then((content) => save(content, name)).catch(complain)));
  });
  at("downloads").replaceChildren(...buttons);
  at("downloads").hidden = false;
}

function button(text, clicked) {
  const made = Object.assign(document.createElement("button"), { type: "button", textContent: text });
  made.addEventListener("click", clicked);
  return made;
}

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function clear() {
  kept.forEach((job) => service.remove(job.id).catch(() => {})); // it may be gone already
  kept = [];
  viewers.forEach((viewer) => viewer.remove());
  viewers = [];
  for (const id of ["message", "warnings", "organs", "downloads", "help"]) at(id).hidden = true;
  document.querySelector(".toolbar").hidden = true;
  at("empty").hidden = false;
}

function setBusy(is) {
  for (const id of ["pick-file", "pick-folder", "bundle", "compare"]) at(id).disabled = is;
  if (!is) at("work").hidden = true;
}

/** Says why something was not done; `again(choice)` is called with the parameter that a person then chooses. */
function complain(error, again) {
  const [heading, text] = error instanceof Refusal ? explained(error.code, error.message) : explained(1, String(error.message ?? error));
  at("message").querySelector("h2").textContent = heading;
  at("message").querySelector("p").textContent = text;
  const choices = (error.choices ?? []).map(({ parameter, value, text }) => button(capitalised(text), () => again({ [parameter]: value })));
  at("choices").replaceChildren(...choices);
  at("message").hidden = false;
  say(heading);
}

function say(text) {
  at("status").textContent = text;
}

start();
