// Packs files into a zip without compression, under numbers in place of names: names may be a patient's.

import { Refusal } from "./api.js";

const TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n >>> 0;
});

async function crc32(file) {
  let crc = 0xffffffff;
  const reader = file.stream().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return (crc ^ 0xffffffff) >>> 0;
    for (const byte of value) crc = TABLE[(crc ^ byte) & 255] ^ (crc >>> 8);
  }
}

function record(signature, fields) {
  const bytes = new Uint8Array(fields.reduce((sum, [size]) => sum + size, 4));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, signature, true);
  let at = 4;
  for (const [size, value] of fields) {
    if (size === 2) view.setUint16(at, value, true);
    else view.setUint32(at, value, true);
    at += size;
  }
  return bytes;
}

/** Returns a Blob; the files themselves are not copied into memory. */
export async function zipFiles(files) {
  const parts = [];
  const table = [];
  let offset = 0;
  for (const [number, file] of files.entries()) {
    const name = new TextEncoder().encode(`${String(number).padStart(5, "0")}.dcm`);
    const crc = await crc32(file);
    const shared = [[2, 20], [2, 0], [2, 0], [2, 0], [2, 33], [4, crc], [4, file.size], [4, file.size], [2, name.length], [2, 0]];
    const header = record(0x04034b50, shared);
    parts.push(header, name, file);
    table.push(record(0x02014b50, [[2, 20], ...shared, [2, 0], [2, 0], [2, 0], [4, 0], [4, offset]]), name);
    offset += header.length + name.length + file.size;
    if (offset > 0xffffffff || number >= 0xffff) throw new Refusal(0, 3, "the folder has more than 4 GiB or 65,535 files");
  }
  const size = table.reduce((sum, part) => sum + part.length, 0);
  const count = files.length;
  const end = record(0x06054b50, [[2, 0], [2, 0], [2, count], [2, count], [4, size], [4, offset], [2, 0]]);
  return new Blob([...parts, ...table, end], { type: "application/zip" });
}
