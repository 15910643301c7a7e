// The service's API, as `bedside serve` describes it at /api/v1/openapi.json.

const ROOT = "api/v1";

/** A request that the service refused: `code` is an exit code of bedside, `status` that of HTTP, 0 where it has none. */
export class Refusal extends Error {
  constructor(status, code, message, choices = []) {
    super(message);
    this.status = status;
    this.code = code;
    this.choices = choices; // { parameter, value, text }: with one of them in the query the scan may be accepted
  }
}

function refusal(status, text) {
  if (status === 401) return new Refusal(401, 2, "the service asks for another token; reload the page to enter it");
  try {
    const { code, message, choices } = JSON.parse(text).error;
    return new Refusal(status, code, message, choices);
  } catch {
    return new Refusal(status, 5, "the service did not answer as expected; is it still running?");
  }
}

/** Returns what a part of an exchange with the service gives; its end is not the browser's words for it. */
async function reached(part) {
  try {
    return await part;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, 5, "the service cannot be reached; is it still running?");
  }
}

export class Service {
  token = sessionStorage.getItem("bedside-token") ?? "";

  /** Returns whether a text can be a token: others cannot even be sent, a header holds them not. */
  setToken(token) {
    if (!/^[ -~]+$/.test(token)) return false;
    this.token = token;
    sessionStorage.setItem("bedside-token", token);
    return true;
  }

  #headers() {
    return this.token ? { Authorization: `Bearer ${this.token}` } : {};
  }

  async #fetch(path, options = {}) {
    const response = await reached(fetch(ROOT + path, { ...options, headers: this.#headers() }));
    if (!response.ok) throw refusal(response.status, await reached(response.text()));
    return response;
  }

  async #json(path) {
    return reached((await this.#fetch(path)).json());
  }

  async info() {
    return this.#json("");
  }

  /** Sends a scan; `query` says with which bundle, and how it is read. `sent(share)` is called as it goes. Returns the job. */
  post(scan, query, sent, signal) {
    return new Promise((resolve, reject) => {
      const request = new XMLHttpRequest(); // fetch does not say how much was sent
      request.open("POST", `${ROOT}/jobs?${new URLSearchParams(query)}`);
      request.setRequestHeader("Content-Type", "application/octet-stream");
      for (const [name, value] of Object.entries(this.#headers())) request.setRequestHeader(name, value);
      request.upload.onprogress = (event) => sent(event.loaded / event.total);
      request.onload = () => {
        if (request.status === 202) resolve(JSON.parse(request.responseText));
        else reject(refusal(request.status, request.responseText));
      };
      request.onerror = () => reject(new Refusal(0, 5, "the service ended the transfer; it may be busy, so try again"));
      request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
      signal.addEventListener("abort", () => request.abort());
      request.send(scan);
    });
  }

  /** Calls `step(job)` until the job is finished; returns it. */
  async follow(job, step, signal) {
    const response = await this.#fetch(`/jobs/${job.id}/events`, { signal });
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    let text = "";
    for (;;) {
      const { done, value } = await reached(reader.read());
      if (done) break;
      text += value;
      const events = text.split("\n\n");
      text = events.pop();
      for (const event of events) {
        const data = event.split("\n").find((line) => line.startsWith("data: "));
        if (!data) continue;
        const now = JSON.parse(data.slice(6));
        if (event.startsWith("event: end")) return now;
        step(now);
      }
    }
    const now = await this.job(job.id); // the connection ended before the job did
    return now.code === null ? this.follow(job, step, signal) : now;
  }

  async job(id) {
    return this.#json(`/jobs/${id}`);
  }

  async remove(id) {
    await this.#fetch(`/jobs/${id}`, { method: "DELETE" });
  }

  /** Returns `labels`, `segmentation` or `scan` of a job as a Blob. */
  async file(id, what) {
    return reached((await this.#fetch(`/jobs/${id}/${what}`)).blob());
  }
}
