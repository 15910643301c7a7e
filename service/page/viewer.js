// One bundle's view of the scan: three planes and, apart from them, the labels in 3D.

const VIEWS = { all: "All", axial: "Axial", coronal: "Coronal", sagittal: "Sagittal", solid: "3D" };
const WINDOWS = {
  CT: { "Soft tissue": [-160, 240], Lung: [-1350, 150], Bone: [-450, 1050], Brain: [0, 80], "Whole range": null },
  MR: { Automatic: null },
};
const QUARTERS = [
  { sliceType: 0, position: [0, 0, 0.5, 0.5] },
  { sliceType: 1, position: [0.5, 0, 0.5, 0.5] },
  { sliceType: 2, position: [0, 0.5, 0.5, 0.5] },
];
const SLICE_TYPES = { axial: 0, coronal: 1, sagittal: 2 };
const STEPS = { // voxels along RAS axes: the patient's right is on the left
  ArrowLeft: [1, 0, 0], ArrowRight: [-1, 0, 0], ArrowUp: [0, 1, 0], ArrowDown: [0, -1, 0],
  PageUp: [0, 0, 1], PageDown: [0, 0, -1],
};
const LOOK = { backColor: [0, 0, 0, 1], crosshairColor: [0.42, 0.78, 0.72, 0.75], fontColor: [0.6, 0.68, 0.7, 1], logLevel: "error" };

export { VIEWS, WINDOWS };

let library = null;

/** Loads NiiVue; returns whether it is there. */
export async function loadLibrary() {
  try {
    library ??= await import("./viewer/niivue.js");
  } catch {
    return false;
  }
  return document.createElement("canvas").getContext("webgl2") !== null;
}

export class Viewer {
  #planes;
  #solid;
  #colours;
  #hidden = new Set();
  #strength = 0.55;

  constructor(parent, name, labels, colours) {
    this.element = document.createElement("div");
    this.element.className = "viewer";
    this.element.dataset.view = "all";
    const title = document.createElement("span");
    title.className = "name";
    title.textContent = name;
    this.element.append(title);
    parent.append(this.element);
    this.labels = labels;
    this.#colours = colours;
    this.#planes = this.#pane("planes", "Three planes of the scan with its labels", { crosshairWidth: 1, crosshairWidthUnit: "mm", crosshairGap: 8, isRadiologicalConvention: true });
    this.#solid = this.#pane("solid", "Labels in 3D", { crosshairWidth: 0, isOrientationTextVisible: false });
  }

  #pane(kind, label, options) {
    const pane = document.createElement("div");
    pane.className = `pane ${kind}`;
    const canvas = document.createElement("canvas");
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", label);
    pane.append(canvas);
    this.element.append(pane);
    const shown = new library.Niivue({ ...LOOK, ...options, dragAndDropEnabled: false, isResizeCanvas: true });
    shown.canvasReady = shown.attachToCanvas(canvas);
    return shown;
  }

  /** Shows a scan and its label map, both Blobs of NIfTI files. */
  async show(scan, labels, modality) {
    await Promise.all([this.#planes.canvasReady, this.#solid.canvasReady]);
    const urls = [scan, labels].map((blob) => URL.createObjectURL(blob));
    try {
      const name = (await isGzip(scan)) ? "scan.nii.gz" : "scan.nii";
      const [low, high] = Object.values(WINDOWS[modality])[0] ?? [NaN, NaN];
      const image = { url: urls[0], name, colormap: "gray", cal_min: low, cal_max: high, trustCalMinMax: false };
      const map = { url: urls[1], name: "labels.nii.gz", colormap: "gray", opacity: 1 };
      await this.#planes.loadVolumes([image, map]);
      await this.#solid.loadVolumes([map]);
    } finally {
      urls.forEach((url) => URL.revokeObjectURL(url));
    }
    this.#planes.volumes[1].interpolation = false;
    this.#planes.setInterpolation(false);
    this.#solid.setSliceType(4);
    this.#solid.setRenderAzimuthElevation(150, 12);
    this.#solid.opts.isOrientCube = false;
    this.#recolour();
    this.setView("all");
    this.#keys();
    this.element.dataset.ready = "true";
  }

  #recolour() {
    const [R, G, B] = [0, 1, 2].map((channel) => this.#colours.map((colour) => colour[channel]));
    const alpha = (strength) => this.labels.map((_, index) => (index === 0 || this.#hidden.has(index) ? 0 : Math.round(255 * strength)));
    const table = (strength) => ({ R, G, B, A: alpha(strength), I: this.labels.map((_, i) => i), labels: this.labels });
    this.#planes.volumes[1].setColormapLabel(table(this.#strength));
    this.#solid.volumes[0].setColormapLabel(table(1));
    this.#planes.updateGLVolume();
    this.#solid.updateGLVolume();
  }

  /** Shows or hides labels, given by index. */
  setHidden(hidden) {
    this.#hidden = new Set(hidden);
    if (this.#planes.volumes.length) this.#recolour();
  }

  /** Sets the opacity of the labels on the planes, 0 to 1. */
  setStrength(strength) {
    this.#strength = strength;
    if (this.#planes.volumes.length) this.#recolour();
  }

  /** Sets the grey values' window; null is the whole range. */
  setWindow(range) {
    const [image] = this.#planes.volumes;
    if (!image) return;
    [image.cal_min, image.cal_max] = range ?? [image.global_min, image.global_max];
    this.#planes.updateGLVolume();
  }

  /** Shows all planes and 3D, or one of them. */
  setView(view) {
    this.element.dataset.view = view;
    if (view === "all") this.#planes.setCustomLayout(QUARTERS);
    else if (view in SLICE_TYPES) {
      this.#planes.clearCustomLayout();
      this.#planes.setSliceType(SLICE_TYPES[view]);
    }
    for (const shown of [this.#planes, this.#solid]) {
      shown.resizeListener();
      shown.drawScene();
    }
  }

  /** Moves crosshair and camera of another viewer with this one's. */
  leads(other) {
    this.#planes.broadcastTo(other.#planes, { "2d": true, "3d": false });
    this.#solid.broadcastTo(other.#solid, { "2d": false, "3d": true });
  }

  #keys() {
    this.#planes.canvas.addEventListener("keydown", (event) => {
      const step = STEPS[event.key];
      if (!step) return;
      event.preventDefault();
      this.#planes.moveCrosshairInVox(...step);
    });
  }

  /** Gives the memory of the graphics card back. */
  remove() {
    for (const shown of [this.#planes, this.#solid]) {
      shown.gl?.getExtension("WEBGL_lose_context")?.loseContext();
    }
    this.element.remove();
  }
}

async function isGzip(blob) {
  const [first, second] = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
  return first === 0x1f && second === 0x8b;
}
