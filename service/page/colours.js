// A colour for each label, far from those of its neighbours and calm beside grey values.

const KNOWN = { background: [0, 0, 0] };

function fromHue(hue, light) {
  const channel = (n) => {
    const k = (n + hue / 30) % 12;
    const a = 0.62 * Math.min(light, 1 - light);
    return Math.round(255 * (light - a * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}

/** Returns [red, green, blue] of each label, by index. */
export function coloursOf(labels) {
  return labels.map((name, index) => KNOWN[name] ?? fromHue((168 + 137.5 * (index - 1)) % 360, index % 2 ? 0.62 : 0.72));
}
