// What a person gives: a file, several files or a folder, by dropping or choosing, as one body to send.

import { Refusal } from "./api.js";
import { zipFiles } from "./zip.js";

async function filesOf(entry) {
  if (entry.isFile) return [await new Promise((resolve, reject) => entry.file(resolve, reject))];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)); // at most 100 at once
    if (!some.length) return found;
    for (const each of some) found.push(...(await filesOf(each)));
  }
}

/** Calls `given(files)` when files are dropped on the page or chosen, and `failed(error)` where they cannot be listed. */
export function onFiles(given, failed) {
  const drop = document.getElementById("drop");
  const over = (event, is) => {
    event.preventDefault();
    drop.classList.toggle("over", is);
  };
  document.addEventListener("dragover", (event) => over(event, true));
  document.addEventListener("dragleave", (event) => over(event, event.relatedTarget !== null));
  document.addEventListener("drop", async (event) => {
    over(event, false);
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean);
    try {
      given((await Promise.all(entries.map(filesOf))).flat());
    } catch {
      failed(new Refusal(0, 3, "a file of it cannot be read; is it still there?"));
    }
  });
  for (const name of ["file", "folder"]) {
    const input = document.getElementById(name);
    document.getElementById(`pick-${name}`).addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      given([...input.files]);
      input.value = ""; // so that the same file can be chosen again
    });
  }
}

/** Returns { body, nifti }: what to send, and the file to show where the browser can read it itself. */
export async function scanOf(files) {
  const visible = files.filter((file) => !file.name.startsWith(".") && file.name !== "DICOMDIR");
  if (!visible.length) throw new Refusal(0, 3, "there is no file in it");
  if (visible.length === 1) {
    const nifti = /\.nii(\.gz)?$/i.test(visible[0].name) ? visible[0] : null;
    return { body: visible[0], nifti };
  }
  return { body: await zipFiles(visible), nifti: null };
}
