// The `eventsource` package as it is, with `fetch` for the requests: what a client sees that knows no MCP SDK.
//
// Usage: eventsource.mjs BASE_URL TARGET SESSIONS ENDPOINTS_FILE
//
// Two sessions; in each, a burst of overlapping requests must be answered exactly once, to the one that asked.
// Prints one line; exits 0 if all held. Any `error` event (a lost or refused stream) counts as a failure.

import assert from "node:assert/strict";
import { appendFileSync } from "node:fs";
import { EventSource } from "eventsource";
import { MIB, STEP_MS, targetNamed } from "./harness.mjs";

const BURST = 50;

const [base, targetName, , endpointsFile] = process.argv.slice(2);
const target = targetNamed(targetName);

class Session {
  constructor(label) {
    this.label = label;
    this.events = [];
    this.answers = new Map();
    this.waiting = new Map();
    this.source = new EventSource(`${base}/sse`);
  }

  open() {
    return new Promise((resolve, reject) => {
      this.source.addEventListener("error", (event) => {
        this.failed = new Error(`the stream failed: ${event.code ?? ""} ${event.message ?? "connection lost"}`);
        reject(this.failed);
        for (const { reject } of this.waiting.values()) reject(this.failed);
      });
      this.source.addEventListener("endpoint", (event) => {
        this.events.push("endpoint");
        assert.match(event.data, /^\/[^\s]*[?&]session_id=[^\s&]+$/, "endpoint is not a path with a session id");
        this.endpoint = event.data;
        appendFileSync(endpointsFile, `${event.data}\n`);
        resolve();
      });
      this.source.addEventListener("message", (event) => {
        this.events.push("message");
        const message = JSON.parse(event.data);
        if (message.id === undefined || message.method) return;
        this.answers.set(message.id, (this.answers.get(message.id) ?? 0) + 1);
        this.waiting.get(message.id)?.resolve(message);
      });
    });
  }

  async post(message) {
    const response = await fetch(`${base}${this.endpoint}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ jsonrpc: "2.0", ...message }),
    });
    const body = await response.text();
    assert.equal(response.status, 202, `POST answered ${response.status} ${body}`);
    assert.equal(body, "", "the 202 has a body");
  }

  async request(id, method, params) {
    const answer = new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
    await this.post({ id, method, params });
    const message = await answer;
    assert(message.result, `${method} was answered with ${JSON.stringify(message.error)}`);
    return message.result;
  }

  async talk() {
    await this.open();
    const clientInfo = { name: "interop", version: "1" };
    await this.request(`${this.label}-hello`, "initialize", { protocolVersion: "2024-11-05", capabilities: {}, clientInfo });
    await this.post({ method: "notifications/initialized" });
    const pings = Array.from({ length: BURST }, (_, n) => this.request(`${this.label}-${n}`, "ping"));
    await Promise.all(pings);
    const { name, argument, exact } = target.echo;
    const text = this.label.repeat(MIB / this.label.length);
    const result = await this.request(`${this.label}-big`, "tools/call", { name, arguments: { [argument]: text } });
    const answer = result.content[0].text;
    assert(exact ? answer === text : answer.includes(text), `1 MiB sent, ${answer.length} characters came back`);
  }

  check() {
    if (this.failed) throw this.failed;
    assert.equal(this.events.indexOf("endpoint"), 0, "endpoint was not the first event");
    assert.equal(this.events.lastIndexOf("endpoint"), 0, "endpoint came twice");
    assert.equal(this.answers.size, BURST + 2, `${this.answers.size} ids answered`);
    for (const [id, times] of this.answers) {
      assert.equal(times, 1, `${id} was answered ${times} times`);
      assert(String(id).startsWith(this.label), `${id} was answered to session ${this.label}`);
    }
  }
}

const pair = [new Session("left"), new Session("rite")];
const late = setTimeout(() => {
  console.log(`not done after ${STEP_MS / 1000} s; answers so far: ${pair.map((session) => session.answers.size)}`);
  process.exit(1);
}, STEP_MS);
try {
  await Promise.all(pair.map((session) => session.talk()));
  for (const session of pair) session.check();
  for (const session of pair) session.source.close();
  clearTimeout(late);
  console.log("");
} catch (error) {
  console.log(error.message.replace(/\s+/g, " ").slice(0, 400));
  process.exit(1);
}
